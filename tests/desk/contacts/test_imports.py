"""Tables of contacts, through the door."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlmodel import col, select

from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.tags.models import Tag
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

IMPORT = """mutation ($csv: String!) { importContacts(input: {csv: $csv}) {
    created updated rejected { line reason } userErrors { code field message } } }"""
ALL = "{ contacts(first: 100) { nodes { name phone email attributes tags { name } } } }"
NOTHING: dict[str, Any] = {"created": 0, "updated": 0, "rejected": []}


@dataclass(frozen=True)
class Shop:
    organization: Organization
    admin: Client
    make: Factory

    async def take(self, *lines: str) -> Any:
        told = await self.admin.ask(IMPORT, csv="\n".join(lines))
        assert told.pop("userErrors") == []
        return told

    async def known(self) -> list[dict[str, Any]]:
        nodes = (await self.admin.ask(ALL))["nodes"]
        for node in nodes:
            node["tags"] = [tag["name"] for tag in node["tags"]]
        return sorted(nodes, key=lambda node: node["name"] or "")


@pytest.fixture
async def shop(make: Factory, http: httpx.AsyncClient) -> Shop:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    return Shop(organization, admin, make)


async def test_rows_become_contacts_with_tags_and_attributes(shop: Shop) -> None:
    await shop.make.save(shop.organization.id, Tag(name="VIP", name_key="vip"))
    told = await shop.take(
        "name,phone,email,tags,plano",
        'Ana,11 98765-4321,ANA@example.com,"vip;novo",Ouro',
        "Bia,,,,",
        "Caio,,caio@example.com,Novo,",
    )
    assert told == {"created": 3, "updated": 0, "rejected": []}
    assert await shop.known() == [
        {
            "name": "Ana",
            "phone": "+5511987654321",
            "email": "ana@example.com",
            "attributes": {"plano": "Ouro"},
            "tags": ["novo", "VIP"],
        },
        {"name": "Bia", "phone": None, "email": None, "attributes": {}, "tags": []},
        {"name": "Caio", "phone": None, "email": "caio@example.com", "attributes": {}, "tags": ["novo"]},
    ]
    async with shop.make.ports.database.session(shop.organization.id) as session:
        entries = (await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
    counts = {"created": 3, "updated": 0, "rejected": 0}
    assert sorted((entry.action, entry.changes) for entry in entries) == [
        ("contacts.imported", {name: {"from": None, "to": count} for name, count in counts.items()}),
        ("tag.created", {"name": {"from": None, "to": "novo"}}),
    ]


async def test_d30_known_contacts_are_updated_by_phone_or_by_email(shop: Shop) -> None:
    first = ("name,phone,email,tags,plano,cidade", "Ana,11 8765-4321,,a,Ouro,", "Bia,,bia@example.com,,Prata,")
    assert await shop.take(*first) == {"created": 2, "updated": 0, "rejected": []}
    told = await shop.take(
        "name,phone,email,tags,plano,cidade",
        "Ana Lima,+55 11 98765-4321,ana@example.com,b,Bronze,São Paulo",
        ",+1 415 555 2671,BIA@example.com,,,Recife",
    )
    assert told == {"created": 0, "updated": 2, "rejected": []}
    assert await shop.known() == [
        {
            "name": "Ana Lima",
            "phone": "+5511987654321",
            "email": "ana@example.com",
            "attributes": {"plano": "Bronze", "cidade": "São Paulo"},
            "tags": ["a", "b"],
        },
        {
            "name": "Bia",
            "phone": "+14155552671",
            "email": "bia@example.com",
            "attributes": {"plano": "Prata", "cidade": "Recife"},
            "tags": [],
        },
    ]
    assert await shop.take("phone,email", ",ana@example.com") == {"created": 0, "updated": 1, "rejected": []}


async def test_rows_that_leave_doubt_are_rejected_and_the_others_taken(shop: Shop) -> None:
    for values in (
        {"name": "Ana", "phone": "+5511987654321", "phone_key": "+5511987654321", "email": "ana@example.com"},
        {"name": "Bia", "email": "bia@example.com"},
        {"name": "Eva", "phone_key": "+5511987650000", "email": "eva@example.com"},
        {"name": "Caio 1", "email": "caio@example.com"},
        {"name": "Caio 2", "email": "caio@example.com"},
    ):
        await shop.make.contact(shop.organization, **values)
    before = await shop.known()
    told = await shop.take(
        "name,phone,email",
        "X,11 98765-4321,bia@example.com",
        "X,,caio@example.com",
        "Eva Lima,,eva@example.com",
        "X,11 8765-0000,",
        "X,call me,",
        "Davi,,",
        "X,,nova@example.com,",
    )
    assert told == {
        "created": 1,
        "updated": 1,
        "rejected": [
            {
                "line": 2,
                "reason": "The phone is one contact's and the e-mail address another's: merge them first.",
            },
            {"line": 3, "reason": "Several contacts have this e-mail address."},
            {"line": 5, "reason": "Line 4 is the same contact."},
            {"line": 6, "reason": "phone: This is no phone number."},
            {"line": 8, "reason": "This row has 4 cells, the header 3."},
        ],
    }
    after = await shop.known()
    assert [node["name"] for node in after] == ["Ana", "Bia", "Caio 1", "Caio 2", "Davi", "Eva Lima"]
    assert after[:4] == before[:4]


@pytest.mark.parametrize(
    ("csv", "code"),
    [
        ("", "INVALID"),
        ("nome;telefone\nAna;1", "INVALID"),
        ("name,name\nAna,Bia", "INVALID"),
        ("name\nA\0na", "INVALID"),
        ("name\n" + "Ana\n" * 5_001, "TOO_MANY"),
    ],
)
async def test_g28_a_table_that_cannot_be_understood_changes_nothing(shop: Shop, csv: str, code: str) -> None:
    told = await shop.admin.ask(IMPORT, csv=csv)
    problems = told.pop("userErrors")
    assert (told, [(problem["code"], problem["field"]) for problem in problems]) == (NOTHING, [(code, ["csv"])])
    assert await shop.known() == []


async def test_g28_a_lone_surrogate_is_refused(shop: Shop) -> None:
    body = b'{"query": "mutation { importContacts(input: {csv: \\"name\\\\n\\\\ud800\\"}) { userErrors { code } } }"}'
    headers = {"authorization": f"Bearer {shop.admin.token}", "content-type": "application/json"}
    answer = await shop.admin.http.post("/graphql", content=body, headers=headers)
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await shop.known() == []


async def test_reasons_are_told_in_the_callers_language(shop: Shop) -> None:
    client = Client(shop.admin.http, shop.admin.token, locale="pt-BR")
    told = await client.ask(IMPORT, csv="name,phone\nAna,liga\nBia\n")
    assert [row["reason"] for row in told["rejected"]] == [
        "phone: Isto não é um número de telefone.",
        "Esta linha tem 1 células; o cabeçalho, 2.",
    ]


async def test_tags_above_what_an_organization_has_reject_their_rows(shop: Shop) -> None:
    async with shop.make.ports.units.of_system(shop.organization.id) as uow:
        uow.session.add_all([Tag(name=f"T{number}", name_key=f"t{number}") for number in range(499)])
    told = await shop.take("name,tags", "Ana,T1", "Bia,um", "Caio,dois", "Davi,UM")
    assert told == {
        "created": 3,
        "updated": 0,
        "rejected": [{"line": 4, "reason": "tags: There are 500 tags already: no more are made."}],
    }


async def test_d30_two_imports_of_one_table_at_once_make_each_contact_once(shop: Shop) -> None:
    lines = ("name,phone", *(f"Ana {n},+55119876500{n:02}" for n in range(50)))
    told = await asyncio.gather(*(shop.take(*lines) for _ in range(2)))
    assert sorted((one["created"], one["updated"]) for one in told) == [(0, 50), (50, 0)]
    assert len(await shop.known()) == 50


async def test_a_file_in_parts_tells_with_each_how_far_it_is_and_a_part_may_be_sent_again(shop: Shop) -> None:
    rows = [f"Ana {n},+55119876500{n:02}" for n in range(5)] + [
        "Caio,liga",
        "Ana 0,+5511987650000",
        "Bia,+5511987650099",
    ]
    parts = [("name,phone", *rows[start : start + 3]) for start in range(0, len(rows), 3)]
    told = [await shop.take(*part) for part in parts]
    assert [(one["created"], one["updated"]) for one in told] == [(3, 0), (2, 0), (1, 1)]
    assert [[row["line"] for row in one["rejected"]] for one in told] == [[], [4], []]
    again = await shop.take(*parts[1])
    assert (again["created"], again["updated"], [row["line"] for row in again["rejected"]]) == (0, 2, [4])
    assert len(await shop.known()) == 6


async def test_the_largest_table_takes_few_statements(shop: Shop) -> None:
    """A request of 256 kB, imported twice: made, then updated."""
    rows = [f"Cliente {n:04},+5511987{n:06},c{n:04}@example.com,{n % 7},{'rua ' * 7}{n:04}" for n in range(3_200)]
    csv = "name,phone,email,tags,endereço\n" + "\n".join(rows)
    csv = csv[: csv.rindex("\n", 0, 255_000)]
    assert len(csv) > 250_000
    count = csv.count("\n")
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = shop.make.ports.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        for created in (True, False):
            statements.clear()
            told = await shop.take(csv)
            assert told == {"created": count * created, "updated": count * (not created), "rejected": []}
            assert len(statements) < 20
    finally:
        event.remove(engine, "before_cursor_execute", note)
    async with shop.make.ports.database.session(shop.organization.id) as session:
        row = (await session.execute(select(Contact).where(Contact.name == "Cliente 0041"))).scalar_one()
    assert (row.phone, row.phone_key, row.email) == ("+5511987000041", "+5511987000041", "c0041@example.com")


async def test_g2_agents_import_nothing(shop: Shop, http: httpx.AsyncClient) -> None:
    for role in (Role.AGENT, Role.VIEWER):
        member = await shop.make.member(shop.organization, role)
        client = Client(http, (await shop.make.signed_in(member)).token)
        assert await client.code(IMPORT, csv="name\nAna") == "FORBIDDEN"
    assert await shop.known() == []
