"""A new organization and its first admin, through the door."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlmodel import col, func, select

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.auth.models import Session
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.tenancy.auth.documents import LOGIN, SIGN_UP

PASSWORD = "correct horse battery"


def form(**values: Any) -> dict[str, Any]:
    unique = uuid4().hex[:12]
    return {
        "organizationName": f"Café São João {unique}",
        "name": "Ana",
        "email": f"ana-{unique}@example.com",
        "password": PASSWORD,
        **values,
    }


async def accounts_of(ports: Ports, email: str) -> list[Account]:
    async with ports.database.session(None) as session:
        return list((await session.execute(select(Account).where(Account.email == email))).scalars())


async def organization_of(http: httpx.AsyncClient, ports: Ports, session: dict[str, Any]) -> Organization:
    found = await Client(http, session["accessToken"]).ask("{ myOrganizations { id } }")
    parsed = parse_global_id(found[0]["id"])
    assert parsed is not None
    async with ports.database.session(parsed[1]) as inside:
        return (await inside.execute(select(Organization).where(Organization.id == parsed[1]))).scalar_one()


async def test_whoever_signs_up_has_an_organization_and_works_in_it(
    anonymous: Client, http: httpx.AsyncClient, ports: Ports
) -> None:
    given = form(timezone="America/Manaus", name=" Ana ")
    answer = await anonymous.ask(SIGN_UP, input=given)
    assert answer["userErrors"] == []
    member = answer["session"]["member"]
    assert (member["name"], member["email"], member["role"]) == ("Ana", given["email"], "ORG_ADMIN")
    organization = await organization_of(http, ports, answer["session"])
    assert (organization.name, organization.timezone) == (given["organizationName"], "America/Manaus")
    assert organization.slug == f"cafe-sao-joao-{given['email'][4:16]}"
    signed_in = await anonymous.ask(LOGIN, input={"email": given["email"], "password": PASSWORD})
    assert signed_in["session"]["member"] == member
    async with ports.database.session(organization.id) as inside:
        entries = (await inside.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
        members = (await inside.execute(select(Member))).scalars().all()
    assert [e.action for e in entries] == [
        "organization.created",
        "member.joined",
        "member.signed_in",
        "member.signed_in",
    ]
    assert [e.actor_id for e in entries] == [members[0].id] * 4


async def test_two_organizations_of_one_name_have_slugs_of_their_own(
    anonymous: Client, http: httpx.AsyncClient, ports: Ports
) -> None:
    first, second = [
        await organization_of(http, ports, (await anonymous.ask(SIGN_UP, input=given))["session"])
        for given in (form(organizationName="Duas Lojas"), form(organizationName="Duas Lojas"))
    ]
    assert first.id != second.id
    assert first.slug != second.slug
    assert second.slug.startswith("duas-lojas-")


async def test_all_that_is_wrong_is_said_at_once_and_nothing_is_made(anonymous: Client, ports: Ports) -> None:
    answer = await anonymous.ask(
        SIGN_UP, input={"organizationName": " ", "name": "a\nb", "email": "no address", "password": "short"}
    )
    assert answer["session"] is None
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [
        ("REQUIRED", ["organizationName"]),
        ("INVALID", ["name"]),
        ("INVALID", ["email"]),
        ("INVALID", ["password"]),
    ]
    assert await accounts_of(ports, "no address") == []


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("organizationName", "x" * 121, "TOO_LONG"),
        ("organizationName", "a\0b", "INVALID"),
        ("name", "x" * 121, "TOO_LONG"),
        ("email", "a" * 300 + "@example.com", "INVALID"),
        ("password", "x" * 257, "TOO_LONG"),
        ("password", "a\0bcdefghijk", "INVALID"),
    ],
)
async def test_bad_input_makes_nothing(anonymous: Client, ports: Ports, field: str, value: str, code: str) -> None:
    given = form(**{field: value})
    answer = await anonymous.ask(SIGN_UP, input=given)
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [(code, [field])]
    assert await accounts_of(ports, given["email"]) == []


async def test_the_password_must_not_be_the_address(anonymous: Client, ports: Ports) -> None:
    given = form()
    answer = await anonymous.ask(SIGN_UP, input={**given, "password": given["email"].upper()})
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [("INVALID", ["password"])]
    assert await accounts_of(ports, given["email"]) == []


async def test_an_address_signs_up_once(anonymous: Client, ports: Ports) -> None:
    given = form()
    await anonymous.ask(SIGN_UP, input=given)
    again = await anonymous.ask(SIGN_UP, input={**given, "email": given["email"].upper()})
    assert again["session"] is None
    assert [(e["code"], e["field"]) for e in again["userErrors"]] == [("TAKEN", ["email"])]
    account = (await accounts_of(ports, given["email"]))[0]
    async with ports.database.session(None) as session:
        count = select(func.count()).select_from(Session).where(Session.account_id == account.id)
        assert (await session.execute(count)).scalar_one() == 1


async def test_of_two_at_once_one_has_the_address(anonymous: Client, ports: Ports) -> None:
    given = form()
    answers = await asyncio.gather(*(anonymous.ask(SIGN_UP, input=given) for _ in range(2)))
    codes = sorted([e["code"] for e in answer["userErrors"]] for answer in answers)
    assert codes == [[], ["TAKEN"]]
    assert len(await accounts_of(ports, given["email"])) == 1
