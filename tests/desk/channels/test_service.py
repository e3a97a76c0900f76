"""Secrets at rest (G14)."""

from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidTag
from sqlmodel import select

from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.kernel import vault
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from pytake_gql.kernel.unit_of_work import UnitsOfWork
from pytake_gql.tenancy.organizations.models import Organization
from tests.factories import Factory

SECRETS = {"identitySecret": "this-is-very-secret-indeed"}


async def a_channel(ports: Ports, organization: Organization) -> Channel:
    async with ports.units.of_system(organization.id) as uow:
        return await channels.create(uow, ChannelKind.WEB_CHAT, {"name": "Site", "secrets": SECRETS})


async def opened(ports: Ports, settings: Settings, channel: Channel) -> dict[str, str]:
    async with ports.database.session(channel.organization_id) as session:
        return await channels.secrets(session, settings, channel)


async def test_g14_those_who_call_get_the_secrets(ports: Ports, make: Factory) -> None:
    organization = await make.organization()
    assert await opened(ports, ports.settings, await a_channel(ports, organization)) == SECRETS
    assert await opened(ports, ports.settings, await make.channel(organization)) == {}


async def test_g14_another_organizations_ciphertext_does_not_open(ports: Ports, make: Factory) -> None:
    theirs = await a_channel(ports, await make.organization())
    ours = await a_channel(ports, await make.organization())
    ours.sealed_secrets = theirs.sealed_secrets
    with pytest.raises(InvalidTag):
        await opened(ports, ports.settings, ours)


async def test_g14_the_organization_and_the_column_are_bound_to_the_ciphertext(ports: Ports, make: Factory) -> None:
    channel = await a_channel(ports, await make.organization())
    other = await make.organization()
    sealed = channel.sealed_secrets
    assert sealed is not None
    keys = ports.settings.master_keys
    async with ports.database.session(channel.organization_id) as session:
        assert await vault.unseal(session, keys, channel.organization_id, channels.SECRETS, sealed) == SECRETS
        with pytest.raises(InvalidTag):
            await vault.unseal(session, keys, channel.organization_id, "channels.other_column", sealed)
        with pytest.raises(InvalidTag):
            await vault.unseal(session, keys, other.id, channels.SECRETS, sealed)
        broken = bytes([*sealed[:-1], sealed[-1] ^ 1])
        with pytest.raises(InvalidTag):
            await vault.unseal(session, keys, channel.organization_id, channels.SECRETS, broken)


async def test_g14_equal_secrets_do_not_look_equal(ports: Ports, make: Factory) -> None:
    organization = await make.organization()
    async with ports.units.of_system(organization.id) as uow:
        sealed = {await vault.seal(uow, channels.SECRETS, SECRETS) for _ in range(2)}
    assert len(sealed) == 2


async def test_g14_master_keys_rotate_while_secrets_stay_readable(ports: Ports, make: Factory) -> None:
    channel = await a_channel(ports, await make.organization())
    old, new = ports.settings.master_keys, {"2027": bytes(range(32))}
    both = replace(ports.settings, master_keys={**new, **old})
    units = UnitsOfWork(ports.database, ports.clock, ports.bus, ports.jobs, ports.units._listeners, both)
    async with units.of_system(channel.organization_id) as uow:
        assert await vault.rewrap(uow) is True
    async with units.of_system(channel.organization_id) as uow:
        assert await vault.rewrap(uow) is False
        assert (await uow.session.execute(select(vault.DataKey.master_key_id))).scalar_one() == "2027"
    assert await opened(ports, both, channel) == SECRETS
    assert await opened(ports, replace(both, master_keys=new), channel) == SECRETS
    with pytest.raises(KeyError):
        await opened(ports, replace(both, master_keys=old), channel)
