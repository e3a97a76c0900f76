"""Whose a phone is (D30): one contact has it, with and without the ninth digit, whoever comes first."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, func, select

from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory

CREATE = """mutation ($input: CreateContactInput!) { createContact(input: $input) {
    contact { id phone } userErrors { code field } } }"""
UPDATE = """mutation ($input: UpdateContactInput!) { updateContact(input: $input) {
    contact { id phone } userErrors { code field } } }"""
WITH, WITHOUT = "+5511987654321", "+551187654321"
TAKEN = [{"code": "TAKEN", "field": ["phone"]}]


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


async def identify(desk: Desk, external_id: str, **given: Any) -> UUID:
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        return (await contacts.identify(uow, desk.channel.id, external_id, **given))[1].id


async def known(desk: Desk) -> list[tuple[str | None, str | None]]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        rows = (await session.execute(select(Contact).order_by(col(Contact.id)))).scalars()
        return [(row.phone, row.phone_key) for row in rows]


async def test_d30_a_phone_that_another_contact_has_is_taken(desk: Desk) -> None:
    first = (await desk.agent.ask(CREATE, input={"phone": WITH}))["contact"]["id"]
    refused = await desk.agent.ask(CREATE, input={"phone": WITHOUT, "name": "X"})
    assert refused == {"contact": None, "userErrors": TAKEN}
    second = (await desk.agent.ask(CREATE, input={"name": "Y"}))["contact"]["id"]
    assert (await desk.agent.ask(UPDATE, input={"id": second, "phone": WITHOUT}))["userErrors"] == TAKEN
    assert await known(desk) == [(WITH, WITH), (None, None)]
    # The own phone may be written otherwise, and one that is given up is free.
    assert (await desk.agent.ask(UPDATE, input={"id": first, "phone": WITHOUT}))["contact"]["phone"] == WITHOUT
    assert (await desk.agent.ask(UPDATE, input={"id": first, "phone": None}))["userErrors"] == []
    assert (await desk.agent.ask(UPDATE, input={"id": second, "phone": WITH}))["userErrors"] == []
    assert await known(desk) == [(None, None), (WITH, WITH)]


async def test_d30_of_many_who_take_a_phone_at_once_one_has_it(desk: Desk) -> None:
    asked = [desk.agent.ask(CREATE, input={"phone": phone}) for phone in [WITH, WITHOUT] * 4]
    told = await asyncio.gather(*asked)
    assert sorted(str(answer["userErrors"]) for answer in told) == sorted(["[]", *[str(TAKEN)] * 7])
    assert [key for _, key in await known(desk)] == [WITH]


async def test_d30_a_proven_phone_leads_to_the_contact_that_has_it(desk: Desk) -> None:
    row = await desk.make.contact(desk.organization, name="Ana", phone=WITH, phone_key=WITH)
    told = {"name": "ana da silva", "email": "ana@example.com"}
    assert await identify(desk, "551187654321", proven_phone="551187654321", **told) == row.id
    assert await identify(desk, "5511987654321", proven_phone="5511987654321", **told) == row.id
    async with desk.make.ports.database.session(desk.organization.id) as session:
        found = (await session.execute(select(Contact))).scalar_one()
        identities = (await session.execute(select(ContactIdentity.external_id, ContactIdentity.display_name))).all()
    assert (found.name, found.phone, found.email) == ("Ana", WITH, "ana@example.com")
    assert sorted(map(tuple, identities)) == [("551187654321", "ana da silva"), ("5511987654321", "ana da silva")]


async def test_d26_d30_twenty_first_messages_of_one_number_make_one_contact(desk: Desk) -> None:
    """An album from somebody new, told with and without the ninth digit."""
    numbers = ["551187654321", "5511987654321"] * 10
    found = await asyncio.gather(*(identify(desk, number, proven_phone=number, name="Ana") for number in numbers))
    assert len(set(found)) == 1
    assert [key for _, key in await known(desk)] == [WITH]
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert await session.scalar(select(func.count()).select_from(ContactIdentity)) == 2
        entries = (await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
    known_now = {"from": False, "to": True}
    assert [(entry.action, entry.changes) for entry in entries] == [
        ("contact.created", {"name": known_now, "phone": known_now}),
        ("contact.updated", {"identities": known_now}),
    ]


async def test_a_phone_that_a_visitor_claims_opens_nobodys_conversations(desk: Desk) -> None:
    row = await desk.make.contact(desk.organization, name="Ana", phone=WITH, phone_key=WITH)
    claimed = await identify(desk, "visitor:1", phone=WITH, name="Impostora")
    assert claimed != row.id
    assert await known(desk) == [(WITH, WITH), (WITH, None)]
    # A member who believes it is told whose the phone is, and may merge the two.
    confirm = {"id": global_id("Contact", claimed), "phone": WITH}
    assert (await desk.agent.ask(UPDATE, input=confirm))["userErrors"] == TAKEN
    # And a claim does not replace a phone that somebody vouches for.
    assert await identify(desk, "551187654321", proven_phone=WITHOUT) == row.id
    assert await identify(desk, "551187654321", phone="+14155552671") == row.id
    assert (await known(desk))[0] == (WITH, WITH)
