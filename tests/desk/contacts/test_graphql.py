"""Contacts, through the door."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.conftest import TravellingClock
from tests.factories import Factory

FIELDS = "id name phone email attributes isBlocked optedOutAt"
CREATE = f"""mutation ($input: CreateContactInput!) {{ createContact(input: $input) {{
    contact {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
UPDATE = f"""mutation ($input: UpdateContactInput!) {{ updateContact(input: $input) {{
    contact {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
READ = f"query ($id: ID!) {{ contact(id: $id) {{ {FIELDS} }} }}"
LIST = """query ($filter: ContactFilter, $first: Int, $after: String, $last: Int, $before: String) {
    contacts(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
        nodes { name } edges { cursor } totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


@dataclass(frozen=True)
class Desk:
    """An organization, as an agent works in it."""

    organization: Organization
    agent: Client
    make: Factory

    async def contact(self, **values: Any) -> str:
        made = await self.agent.ask(CREATE, input=values)
        assert made["userErrors"] == []
        id_: str = made["contact"]["id"]
        return id_

    async def read(self, id_: str) -> Any:
        return await self.agent.ask(READ, id=id_)

    async def refused(self, document: str, **given: Any) -> list[tuple[str, list[str] | None]]:
        answer = await self.agent.ask(document, input=given)
        assert answer["contact"] is None
        return [(error["code"], error["field"]) for error in answer["userErrors"]]

    async def audited(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.make.ports.database.session(self.organization.id) as session:
            entries = await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))
            return [(entry.action, entry.changes) for entry in entries.scalars()]


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    organization = await make.organization()
    return Desk(organization, Client(http, (await make.signed_in(await make.member(organization))).token), make)


async def test_a_contact_is_made_read_and_changed(desk: Desk, clock: TravellingClock) -> None:
    attributes = {"plan": "pro", "seats": 3, "is_vip": True}
    made = await desk.agent.ask(
        CREATE,
        input={"name": " Bia ", "phone": "(11) 98765-4321", "email": "Bia@Example.com", "attributes": attributes},
    )
    id_ = made["contact"]["id"]
    expected = {
        "id": id_,
        "name": "Bia",
        "phone": "+5511987654321",
        "email": "bia@example.com",
        "attributes": attributes,
        "isBlocked": False,
        "optedOutAt": None,
    }
    assert made == {"contact": expected, "userErrors": []}
    assert await desk.read(id_) == expected
    changed = await desk.agent.ask(
        UPDATE, input={"id": id_, "phone": None, "attributes": {}, "isBlocked": True, "optedOut": True}
    )
    opted_out_at = changed["contact"].pop("optedOutAt")
    rest = {**expected, "phone": None, "attributes": {}, "isBlocked": True}
    rest.pop("optedOutAt")
    assert changed == {"contact": rest, "userErrors": []}
    clock.advance(minutes=5)
    kept = await desk.agent.ask(UPDATE, input={"id": id_, "optedOut": True})
    assert kept["contact"]["optedOutAt"] == opted_out_at
    back = await desk.agent.ask(UPDATE, input={"id": id_, "optedOut": False})
    assert back["contact"]["optedOutAt"] is None
    told = [(action, sorted(changes)) for action, changes in await desk.audited()]
    assert told == [
        ("contact.created", ["attributes", "email", "name", "phone"]),
        ("contact.updated", ["attributes", "is_blocked", "opted_out_at", "phone"]),
        ("contact.updated", ["opted_out_at"]),
    ]


async def test_nothing_needs_to_be_known(desk: Desk) -> None:
    id_ = await desk.contact()
    found = await desk.read(id_)
    assert (found["name"], found["phone"], found["email"], found["attributes"]) == (None, None, None, {})


async def test_a_phone_without_a_country_is_read_in_the_organizations(make: Factory, http: httpx.AsyncClient) -> None:
    for region, phone in (("US-CA", "+14155552671"), ("DE", "+494155552671"), (None, "+554155552671")):
        organization = await make.organization(holiday_region=region)
        client = Client(http, (await make.signed_in(await make.member(organization))).token)
        made = await client.ask(CREATE, input={"phone": "415 555 2671"})
        assert (region, made["contact"]["phone"]) == (region, phone)


async def test_all_that_is_wrong_is_said_at_once_and_nothing_changes(desk: Desk) -> None:
    wrong = {
        "name": "a\nb",
        "phone": "call me",
        "email": "nobody",
        "attributes": {"plan_code": None, "seats": [1]},
    }
    expected = [
        ("INVALID", ["name"]),
        ("INVALID", ["phone"]),
        ("INVALID", ["email"]),
        ("INVALID", ["attributes", "plan_code"]),
        ("INVALID", ["attributes", "seats"]),
    ]
    assert await desk.refused(CREATE, **wrong) == expected
    assert (await desk.agent.ask(LIST))["totalCount"] == 0
    id_ = await desk.contact(name="Bia")
    before = await desk.read(id_)
    assert await desk.refused(UPDATE, id=id_, **wrong) == expected
    for field in ("attributes", "isBlocked", "optedOut"):
        assert await desk.refused(UPDATE, id=id_, name="X", **{field: None}) == [("REQUIRED", [field])]
    assert await desk.read(id_) == before
    assert [action for action, _ in await desk.audited()] == ["contact.created"]


@pytest.mark.parametrize("attributes", [[], "", 0, False])
async def test_attributes_that_are_no_object_are_refused(desk: Desk, attributes: Any) -> None:
    assert await desk.refused(CREATE, attributes=attributes) == [("INVALID", ["attributes"])]


async def test_g28_nul_inside_attributes_is_refused_with_its_path(desk: Desk) -> None:
    assert await desk.refused(CREATE, attributes={"plan_code": "a\0b"}) == [("INVALID", ["attributes", "plan_code"])]
    assert (await desk.agent.ask(LIST))["totalCount"] == 0


async def names(client: Client, **filters: Any) -> list[str]:
    found = await client.ask(LIST, filter=filters)
    assert found["totalCount"] == len(found["nodes"])
    return [node["name"] for node in found["nodes"]]


async def test_contacts_are_found_by_what_fits(desk: Desk) -> None:
    now = desk.make.ports.clock.now()
    known: list[dict[str, Any]] = [
        {"name": "Ana 100%", "phone": "+5511987654321"},
        {"name": "Bia", "email": "bia@example.com", "is_blocked": True},
        {"name": "Caio", "opted_out_at": now},
    ]
    for age, values in enumerate(known):
        await desk.make.contact(desk.organization, created_at=now - timedelta(minutes=age), **values)
    assert await names(desk.agent) == ["Ana 100%", "Bia", "Caio"]
    assert await names(desk.agent, search=" 98765 ") == ["Ana 100%"]
    assert await names(desk.agent, search="100%") == ["Ana 100%"]
    assert await names(desk.agent, search="%") == []
    assert await names(desk.agent, search="A_A") == []
    assert await names(desk.agent, search="EXAMPLE") == ["Bia"]
    assert await names(desk.agent, isBlocked=True) == ["Bia"]
    assert await names(desk.agent, isBlocked=False, optedOut=False) == ["Ana 100%"]
    assert await names(desk.agent, optedOut=True) == ["Caio"]


async def test_contacts_are_paged_newest_first_both_ways(desk: Desk) -> None:
    now = desk.make.ports.clock.now()
    for number in range(5):
        await desk.make.contact(desk.organization, name=str(number), created_at=now - timedelta(minutes=number))
    first = await desk.agent.ask(LIST, first=2)
    assert [node["name"] for node in first["nodes"]] == ["0", "1"]
    assert first["totalCount"] == 5
    assert first["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": first["edges"][0]["cursor"],
        "endCursor": first["edges"][1]["cursor"],
    }
    after = await desk.agent.ask(LIST, first=3, after=first["pageInfo"]["endCursor"])
    assert [node["name"] for node in after["nodes"]] == ["2", "3", "4"]
    assert after["pageInfo"]["hasNextPage"] is False
    last = await desk.agent.ask(LIST, last=2, before=after["pageInfo"]["startCursor"])
    assert [node["name"] for node in last["nodes"]] == ["0", "1"]
    assert await desk.agent.code(LIST, first=101) == "BAD_USER_INPUT"
    assert await desk.agent.code(LIST, after="nonsense") == "BAD_USER_INPUT"


async def test_g1_another_organizations_contact_is_not_there(desk: Desk, make: Factory) -> None:
    theirs = await make.contact(await make.organization(), name="Alheia")
    id_ = global_id("Contact", theirs.id)
    assert await desk.refused(UPDATE, id=id_, name="Minha") == [("NOT_FOUND", ["id"])]
    assert await desk.refused(UPDATE, id=f"Contact_{'0' * 32}", name="Minha") == [("NOT_FOUND", ["id"])]
    assert await desk.read(id_) is None
    assert await desk.agent.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
    assert (await desk.agent.ask(LIST))["totalCount"] == 0
    async with make.ports.database.session(theirs.organization_id) as session:
        assert (await session.get_one(type(theirs), (theirs.organization_id, theirs.id))).name == "Alheia"


async def test_g2_viewers_read_contacts_and_change_none(desk: Desk, http: httpx.AsyncClient) -> None:
    id_ = await desk.contact(name="Bia")
    viewer = await desk.make.member(desk.organization, Role.VIEWER)
    client = Client(http, (await desk.make.signed_in(viewer)).token)
    assert await client.code(CREATE, input={"name": "X"}) == "FORBIDDEN"
    assert await client.code(UPDATE, input={"id": id_, "name": "X"}) == "FORBIDDEN"
    assert (await client.ask(READ, id=id_))["name"] == "Bia"


async def test_g2_nobody_reads_contacts_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code(LIST) == "UNAUTHENTICATED"
    assert await anonymous.code(CREATE, input={}) == "UNAUTHENTICATED"
