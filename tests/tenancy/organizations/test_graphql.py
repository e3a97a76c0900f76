"""The own organization through the door, as each role."""

from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.insight.audit.models import ActorKind, AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory, SignedIn

ALL = """id name slug logoUrl timezone locale holidayRegion isActive
    openingHours { weekday opensAt closesAt } frontends { environment origin isActive }"""
READ = f"{{ organization {{ {ALL} }} }}"
UPDATE = f"""mutation ($input: UpdateOrganizationInput!) {{ updateOrganization(input: $input) {{
    organization {{ {ALL} }} userErrors {{ code field }} }} }}"""


@pytest.fixture
async def organization(make: Factory) -> Organization:
    return await make.organization(name="Padaria")


@pytest.fixture
async def admin(make: Factory, organization: Organization) -> SignedIn:
    return await make.signed_in(await make.member(organization, Role.ORG_ADMIN))


@pytest.fixture
def client(http: httpx.AsyncClient, admin: SignedIn) -> Client:
    return Client(http, admin.token)


async def entries(ports: Ports, organization: Organization) -> list[AuditEntry]:
    async with ports.database.session(organization.id) as session:
        return list((await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars())


def fresh(organization: Organization) -> dict[str, Any]:
    return {
        "id": global_id("Organization", organization.id),
        "name": "Padaria",
        "slug": organization.slug,
        "logoUrl": None,
        "timezone": "America/Sao_Paulo",
        "locale": "pt-BR",
        "holidayRegion": "BR",
        "isActive": True,
        "openingHours": [],
        "frontends": [],
    }


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT, Role.ORG_ADMIN])
async def test_each_member_reads_it(
    make: Factory, http: httpx.AsyncClient, organization: Organization, role: Role
) -> None:
    client = Client(http, (await make.signed_in(await make.member(organization, role))).token)
    assert await client.ask(READ) == fresh(organization)
    id_ = global_id("Organization", organization.id)
    assert await client.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) == {"id": id_}


async def test_g1_another_organization_is_not_there(make: Factory, client: Client) -> None:
    theirs = global_id("Organization", (await make.organization()).id)
    assert await client.ask("query ($id: ID!) { node(id: $id) { id } }", id=theirs) is None
    absent = await client.ask(UPDATE, input={"id": f"Organization_{'0' * 32}", "name": "Minha"})
    answer = await client.ask(UPDATE, input={"id": theirs, "name": "Minha"})
    assert answer == absent == {"organization": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}


async def test_every_field_is_changed(
    client: Client, ports: Ports, organization: Organization, admin: SignedIn
) -> None:
    changed = await client.ask(
        UPDATE,
        input={
            "id": global_id("Organization", organization.id),
            "name": " Confeitaria ",
            "slug": f"confeitaria-{organization.slug}",
            "logoUrl": "https://cdn.example.com/logo.png",
            "timezone": "Europe/Lisbon",
            "locale": "en",
            "holidayRegion": "BR-SP",
            "openingHours": [
                {"weekday": "TUESDAY", "opensAt": "22:00", "closesAt": "06:00"},
                {"weekday": "MONDAY", "opensAt": "09:00", "closesAt": "12:00:30"},
            ],
            "frontends": [
                {"environment": "PRODUCTION", "origin": "https://App.example.com"},
                {"environment": "DEVELOPMENT", "origin": "http://10.0.0.7:3000", "isActive": False},
            ],
        },
    )
    assert changed["userErrors"] == []
    expected = {
        "id": global_id("Organization", organization.id),
        "name": "Confeitaria",
        "slug": f"confeitaria-{organization.slug}",
        "logoUrl": "https://cdn.example.com/logo.png",
        "timezone": "Europe/Lisbon",
        "locale": "en",
        "holidayRegion": "BR-SP",
        "isActive": True,
        "openingHours": [
            {"weekday": "MONDAY", "opensAt": "09:00", "closesAt": "12:00:30"},
            {"weekday": "TUESDAY", "opensAt": "22:00", "closesAt": "06:00"},
        ],
        "frontends": [
            {"environment": "PRODUCTION", "origin": "https://app.example.com", "isActive": True},
            {"environment": "DEVELOPMENT", "origin": "http://10.0.0.7:3000", "isActive": False},
        ],
    }
    assert changed["organization"] == expected
    assert await client.ask(READ) == expected
    [entry] = await entries(ports, organization)
    assert (entry.action, entry.entity_id, entry.actor_kind, entry.actor_id) == (
        "organization.updated", organization.id, ActorKind.MEMBER, admin.member.id,
    )  # fmt: skip
    assert entry.changes["name"] == {"from": "Padaria", "to": "Confeitaria"}
    assert entry.changes["frontends"]["from"] == []
    assert [item["origin"] for item in entry.changes["frontends"]["to"]] == [
        "https://app.example.com", "http://10.0.0.7:3000",
    ]  # fmt: skip


