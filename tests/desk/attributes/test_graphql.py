"""Custom fields of contacts through the door."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

FIELDS = "id key name kind choices"
SAVE = f"""mutation ($input: SaveContactAttributeInput!) {{ saveContactAttribute(input: $input) {{
    contactAttribute {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
DELETE = f"""mutation ($input: DeleteContactAttributeInput!) {{ deleteContactAttribute(input: $input) {{
    contactAttribute {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
ALL = f"{{ contactAttributes {{ {FIELDS} }} }}"
CREATE = """mutation ($input: CreateContactInput!) { createContact(input: $input) {
    contact { id attributes } userErrors { code message field } } }"""
UPDATE = """mutation ($input: UpdateContactInput!) { updateContact(input: $input) {
    contact { id attributes } userErrors { code field } } }"""


@dataclass(frozen=True)
class Shop:
    organization: Organization
    admin: Client
    make: Factory

    async def define(self, key: str, kind: str, **given: Any) -> str:
        made = await self.admin.ask(SAVE, input={"key": key, "name": key.title(), "kind": kind, **given})
        assert made["userErrors"] == []
        id_: str = made["contactAttribute"]["id"]
        return id_

    async def refused(self, document: str, **given: Any) -> list[tuple[str, list[str] | None]]:
        before = await self.admin.ask(ALL)
        answer = await self.admin.ask(document, input=given)
        assert next(iter(answer.values())) is None
        assert await self.admin.ask(ALL) == before
        return [(error["code"], error["field"]) for error in answer["userErrors"]]


@pytest.fixture
async def shop(make: Factory, http: httpx.AsyncClient) -> Shop:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    return Shop(organization, admin, make)


async def test_a_custom_field_is_made_changed_and_deleted(shop: Shop) -> None:
    given = {"key": "plano", "name": " Plano ", "kind": "CHOICE", "choices": ["Ouro", " Prata "]}
    made = await shop.admin.ask(SAVE, input=given)
    id_ = made["contactAttribute"]["id"]
    expected = {**given, "id": id_, "name": "Plano", "choices": ["Ouro", "Prata"]}
    assert made == {"contactAttribute": expected, "userErrors": []}
    assert await shop.admin.ask(ALL) == [expected]
    node = f"query ($id: ID!) {{ node(id: $id) {{ ... on ContactAttribute {{ {FIELDS} }} }} }}"
    assert await shop.admin.ask(node, id=id_) == expected
    renamed = await shop.admin.ask(SAVE, input={"id": id_, "key": "plano", "name": "Tarifa", "kind": "CHOICE"})
    assert renamed["contactAttribute"] == {**expected, "name": "Tarifa"}
    fewer = {"id": id_, "key": "plano", "name": "Tarifa", "kind": "CHOICE", "choices": ["Ouro"]}
    assert (await shop.admin.ask(SAVE, input=fewer))["contactAttribute"]["choices"] == ["Ouro"]
    assert (await shop.admin.ask(DELETE, input={"id": id_}))["contactAttribute"]["id"] == id_
    assert await shop.admin.ask(ALL) == []
    async with shop.make.ports.database.session(shop.organization.id) as session:
        entries = (await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
    assert [(entry.action, sorted(entry.changes)) for entry in entries] == [
        ("contact_attribute.created", ["key", "kind"]),
        ("contact_attribute.updated", ["name"]),
        ("contact_attribute.updated", ["choices"]),
        ("contact_attribute.deleted", ["key"]),
    ]


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"key": " "}, [("REQUIRED", ["key"])]),
        ({"key": "k" * 61, "name": ""}, [("TOO_LONG", ["key"]), ("REQUIRED", ["name"])]),
        ({"key": "plano"}, [("TAKEN", ["key"])]),
        ({"kind": "CHOICE"}, [("REQUIRED", ["choices"])]),
        ({"kind": "CHOICE", "choices": []}, [("REQUIRED", ["choices"])]),
        (
            {"kind": "CHOICE", "choices": ["A", "", "A"]},
            [("REQUIRED", ["choices", "1"]), ("INVALID", ["choices", "2"])],
        ),
        ({"kind": "CHOICE", "choices": [str(n) for n in range(101)]}, [("TOO_MANY", ["choices"])]),
        ({"kind": "NUMBER", "choices": ["1"]}, [("INVALID", ["choices"])]),
        ({"key": "a\0b"}, [("INVALID", ["key"])]),
    ],
)
async def test_what_is_no_custom_field_is_refused(shop: Shop, given: dict[str, Any], problems: list[Any]) -> None:
    await shop.define("plano", "TEXT")
    assert await shop.refused(SAVE, **{"key": "novo", "name": "Novo", "kind": "TEXT", **given}) == problems


async def test_key_and_kind_stay_as_they_were_made(shop: Shop) -> None:
    id_ = await shop.define("plano", "TEXT")
    changed = {"id": id_, "key": "tarifa", "name": "Plano", "kind": "NUMBER"}
    assert await shop.refused(SAVE, **changed) == [("INVALID", ["key"]), ("INVALID", ["kind"])]


async def test_values_of_a_defined_key_are_checked(shop: Shop) -> None:
    await shop.define("assentos", "NUMBER")
    id_ = await shop.define("plano", "CHOICE", choices=["Ouro", "Prata"])
    wrong = {"assentos": "3", "plano": "Bronze", "livre": "Bronze"}
    refused = await shop.admin.ask(CREATE, input={"attributes": wrong})
    assert refused == {
        "contact": None,
        "userErrors": [
            {"code": "INVALID", "message": "A number.", "field": ["attributes", "assentos"]},
            {"code": "INVALID", "message": "One of: Ouro, Prata.", "field": ["attributes", "plano"]},
        ],
    }
    right = {"assentos": 3, "plano": "Ouro", "livre": "Bronze"}
    made = await shop.admin.ask(CREATE, input={"attributes": right})
    assert made["contact"]["attributes"] == right
    refused = await shop.admin.ask(UPDATE, input={"id": made["contact"]["id"], "attributes": {"plano": True}})
    assert refused["userErrors"] == [{"code": "INVALID", "field": ["attributes", "plano"]}]
    await shop.admin.ask(DELETE, input={"id": id_})
    freed = await shop.admin.ask(UPDATE, input={"id": made["contact"]["id"], "attributes": {"plano": True}})
    assert freed["contact"]["attributes"] == {"plano": True}


async def test_what_a_page_tells_of_its_visitor_is_left_out_where_it_does_not_fit(shop: Shop) -> None:
    """A definition must not close the chat of a site that says something else."""
    await shop.define("assentos", "NUMBER")
    channel = await shop.make.channel(shop.organization)
    visit = """mutation ($input: StartVisitInput!) { startVisit(input: $input) { userErrors { code } } }"""
    given = {"channelId": f"Channel_{channel.id.hex}", "name": "Bia", "attributes": {"assentos": "3", "plano": "Ouro"}}
    assert await Client(shop.admin.http, None).ask(visit, input=given) == {"userErrors": []}
    found = (await shop.admin.ask("{ contacts { nodes { name attributes } } }"))["nodes"]
    assert found == [{"name": "Bia", "attributes": {"plano": "Ouro"}}]


async def test_g2_admins_define_and_members_read(shop: Shop, http: httpx.AsyncClient) -> None:
    id_ = await shop.define("plano", "TEXT")
    for role in (Role.AGENT, Role.VIEWER):
        client = Client(http, (await shop.make.signed_in(await shop.make.member(shop.organization, role))).token)
        assert await client.code(SAVE, input={"key": "x", "name": "X", "kind": "TEXT"}) == "FORBIDDEN"
        assert await client.code(DELETE, input={"id": id_}) == "FORBIDDEN"
        assert [row["key"] for row in await client.ask(ALL)] == ["plano"]
