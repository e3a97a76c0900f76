"""Who did what, through the door of org admins."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory, SignedIn

CREATE = """mutation ($input: CreateDepartmentInput!) { createDepartment(input: $input) {
    department { id } userErrors { code } } }"""
UPDATE = """mutation ($input: UpdateDepartmentInput!) { updateDepartment(input: $input) {
    department { id } userErrors { code } } }"""
LOG = """query ($entityType: String, $entityId: ID, $actorId: ID, $from: DateTime, $to: DateTime, $first: Int,
    $after: String) {
    auditLog(entityType: $entityType, entityId: $entityId, actorId: $actorId, from: $from, to: $to, first: $first,
        after: $after) {
    nodes { id action entityType entityId actorKind actorName actor { id } changes ipAddress at }
    totalCount pageInfo { hasNextPage endCursor } } }"""


@pytest.fixture
async def admin(make: Factory) -> SignedIn:
    return await make.signed_in(await make.member(await make.organization(), Role.ORG_ADMIN, name="Ana"))


@pytest.fixture
def client(http: httpx.AsyncClient, admin: SignedIn) -> Client:
    return Client(http, admin.token)


async def make_department(client: Client, name: str) -> str:
    id_: str = (await client.ask(CREATE, input={"name": name}))["department"]["id"]
    return id_


async def test_g23_an_entry_tells_all(client: Client, admin: SignedIn) -> None:
    id_ = await make_department(client, "Vendas")
    await client.ask(UPDATE, input={"id": id_, "name": "Compras", "isActive": False})
    log = await client.ask(LOG)
    assert log["totalCount"] == 2
    updated, created = log["nodes"]
    assert updated["at"] >= created["at"]
    assert {key: updated[key] for key in updated if key not in {"at", "id", "ipAddress"}} == {
        "action": "department.updated",
        "entityType": "Department",
        "entityId": id_,
        "actorKind": "MEMBER",
        "actorName": "Ana",
        "actor": {"id": global_id("Member", admin.member.id)},
        "changes": {"name": {"from": "Vendas", "to": "Compras"}, "isActive": {"from": True, "to": False}},
    }
    assert updated["ipAddress"] is not None
    assert (created["action"], created["changes"]) == ("department.created", {"name": {"from": None, "to": "Vendas"}})
    assert await client.ask("query ($id: ID!) { node(id: $id) { id __typename } }", id=created["id"]) == {
        "id": created["id"], "__typename": "AuditEntry",
    }  # fmt: skip


async def test_a_refusal_leaves_no_entry(client: Client) -> None:
    assert (await client.ask(CREATE, input={"name": ""}))["userErrors"] == [{"code": "REQUIRED"}]
    assert (await client.ask(LOG))["totalCount"] == 0


async def test_filters(make: Factory, http: httpx.AsyncClient) -> None:
    organization = await make.organization()
    boss = await make.signed_in(await make.member(organization, Role.ORG_ADMIN))
    other = await make.signed_in(await make.member(organization, Role.ORG_ADMIN))
    client, second = Client(http, boss.token), Client(http, other.token)
    one = await make_department(client, "Um")
    two = await make_department(second, "Dois")
    await second.ask(UPDATE, input={"id": one, "description": "x"})

    async def found(**given: Any) -> list[tuple[str, str]]:
        log = await client.ask(LOG, **given)
        entries = [(node["action"], node["entityId"]) for node in log["nodes"]]
        assert log["totalCount"] == len(entries)
        return entries

    of_one = [("department.updated", one), ("department.created", one)]
    of_two = [("department.created", two)]
    assert await found() == [of_one[0], *of_two, of_one[1]]
    assert await found(entityType="Department", entityId=one) == of_one
    assert await found(entityId=two) == of_two
    assert await found(entityType="Queue") == []
    assert await found(entityType="Queue", entityId=one) == []
    assert await found(actorId=global_id("Member", boss.member.id)) == [of_one[1]]
    assert await found(actorId=global_id("Member", other.member.id), entityId=one) == [of_one[0]]
    for nowhere in ("x", f"Queue_{other.member.id.hex}", f"Member_{'0' * 32}"):
        assert await found(actorId=nowhere) == []
    assert await found(entityId="x") == []


async def test_the_span_is_half_open(client: Client) -> None:
    await make_department(client, "Um")
    [entry] = (await client.ask(LOG))["nodes"]
    at = datetime.fromisoformat(entry["at"])
    later = (at + timedelta(microseconds=1)).isoformat()
    for given, count in (
        ({"from": at.isoformat()}, 1),
        ({"from": later}, 0),
        ({"to": at.isoformat()}, 0),
        ({"to": later}, 1),
        ({"from": at.isoformat(), "to": later}, 1),
    ):
        assert (await client.ask(LOG, **given))["totalCount"] == count


async def test_pages_neither_repeat_nor_lose(client: Client) -> None:
    names = [await make_department(client, f"D{number}") for number in range(5)]
    seen, after = [], None
    for _ in range(3):
        page = await client.ask(LOG, first=2, after=after)
        seen += [node["entityId"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == names[::-1]
    assert page["pageInfo"]["hasNextPage"] is False


async def test_g1_each_organization_has_its_own_log(client: Client, make: Factory, http: httpx.AsyncClient) -> None:
    id_ = await make_department(client, "Um")
    entry = (await client.ask(LOG))["nodes"][0]["id"]
    stranger = await make.signed_in(await make.member(await make.organization(), Role.ORG_ADMIN))
    theirs = Client(http, stranger.token)
    assert (await theirs.ask(LOG))["totalCount"] == 0
    assert (await theirs.ask(LOG, entityId=id_))["nodes"] == []
    assert await theirs.ask("query ($id: ID!) { node(id: $id) { id } }", id=entry) is None


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_read_it(
    client: Client, make: Factory, http: httpx.AsyncClient, admin: SignedIn, role: Role
) -> None:
    await make_department(client, "Um")
    entry = (await client.ask(LOG))["nodes"][0]["id"]
    async with make.ports.database.session(admin.member.organization_id) as session:
        organization = await session.get_one(Organization, admin.member.organization_id)
    person = Client(http, (await make.signed_in(await make.member(organization, role))).token)
    assert await person.code("{ auditLog(first: 1) { totalCount } }") == "FORBIDDEN"
    assert await person.ask("query ($id: ID!) { node(id: $id) { id } }", id=entry) is None


async def test_g2_nobody_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code("{ auditLog(first: 1) { totalCount } }") == "UNAUTHENTICATED"


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET actor_name = 'x'", "DELETE FROM audit_entries"])
async def test_g23_entries_are_neither_changed_nor_deleted(
    client: Client, admin: SignedIn, ports: Ports, statement: str
) -> None:
    await make_department(client, "Um")
    async with ports.database.session(admin.member.organization_id) as session:
        with pytest.raises(DBAPIError, match="permission denied"):
            await session.execute(sa.text(statement))
    assert (await client.ask(LOG))["nodes"][0]["actorName"] == "Ana"
