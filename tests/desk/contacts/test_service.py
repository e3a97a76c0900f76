"""Who a contact is, on PostgreSQL."""

import asyncio
from uuid import UUID

from sqlmodel import col, func, select

from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ports import Ports
from tests.factories import Factory


async def rows(ports: Ports, organization_id: UUID, model: type[Contact | ContactIdentity | AuditEntry]) -> int:
    async with ports.database.session(organization_id) as session:
        return (await session.execute(select(func.count(col(model.id))))).scalar_one()


async def a_channel(make: Factory) -> Channel:
    return await make.channel(await make.organization())


async def test_g6_twenty_who_identify_at_once_make_one_contact(ports: Ports, make: Factory) -> None:
    channel = await a_channel(make)

    async def identify() -> tuple[UUID, UUID]:
        async with ports.units.of_system(channel.organization_id) as uow:
            identity, contact = await contacts.identify(uow, channel.id, "visitor-1", name="Ana")
            return identity.id, contact.id

    found = await asyncio.gather(*(identify() for _ in range(20)))
    assert len(set(found)) == 1
    assert await rows(ports, channel.organization_id, Contact) == 1
    assert await rows(ports, channel.organization_id, ContactIdentity) == 1
    assert await rows(ports, channel.organization_id, AuditEntry) == 1


async def test_identify_takes_over_what_is_given_and_keeps_the_rest(ports: Ports, make: Factory) -> None:
    channel = await a_channel(make)
    async with ports.units.of_system(channel.organization_id) as uow:
        identity, contact = await contacts.identify(
            uow, channel.id, "visitor-1", name=" Ana ", email="Ana@Example.com", attributes={"plan": "pro", "seats": 3}
        )
        assert (identity.external_id, identity.display_name) == ("visitor-1", "Ana")
    async with ports.units.of_system(channel.organization_id) as uow:
        again, same = await contacts.identify(
            uow, channel.id, "visitor-1", name="Ana Lima", phone="(11) 98765-4321", attributes={"seats": 4}
        )
        assert (again.id, same.id) == (identity.id, contact.id)
    async with ports.units.of_system(channel.organization_id) as uow:
        identity, contact = await contacts.identify(uow, channel.id, "visitor-1")
    assert identity.display_name == "Ana Lima"
    assert (contact.name, contact.email, contact.phone) == ("Ana Lima", "ana@example.com", "+5511987654321")
    assert contact.attributes == {"plan": "pro", "seats": 4}


async def test_the_same_external_id_on_two_channels_is_two_contacts(ports: Ports, make: Factory) -> None:
    organization = await make.organization()
    made = []
    for name in ("Site", "Loja"):
        channel = await make.channel(organization, kind=ChannelKind.WEB_CHAT, name=name)
        async with ports.units.of_system(organization.id) as uow:
            made.append((await contacts.identify(uow, channel.id, "visitor-1"))[1].id)
    assert len(set(made)) == 2
