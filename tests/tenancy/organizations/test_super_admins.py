"""The platform's organizations, through the door of its super admins."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.insight.audit.models import ActorKind, AuditEntry
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.mail.models import Mail
from pytake_gql.tenancy.members.models import Invitation
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory, SignedIn

CREATE = """mutation ($input: CreateOrganizationInput!) { createOrganization(input: $input) {
    organization { id name slug timezone locale holidayRegion isActive } userErrors { code field } } }"""
UPDATE = """mutation ($input: UpdateOrganizationInput!) { updateOrganization(input: $input) {
    organization { id name isActive frontends { origin } departments { name } } userErrors { code field } } }"""
DELETE = """mutation ($input: DeleteOrganizationInput!) { deleteOrganization(input: $input) {
    organization { id slug } userErrors { code field } } }"""
LIST = """query ($search: String, $first: Int, $after: String, $last: Int, $before: String) {
    organizations(search: $search, first: $first, after: $after, last: $last, before: $before) {
    nodes { id name frontends { origin } departments { name } } totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


@pytest.fixture
async def platform(make: Factory) -> Organization:
    return await make.organization(name="PyTake")


@pytest.fixture
async def root(make: Factory, platform: Organization) -> SignedIn:
    return await make.signed_in(await make.member(platform, Role.SUPER_ADMIN))


@pytest.fixture
def client(http: httpx.AsyncClient, root: SignedIn) -> Client:
    return Client(http, root.token)


def row_id(id_: str) -> UUID:
    parsed = parse_global_id(id_)
    assert parsed is not None
    return parsed[1]


async def entries(ports: Ports, organization_id: UUID) -> list[AuditEntry]:
    async with ports.database.session(organization_id) as session:
        return list((await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars())


async def exists(ports: Ports, organization_id: UUID) -> bool:
    async with ports.database.session(organization_id) as session:
        return await session.get(Organization, organization_id) is not None


async def test_an_organization_is_made_and_its_admin_invited(client: Client, ports: Ports, root: SignedIn) -> None:
    unique = uuid4().hex[:8]
    email = f"bia-{unique}@example.com"
    made = await client.ask(CREATE, input={"name": f"Ação {unique}", "adminEmail": email.upper(), "adminName": "Bia"})
    assert made["userErrors"] == []
    organization = made["organization"]
    id_ = row_id(organization.pop("id"))
    assert organization == {
        "name": f"Ação {unique}",
        "slug": f"acao-{unique}",
        "timezone": "America/Sao_Paulo",
        "locale": "pt-BR",
        "holidayRegion": "BR",
        "isActive": True,
    }
    async with ports.database.session(id_) as session:
        invitation = (await session.execute(select(Invitation))).scalar_one()
        mail = (await session.execute(select(Mail).where(Mail.recipient == email))).scalar_one()
    assert (invitation.email, invitation.name, invitation.role) == (email, "Bia", Role.ORG_ADMIN)
    assert invitation.invited_by_id is None
    assert mail.links[0].startswith(f"{ports.settings.web_url}/accept-invitation?token=")
    assert f"Ação {unique}" in mail.text
    told = await entries(ports, id_)
    assert sorted((e.action, e.actor_kind, e.actor_name) for e in told) == [
        ("member.invited", ActorKind.SUPER_ADMIN, root.member.name),
        ("organization.created", ActorKind.SUPER_ADMIN, root.member.name),
    ]


async def test_two_of_one_name_have_two_slugs(client: Client) -> None:
    name = f"Loja {uuid4().hex[:8]}"
    slugs = []
    for _ in range(2):
        made = await client.ask(CREATE, input={"name": name, "adminEmail": "a@example.com", "adminName": "Ana"})
        assert made["userErrors"] == []
        slugs.append(made["organization"]["slug"])
    assert slugs[0] == name.lower().replace(" ", "-")
    assert slugs[1].startswith(f"{slugs[0]}-")
    assert len(slugs[1]) == len(slugs[0]) + 9


async def test_everything_given_is_kept(client: Client) -> None:
    given = {
        "slug": f"minha-{uuid4().hex[:8]}",
        "timezone": "Europe/Lisbon",
        "locale": "en",
        "holidayRegion": "PT",
    }
    made = await client.ask(CREATE, input=given | {"name": "L", "adminEmail": "a@example.com", "adminName": "Ana"})
    organization = made["organization"]
    del organization["id"]
    assert organization == given | {"name": "L", "isActive": True}


async def test_all_that_is_wrong_is_said_at_once_and_nothing_is_made(client: Client, platform: Organization) -> None:
    before = (await client.ask(LIST))["totalCount"]
    made = await client.ask(
        CREATE,
        input={
            "name": "",
            "slug": "A B",
            "locale": "fr",
            "holidayRegion": "B",
            "adminEmail": "nobody",
            "adminName": " ",
        },
    )
    assert made["organization"] is None
    assert sorted((e["field"][0], e["code"]) for e in made["userErrors"]) == [
        ("adminEmail", "INVALID"),
        ("adminName", "REQUIRED"),
        ("holidayRegion", "INVALID"),
        ("locale", "INVALID"),
        ("name", "REQUIRED"),
        ("slug", "INVALID"),
    ]
    taken = await client.ask(
        CREATE, input={"name": "L", "slug": platform.slug, "adminEmail": "a@example.com", "adminName": "Ana"}
    )
    assert taken == {"organization": None, "userErrors": [{"code": "TAKEN", "field": ["slug"]}]}
    assert (await client.ask(LIST))["totalCount"] == before


async def test_pages_are_cut_in_alphabetical_order(client: Client, make: Factory) -> None:
    word = uuid4().hex[:10]
    made = [await make.organization(name=f"{letter} {word}") for letter in "cAbDe"]
    await make.department(made[0], name="Vendas")
    names = [f"{letter} {word}" for letter in "AbcDe"]

    first = await client.ask(LIST, search=word.upper(), first=2)
    assert [node["name"] for node in first["nodes"]] == names[:2]
    assert first["totalCount"] == 5
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    second = await client.ask(LIST, search=word, first=2, after=first["pageInfo"]["endCursor"])
    assert [node["name"] for node in second["nodes"]] == names[2:4]
    assert second["nodes"][0]["departments"] == [{"name": "Vendas"}]
    third = await client.ask(LIST, search=word, first=2, after=second["pageInfo"]["endCursor"])
    assert [node["name"] for node in third["nodes"]] == names[4:]
    assert third["pageInfo"]["hasNextPage"] is False
    back = await client.ask(LIST, search=word, last=2, before=third["pageInfo"]["startCursor"])
    assert [node["name"] for node in back["nodes"]] == names[2:4]
    assert (await client.ask(LIST, search=word, first=0))["nodes"] == []
    assert (await client.ask(LIST, search=f"{word}%"))["totalCount"] == 0
    assert (await client.ask(LIST, search=made[0].slug))["nodes"][0]["name"] == names[2]


async def test_another_organization_is_changed_and_its_own_log_tells(
    client: Client, make: Factory, ports: Ports, platform: Organization, root: SignedIn
) -> None:
    other = await make.organization()
    await make.department(other, name="Vendas")
    id_ = global_id("Organization", other.id)
    changed = await client.ask(
        UPDATE,
        input={
            "id": id_,
            "name": "Outra",
            "isActive": False,
            "frontends": [{"environment": "PRODUCTION", "origin": "https://outra.example.com"}],
        },
    )
    assert changed == {
        "organization": {
            "id": id_,
            "name": "Outra",
            "isActive": False,
            "frontends": [{"origin": "https://outra.example.com"}],
            "departments": [{"name": "Vendas"}],
        },
        "userErrors": [],
    }
    [entry] = await entries(ports, other.id)
    assert (entry.action, entry.actor_kind, entry.actor_id, entry.actor_name) == (
        "organization.updated", ActorKind.SUPER_ADMIN, root.member.id, root.member.name,
    )  # fmt: skip
    assert entry.changes["is_active"] == {"from": True, "to": False}
    assert await entries(ports, platform.id) == []
    assert (await client.ask("{ organization { name } }")) == {"name": "PyTake"}
    found = await client.ask("query ($id: ID!) { node(id: $id) { ... on Organization { name } } }", id=id_)
    assert found == {"name": "Outra"}


async def test_nobody_works_in_an_inactive_organization(client: Client, make: Factory, http: httpx.AsyncClient) -> None:
    other = await make.organization()
    theirs = Client(http, (await make.signed_in(await make.member(other, Role.ORG_ADMIN))).token)
    id_ = global_id("Organization", other.id)
    await client.ask(UPDATE, input={"id": id_, "isActive": False})
    assert await theirs.code("{ organization { id } }") == "UNAUTHENTICATED"
    assert (await client.ask(UPDATE, input={"id": id_, "isActive": True}))["organization"]["isActive"] is True


async def test_the_own_organization_stays_active(client: Client, ports: Ports, platform: Organization) -> None:
    answer = await client.ask(UPDATE, input={"isActive": False})
    assert answer == {"organization": None, "userErrors": [{"code": "WRONG_STATE", "field": ["isActive"]}]}
    assert await entries(ports, platform.id) == []


async def test_an_organization_that_is_not_there(client: Client) -> None:
    nowhere = {"organization": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
    for id_ in (f"Organization_{'0' * 32}", f"Member_{'0' * 32}", "x"):
        assert await client.ask(UPDATE, input={"id": id_, "name": "X"}) == nowhere
        assert await client.ask(DELETE, input={"id": id_, "confirmSlug": "x"}) == nowhere


async def test_a_wrong_slug_deletes_nothing(client: Client, make: Factory, ports: Ports) -> None:
    other = await make.organization()
    answer = await client.ask(
        DELETE, input={"id": global_id("Organization", other.id), "confirmSlug": other.slug.upper()}
    )
    assert answer == {"organization": None, "userErrors": [{"code": "INVALID", "field": ["confirmSlug"]}]}
    assert await exists(ports, other.id)


async def test_the_organization_worked_in_is_not_deleted(client: Client, ports: Ports, platform: Organization) -> None:
    id_ = global_id("Organization", platform.id)
    answer = await client.ask(DELETE, input={"id": id_, "confirmSlug": platform.slug})
    assert answer == {"organization": None, "userErrors": [{"code": "WRONG_STATE", "field": ["id"]}]}
    assert await exists(ports, platform.id)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT, Role.ORG_ADMIN])
async def test_g2_others_neither_list_make_nor_delete(
    make: Factory, http: httpx.AsyncClient, ports: Ports, role: Role
) -> None:
    own = await make.organization()
    other = await make.organization()
    client = Client(http, (await make.signed_in(await make.member(own, role))).token)
    given: dict[str, Any] = {"name": "L", "adminEmail": "a@example.com", "adminName": "Ana"}
    assert await client.code(LIST) == "FORBIDDEN"
    assert await client.code(CREATE, input=given) == "FORBIDDEN"
    delete = {"id": global_id("Organization", other.id), "confirmSlug": other.slug}
    assert await client.code(DELETE, input=delete) == "FORBIDDEN"
    assert await exists(ports, other.id)


async def test_g2_nobody_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code("{ organizations(first: 1) { totalCount } }") == "UNAUTHENTICATED"
    assert await anonymous.code(DELETE, input={"id": "x", "confirmSlug": "x"}) == "UNAUTHENTICATED"
