"""Tags through the door: as each role, and as strangers."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlmodel import col, func, select

from pytake_gql.desk.tags import service as tags
from pytake_gql.desk.tags.models import Tag
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

SAVE = """mutation ($input: SaveTagInput!) { saveTag(input: $input) {
    tag { id name color } userErrors { code field } } }"""
DELETE = """mutation ($input: DeleteTagInput!) { deleteTag(input: $input) {
    tag { id name color } userErrors { code field } } }"""
ALL = "{ tags { id name color } }"
GREY = "#4B5563"


@dataclass(frozen=True)
class Shop:
    organization: Organization
    admin: Client
    make: Factory

    async def tag(self, name: str, **given: Any) -> str:
        made = await self.admin.ask(SAVE, input={"name": name, **given})
        assert made["userErrors"] == []
        id_: str = made["tag"]["id"]
        return id_

    async def refused(self, document: str, **given: Any) -> list[tuple[str, list[str] | None]]:
        before = await self.admin.ask(ALL)
        answer = await self.admin.ask(document, input=given)
        assert answer["tag"] is None
        assert await self.admin.ask(ALL) == before
        return [(error["code"], error["field"]) for error in answer["userErrors"]]

    async def audited(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.make.ports.database.session(self.organization.id) as session:
            entries = await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))
            return [(entry.action, entry.changes) for entry in entries.scalars()]


@pytest.fixture
async def shop(make: Factory, http: httpx.AsyncClient) -> Shop:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    return Shop(organization, admin, make)


async def test_a_tag_is_made_changed_and_deleted(shop: Shop) -> None:
    made = await shop.admin.ask(SAVE, input={"name": " VIP "})
    id_ = made["tag"]["id"]
    assert made == {"tag": {"id": id_, "name": "VIP", "color": GREY}, "userErrors": []}
    coloured = await shop.admin.ask(SAVE, input={"id": id_, "name": "VIP", "color": "#aa00ff"})
    assert coloured["tag"] == {"id": id_, "name": "VIP", "color": "#AA00FF"}
    renamed = await shop.admin.ask(SAVE, input={"id": id_, "name": "vip"})
    assert renamed["tag"] == {"id": id_, "name": "vip", "color": "#AA00FF"}
    node = "query ($id: ID!) { node(id: $id) { ... on Tag { name color } } }"
    assert await shop.admin.ask(node, id=id_) == {"name": "vip", "color": "#AA00FF"}
    assert (await shop.admin.ask(DELETE, input={"id": id_}))["tag"] == renamed["tag"]
    assert await shop.admin.ask(ALL) == []
    assert await shop.admin.ask(node, id=id_) is None
    assert await shop.audited() == [
        ("tag.created", {"name": {"from": None, "to": "VIP"}}),
        ("tag.updated", {"color": {"from": GREY, "to": "#AA00FF"}}),
        ("tag.updated", {"name": {"from": "VIP", "to": "vip"}}),
        ("tag.deleted", {"name": {"from": "vip", "to": None}}),
    ]


async def test_tags_are_listed_in_alphabetical_order(shop: Shop) -> None:
    for name in ("vip", "Ação", "novo"):
        await shop.tag(name)
    assert [tag["name"] for tag in await shop.admin.ask(ALL)] == ["Ação", "novo", "vip"]


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"name": "  "}, [("REQUIRED", ["name"])]),
        ({"name": "x" * 61}, [("TOO_LONG", ["name"])]),
        ({"name": "a\nb", "color": "red"}, [("INVALID", ["name"]), ("INVALID", ["color"])]),
        ({"name": "Nova", "color": "#12345"}, [("INVALID", ["color"])]),
        ({"name": "a\0b"}, [("INVALID", ["name"])]),
        ({"name": "AÇÃO"}, [("TAKEN", ["name"])]),
        ({"name": "Ac\u0327a\u0303o"}, [("TAKEN", ["name"])]),  # the same letters, composed otherwise
        ({"name": "Nova", "id": "Tag_1"}, [("NOT_FOUND", ["id"])]),
    ],
)
async def test_what_is_no_tag_is_refused(shop: Shop, given: dict[str, Any], problems: list[Any]) -> None:
    await shop.tag("Ação")
    assert await shop.refused(SAVE, **given) == problems


async def test_an_update_is_held_to_the_same_rules(shop: Shop) -> None:
    await shop.tag("VIP")
    id_ = await shop.tag("Novo", color="#112233")
    assert await shop.refused(SAVE, id=id_, name="vip") == [("TAKEN", ["name"])]
    assert await shop.refused(SAVE, id=id_, name="Novo", color=None) == [("INVALID", ["color"])]


async def test_a_name_is_taken_once_however_many_ask_at_once(shop: Shop) -> None:
    told = await asyncio.gather(*(shop.admin.ask(SAVE, input={"name": name}) for name in ["vip", "VIP"] * 4))
    assert sorted([error["code"] for error in answer["userErrors"]] for answer in told) == [[], *[["TAKEN"]] * 7]
    assert len(await shop.admin.ask(ALL)) == 1


async def test_an_organization_has_at_most_five_hundred(shop: Shop) -> None:
    rows = [Tag(name=f"T{number}", name_key=f"t{number}") for number in range(tags.MOST)]
    async with shop.make.ports.units.of_system(shop.organization.id) as uow:
        uow.session.add_all(rows)
    answer = await shop.admin.ask(SAVE, input={"name": "Mais uma"})
    assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [("LIMIT_REACHED", None)]
    async with shop.make.ports.database.session(shop.organization.id) as session:
        assert await session.scalar(select(func.count()).select_from(Tag)) == tags.MOST


async def test_g2_admins_make_tags_and_members_read_them(shop: Shop, http: httpx.AsyncClient) -> None:
    id_ = await shop.tag("VIP")
    for role in (Role.AGENT, Role.VIEWER):
        member = await shop.make.member(shop.organization, role)
        client = Client(http, (await shop.make.signed_in(member)).token)
        assert await client.code(SAVE, input={"name": "X"}) == "FORBIDDEN"
        assert await client.code(DELETE, input={"id": id_}) == "FORBIDDEN"
        assert await client.ask(ALL) == [{"id": id_, "name": "VIP", "color": GREY}]


async def test_g1_another_organizations_tag_is_not_there(shop: Shop, make: Factory) -> None:
    other = await make.organization()
    theirs = Tag(name="Alheia", name_key="alheia")
    await make.save(other.id, theirs)
    id_ = global_id("Tag", theirs.id)
    assert await shop.refused(SAVE, id=id_, name="Minha") == [("NOT_FOUND", ["id"])]
    assert await shop.refused(DELETE, id=id_) == [("NOT_FOUND", ["id"])]
    await shop.tag("Alheia")
    async with make.ports.database.session(other.id) as session:
        assert (await session.get_one(Tag, (other.id, theirs.id))).name == "Alheia"
