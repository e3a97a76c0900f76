"""Departments, through the door."""

import asyncio

import httpx
import pytest

from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from tests.client import Client
from tests.factories import Factory

CREATE = """mutation ($input: CreateDepartmentInput!) { createDepartment(input: $input) {
    department { id name description color icon isActive } userErrors { code field message } } }"""
UPDATE = """mutation ($input: UpdateDepartmentInput!) { updateDepartment(input: $input) {
    department { name description color isActive } userErrors { code field } } }"""
DELETE = """mutation ($input: DeleteDepartmentInput!) { deleteDepartment(input: $input) {
    department { id } userErrors { code field } } }"""


@pytest.fixture
async def admin(make: Factory, http: httpx.AsyncClient) -> Client:
    organization = await make.organization()
    member = await make.member(organization, Role.ORG_ADMIN)
    return Client(http, (await make.signed_in(member)).token)


async def test_a_department_is_made_read_changed_and_deleted(admin: Client) -> None:
    made = await admin.ask(CREATE, input={"name": " Vendas ", "color": "#aabbcc"})
    assert made["userErrors"] == []
    id_ = made["department"].pop("id")
    assert made["department"] == {
        "name": "Vendas", "description": None, "color": "#AABBCC", "icon": None, "isActive": True,
    }  # fmt: skip
    assert await admin.ask("{ departments { id name } }") == [{"id": id_, "name": "Vendas"}]
    changed = await admin.ask(UPDATE, input={"id": id_, "description": "Quem compra", "isActive": False})
    assert changed["department"] == {
        "name": "Vendas", "description": "Quem compra", "color": "#AABBCC", "isActive": False,
    }  # fmt: skip
    assert await admin.ask("query ($id: ID!) { node(id: $id) { id __typename } }", id=id_) == {
        "id": id_, "__typename": "Department",
    }  # fmt: skip
    assert await admin.ask(DELETE, input={"id": id_}) == {"department": {"id": id_}, "userErrors": []}
    assert await admin.ask("query ($id: ID!) { department(id: $id) { id } }", id=id_) is None


async def test_all_that_is_wrong_is_said_at_once_and_nothing_is_made(admin: Client) -> None:
    made = await admin.ask(CREATE, input={"name": "  ", "color": "red", "icon": "a\nb"})
    assert made["department"] is None
    assert [(e["code"], e["field"]) for e in made["userErrors"]] == [
        ("REQUIRED", ["name"]),
        ("INVALID", ["color"]),
        ("INVALID", ["icon"]),
    ]
    assert await admin.ask("{ departments { id } }") == []


async def test_a_name_is_taken_once(admin: Client) -> None:
    await admin.ask(CREATE, input={"name": "Vendas"})
    again = await admin.ask(CREATE, input={"name": "Vendas"})
    assert [(e["code"], e["field"]) for e in again["userErrors"]] == [("TAKEN", ["name"])]
    assert len(await admin.ask("{ departments { id } }")) == 1


async def test_g28_nul_is_refused_with_its_path(admin: Client) -> None:
    made = await admin.ask(CREATE, input={"name": "a\0b"})
    assert [(e["code"], e["field"]) for e in made["userErrors"]] == [("INVALID", ["name"])]


async def test_g1_another_organizations_department_is_not_there(admin: Client, make: Factory) -> None:
    theirs = await make.department(await make.organization())
    id_ = global_id("Department", theirs.id)
    answer = await admin.ask(UPDATE, input={"id": id_, "name": "Minha"})
    absent = await admin.ask(UPDATE, input={"id": f"Department_{'0' * 32}", "name": "Minha"})
    assert answer == absent == {"department": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_change_departments(make: Factory, http: httpx.AsyncClient, role: Role) -> None:
    member = await make.member(await make.organization(), role)
    client = Client(http, (await make.signed_in(member)).token)
    assert await client.code(CREATE, input={"name": "Vendas"}) == "FORBIDDEN"
    assert await client.ask("{ departments { id } }") == []


async def test_g2_nobody_reads_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code("{ departments { id } }") == "UNAUTHENTICATED"


async def test_an_update_says_all_that_is_wrong_and_changes_nothing(admin: Client) -> None:
    await admin.ask(CREATE, input={"name": "Vendas"})
    id_ = (await admin.ask(CREATE, input={"name": "Suporte"}))["department"]["id"]
    for given, expected in (
        ({"name": None, "color": None, "isActive": None}, ["REQUIRED name", "INVALID color", "REQUIRED isActive"]),
        ({"name": "Vendas", "icon": "star"}, ["TAKEN name"]),
        ({"name": "x" * 121, "description": "x" * 2001}, ["TOO_LONG name", "TOO_LONG description"]),
    ):
        answer = await admin.ask(UPDATE, input={"id": id_, **given})
        assert answer["department"] is None
        assert [f"{error['code']} {error['field'][0]}" for error in answer["userErrors"]] == expected
    read = "query ($id: ID!) { department(id: $id) { name description color icon isActive } }"
    assert await admin.ask(read, id=id_) == {
        "name": "Suporte", "description": None, "color": "#4B5563", "icon": None, "isActive": True,
    }  # fmt: skip


async def test_a_name_that_many_take_at_once_is_taken_once(admin: Client) -> None:
    made = await asyncio.gather(*(admin.ask(CREATE, input={"name": "Vendas"}) for _ in range(5)))
    assert sorted(len(answer["userErrors"]) for answer in made) == [0, 1, 1, 1, 1]
    assert [department["name"] for department in await admin.ask("{ departments { name } }")] == ["Vendas"]


async def test_at_most_500_departments(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytake_gql.desk.departments.service.MOST", 1)
    await admin.ask(CREATE, input={"name": "Vendas"})
    answer = await admin.ask(CREATE, input={"name": "Suporte"})
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [("LIMIT_REACHED", None)]
    assert len(await admin.ask("{ departments { id } }")) == 1


async def test_departments_are_listed_by_name_also_below_the_organization(admin: Client) -> None:
    for name in ("suporte", "Vendas", "Cobrança"):
        await admin.ask(CREATE, input={"name": name})
    expected = [{"name": "Cobrança"}, {"name": "suporte"}, {"name": "Vendas"}]
    assert await admin.ask("{ departments { name } }") == expected
    assert await admin.ask("{ organization { departments { name } } }") == {"departments": expected}
