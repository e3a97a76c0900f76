"""An invitation accepted, through the door."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.mail.models import Mail
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.conftest import TravellingClock
from tests.factories import Factory
from tests.tenancy.auth.documents import ACCEPT, DEPARTMENTS, LOGIN

PASSWORD = "correct horse battery"
INVITE = "mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { userErrors { code } } }"
EXPIRED = {
    "session": None,
    "userErrors": [
        {
            "code": "EXPIRED",
            "field": ["token"],
            "message": "This invitation was used, or is too old. Ask for a new one.",
        }
    ],
}


@pytest.fixture
async def loja(make: Factory) -> Organization:
    return await make.organization()


@pytest.fixture
async def admin(make: Factory, loja: Organization, http: httpx.AsyncClient) -> Client:
    return Client(http, (await make.signed_in(await make.member(loja, Role.ORG_ADMIN))).token)


async def invited(admin: Client, ports: Ports, email: str, **values: Any) -> str:
    """The mailed token."""
    assert await admin.ask(INVITE, input={"email": email, "role": "AGENT", **values}) == {"userErrors": []}
    async with ports.database.session(None) as session:
        mails = await session.execute(select(Mail).where(Mail.recipient == email).order_by(col(Mail.id).desc()))
        link = mails.scalars().first().links[0]  # type: ignore[union-attr]
    return parse_qs(urlsplit(link).query)["token"][0]


async def members_of(ports: Ports, organization: Organization, email: str) -> list[Member]:
    async with ports.database.session(organization.id) as inside:
        return list((await inside.execute(select(Member).where(Member.email == email))).scalars())


async def test_a_new_person_accepts_and_works(
    admin: Client, anonymous: Client, http: httpx.AsyncClient, ports: Ports, loja: Organization
) -> None:
    email = f"bia-{uuid4().hex[:12]}@example.com"
    token = await invited(admin, ports, email)
    answer = await anonymous.ask(ACCEPT, input={"token": token, "name": " Bia ", "password": PASSWORD})
    assert answer["userErrors"] == []
    member = answer["session"]["member"]
    assert (member["name"], member["email"], member["role"]) == ("Bia", email, "AGENT")
    assert await Client(http, answer["session"]["accessToken"]).ask(DEPARTMENTS) == []
    signed_in = await anonymous.ask(LOGIN, input={"email": email, "password": PASSWORD})
    assert signed_in["session"]["member"] == member
    async with ports.database.session(loja.id) as inside:
        entries = (await inside.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
    bia = (await members_of(ports, loja, email))[0]
    assert [(e.action, e.actor_id) for e in entries if e.actor_name == "Bia"] == [
        ("member.joined", bia.id),
        ("member.signed_in", bia.id),
        ("member.signed_in", bia.id),
    ]
    assert await anonymous.ask(ACCEPT, input={"token": token, "name": "Bia", "password": PASSWORD}) == EXPIRED


async def test_a_person_with_an_account_accepts_with_its_password_and_keeps_the_name(
    admin: Client, anonymous: Client, make: Factory, ports: Ports, loja: Organization
) -> None:
    account = await make.account(PASSWORD)
    await make.member(await make.organization(), account=account, name="Caio de Lá")
    token = await invited(admin, ports, account.email, name="Outro")
    wrong = await anonymous.ask(ACCEPT, input={"token": token, "password": "wrong horse battery"})
    assert wrong["session"] is None
    assert [(e["code"], e["field"]) for e in wrong["userErrors"]] == [("INVALID_CREDENTIALS", ["password"])]
    assert await members_of(ports, loja, account.email) == []
    answer = await anonymous.ask(ACCEPT, input={"token": token, "name": "Ignorado", "password": PASSWORD})
    assert answer["session"]["member"]["name"] == "Caio de Lá"
    assert [m.account_id for m in await members_of(ports, loja, account.email)] == [account.id]


async def test_g15_an_accounts_password_cannot_be_guessed_by_an_invitation(
    admin: Client, anonymous: Client, make: Factory, ports: Ports
) -> None:
    account = await make.account(PASSWORD)
    await make.member(await make.organization(), account=account)
    token = await invited(admin, ports, account.email)
    for i in range(6):
        await anonymous.ask(ACCEPT, input={"token": token, "password": f"guess number {i}"})
    assert await anonymous.code(ACCEPT, input={"token": token, "password": PASSWORD}) == "RATE_LIMITED"
    assert await anonymous.code(LOGIN, input={"email": account.email, "password": PASSWORD}) == "RATE_LIMITED"


async def test_the_inviters_name_is_taken_where_none_is_given(admin: Client, anonymous: Client, ports: Ports) -> None:
    email = f"bia-{uuid4().hex[:12]}@example.com"
    token = await invited(admin, ports, email, name="Beatriz")
    answer = await anonymous.ask(ACCEPT, input={"token": token, "password": PASSWORD})
    assert answer["session"]["member"]["name"] == "Beatriz"


async def test_all_that_is_wrong_is_said_at_once_and_the_token_stays_good(
    admin: Client, anonymous: Client, ports: Ports, loja: Organization
) -> None:
    email = f"bia-{uuid4().hex[:12]}@example.com"
    token = await invited(admin, ports, email)
    refused = await anonymous.ask(ACCEPT, input={"token": token, "password": "short"})
    assert [(e["code"], e["field"]) for e in refused["userErrors"]] == [
        ("REQUIRED", ["name"]),
        ("INVALID", ["password"]),
    ]
    async with ports.database.session(None) as session:
        assert (await session.execute(select(Account).where(Account.email == email))).first() is None
    assert await members_of(ports, loja, email) == []
    accepted = await anonymous.ask(ACCEPT, input={"token": token, "name": "Bia", "password": PASSWORD})
    assert accepted["userErrors"] == []


async def test_an_invitation_expires_and_gives_way_to_a_newer_one(
    admin: Client, anonymous: Client, ports: Ports, loja: Organization, clock: TravellingClock
) -> None:
    email = f"bia-{uuid4().hex[:12]}@example.com"
    first = await invited(admin, ports, email)
    second = await invited(admin, ports, email)
    form = {"name": "Bia", "password": PASSWORD}
    for token in (first, "0" * 64, ""):
        assert await anonymous.ask(ACCEPT, input={"token": token, **form}) == EXPIRED
    clock.advance(days=7, seconds=1)
    assert await anonymous.ask(ACCEPT, input={"token": second, **form}) == EXPIRED
    assert await members_of(ports, loja, email) == []
