"""Departments, through the door."""

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