async def test_frontends_are_replaced_as_a_list(client: Client) -> None:
    async def save(*frontends: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await client.ask(UPDATE, input={"frontends": list(frontends)})
        assert answer["userErrors"] == []
        found: list[dict[str, Any]] = answer["organization"]["frontends"]
        return found

    one = {"environment": "PRODUCTION", "origin": "https://one.example.com", "isActive": True}
    two = {"environment": "STAGING", "origin": "https://two.example.com", "isActive": True}
    three = {"environment": "STAGING", "origin": "https://three.example.com", "isActive": False}
    assert await save(one, two) == [one, two]
    assert await save(three, two | {"isActive": False}) == [three, two | {"isActive": False}]
    assert await save(one, three, two) == [one, three, two]
    assert await save() == []


async def test_what_may_be_null_is_cleared_and_the_rest_is_required(
    client: Client, ports: Ports, organization: Organization
) -> None:
    await client.ask(UPDATE, input={"logoUrl": "https://cdn.example.com/logo.png"})
    cleared = (await client.ask(UPDATE, input={"logoUrl": None, "holidayRegion": None}))["organization"]
    assert (cleared["logoUrl"], cleared["holidayRegion"]) == (None, None)
    required = ("name", "slug", "timezone", "locale", "openingHours", "frontends")
    answer = await client.ask(UPDATE, input=dict.fromkeys(required))
    assert answer == {
        "organization": None,
        "userErrors": [{"code": "REQUIRED", "field": [name]} for name in required],
    }
    assert len(await entries(ports, organization)) == 2


async def test_all_that_is_wrong_is_said_at_once_and_nothing_changes(
    client: Client, organization: Organization, ports: Ports
) -> None:
    answer = await client.ask(
        UPDATE,
        input={
            "name": " ",
            "slug": "Padaria!",
            "logoUrl": "http://cdn.example.com/logo.png",
            "locale": "fr",
            "holidayRegion": "Brasil",
            "openingHours": [
                {"weekday": "MONDAY", "opensAt": "09:00", "closesAt": "12:00"},
                {"weekday": "MONDAY", "opensAt": "11:00", "closesAt": "13:00"},
            ],
            "frontends": [
                {"environment": "PRODUCTION", "origin": "http://app.example.com"},
                {"environment": "PRODUCTION", "origin": "https://app.example.com"},
                {"environment": "STAGING", "origin": "https://app.example.com:443"},
            ],
        },
    )
    assert answer == {
        "organization": None,
        "userErrors": [
            {"code": "REQUIRED", "field": ["name"]},
            {"code": "INVALID", "field": ["slug"]},
            {"code": "INVALID", "field": ["logoUrl"]},
            {"code": "INVALID", "field": ["locale"]},
            {"code": "INVALID", "field": ["holidayRegion"]},
            {"code": "INVALID", "field": ["openingHours", "1"]},
            {"code": "INVALID", "field": ["frontends", "0", "origin"]},
            {"code": "TAKEN", "field": ["frontends", "2", "origin"]},
        ],
    }
    assert await client.ask(READ) == fresh(organization)
    assert await entries(ports, organization) == []


async def test_lists_are_bounded(client: Client, organization: Organization) -> None:
    spans = [{"weekday": "MONDAY", "opensAt": f"{i // 60:02}:{i % 60:02}", "closesAt": "23:00"} for i in range(51)]
    origins = [{"environment": "PRODUCTION", "origin": f"https://a{i}.example.com"} for i in range(51)]
    answer = await client.ask(UPDATE, input={"openingHours": spans, "frontends": origins})
    assert answer["userErrors"] == [
        {"code": "TOO_MANY", "field": ["openingHours"]},
        {"code": "TOO_MANY", "field": ["frontends"]},
    ]
    assert await client.ask(READ) == fresh(organization)


async def test_a_slug_is_taken_on_the_whole_platform(client: Client, make: Factory, organization: Organization) -> None:
    other = await make.organization()
    answer = await client.ask(UPDATE, input={"slug": other.slug, "name": "Outra"})
    assert answer == {"organization": None, "userErrors": [{"code": "TAKEN", "field": ["slug"]}]}
    assert await client.ask(READ) == fresh(organization)


async def test_only_super_admins_set_is_active(client: Client, organization: Organization) -> None:
    answer = await client.ask(UPDATE, input={"isActive": False})
    assert answer == {"organization": None, "userErrors": [{"code": "FORBIDDEN", "field": ["isActive"]}]}
    assert await client.ask(READ) == fresh(organization)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_change_it(
    make: Factory, http: httpx.AsyncClient, organization: Organization, role: Role
) -> None:
    client = Client(http, (await make.signed_in(await make.member(organization, role))).token)
    assert await client.code(UPDATE, input={"name": "Minha"}) == "FORBIDDEN"
    assert await client.ask(READ) == fresh(organization)


async def test_g2_nobody_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code(READ) == "UNAUTHENTICATED"
    assert await anonymous.code(UPDATE, input={"name": "Minha"}) == "UNAUTHENTICATED"


async def test_nothing_changed_is_nothing_told(client: Client, ports: Ports, organization: Organization) -> None:
    answer = await client.ask(UPDATE, input={"name": "Padaria", "frontends": []})
    assert answer == {"organization": fresh(organization), "userErrors": []}
    assert await entries(ports, organization) == []
