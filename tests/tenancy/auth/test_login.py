"""Signing in with a password, through the door."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from argon2.exceptions import InvalidHashError
from sqlmodel import col, func, select, update

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel import addresses
from pytake_gql.kernel.errors import RateLimited
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.auth import limits, passwords
from pytake_gql.tenancy.auth.models import RefreshToken, Session
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.conftest import TravellingClock
from tests.factories import Factory
from tests.tenancy.auth.documents import DEPARTMENTS, LOGIN

PASSWORD = "correct horse battery"
WRONG = {
    "session": None,
    "userErrors": [
        {"code": "INVALID_CREDENTIALS", "field": None, "message": "The e-mail address or the password is wrong."}
    ],
}


@pytest.fixture
async def ana(make: Factory) -> Member:
    return await make.member(await make.organization(), Role.ORG_ADMIN, account=await make.account(PASSWORD))


async def sessions_of(ports: Ports, account_id: Any) -> int:
    async with ports.database.session(None) as session:
        count = select(func.count()).select_from(Session).where(Session.account_id == account_id)
        return (await session.execute(count)).scalar_one()


async def test_a_member_signs_in_and_works(
    anonymous: Client, ana: Member, http: httpx.AsyncClient, ports: Ports
) -> None:
    before = datetime.now(UTC)
    answer = await anonymous.ask(LOGIN, input={"email": f" {ana.email.upper()} ", "password": PASSWORD})
    assert answer["userErrors"] == []
    session = answer["session"]
    assert session["member"] == {
        "id": global_id("Member", ana.id), "email": ana.email, "name": ana.name, "role": "ORG_ADMIN",
    }  # fmt: skip
    access_until = datetime.fromisoformat(session["accessTokenExpiresAt"])
    assert before + timedelta(minutes=9, seconds=59) <= access_until <= datetime.now(UTC) + timedelta(minutes=10)
    refresh_until = datetime.fromisoformat(session["refreshTokenExpiresAt"])
    assert before + timedelta(days=30) <= refresh_until <= datetime.now(UTC) + timedelta(days=30)
    assert await Client(http, session["accessToken"]).ask(DEPARTMENTS) == []
    async with ports.database.session(ana.organization_id) as inside:
        entry = (await inside.execute(select(AuditEntry))).scalar_one()
    assert (entry.action, entry.entity_type, entry.entity_id) == ("member.signed_in", "Member", ana.id)


async def test_g13_a_refresh_token_is_stored_as_a_hash_only(anonymous: Client, ana: Member, ports: Ports) -> None:
    answer = await anonymous.ask(LOGIN, input={"email": ana.email, "password": PASSWORD})
    token = answer["session"]["refreshToken"]
    assert len(token) == 64
    async with ports.database.session(None) as session:
        rows = await session.execute(sa.text("SELECT refresh_tokens::text FROM refresh_tokens"))
        assert [row for row in rows.scalars() if token in row] == []


async def test_g15_an_unknown_address_and_a_wrong_password_have_one_face(
    anonymous: Client, ana: Member, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str | None] = []
    real = passwords._compare

    def recording(stored: str | None, password: str) -> bool:
        compared.append(stored and stored[:9])
        return real(stored, password)

    monkeypatch.setattr(passwords, "_compare", recording)
    wrong = await anonymous.post(LOGIN, input={"email": ana.email, "password": "wrong horse battery"})
    unknown = await anonymous.post(LOGIN, input={"email": f"nobody-{ana.email}", "password": PASSWORD})
    malformed = await anonymous.post(LOGIN, input={"email": "no address", "password": PASSWORD})
    assert wrong == unknown == malformed == {"data": {"login": WRONG}}
    assert compared == ["$argon2id", None, None]
    assert await sessions_of(ports, ana.account_id) == 0


async def test_g15_an_unknown_address_costs_an_argon2id_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(passwords, "_HASHER", type("Hasher", (), {"hash": hashed.append, "verify": _no_hash})())
    assert await passwords.matches(None, PASSWORD) is False
    assert hashed == [PASSWORD]


def _no_hash(_self: object, _stored: str, _password: str) -> bool:
    raise InvalidHashError


async def test_g15_no_transaction_is_open_while_hashing(
    anonymous: Client, ana: Member, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use: list[int] = []
    real = passwords._compare

    def recording(stored: str | None, password: str) -> bool:
        in_use.append(ports.database.engine.pool.checkedout())  # type: ignore[attr-defined]
        return real(stored, password)

    monkeypatch.setattr(passwords, "_compare", recording)
    answer = await anonymous.ask(LOGIN, input={"email": ana.email, "password": PASSWORD})
    assert answer["userErrors"] == []
    assert in_use == [0]


async def test_g15_one_document_with_ten_logins_is_limited(anonymous: Client, ana: Member, ports: Ports) -> None:
    logins = "\n".join(
        f'a{i}: login(input: {{email: "{ana.email}", password: "guess number {i}"}}) {{ userErrors {{ code }} }}'
        for i in range(10)
    )
    answer = await anonymous.post(f"mutation {{ {logins} }}")
    codes = [error["extensions"]["code"] for error in answer["errors"]]
    assert codes[0] == "RATE_LIMITED"
    assert answer["errors"][0]["path"] == ["a6"]
    # The address has spent its guesses, also for whoever knows the password; nobody was signed in.
    assert await anonymous.code(LOGIN, input={"email": ana.email, "password": PASSWORD}) == "RATE_LIMITED"
    assert await sessions_of(ports, ana.account_id) == 0


async def test_g15_a_network_address_is_limited_over_all_accounts(ports: Ports) -> None:
    async def spray() -> None:
        for i in range(65):  # the bucket holds 60, and refills by one a second
            await limits.sign_in(ports.limiter, "192.0.2.7", f"ana{i}@example.com")

    with pytest.raises(RateLimited):
        await spray()
    await limits.sign_in(ports.limiter, "192.0.2.8", "ana61@example.com")


async def test_whoever_knows_the_password_is_not_limited_by_the_address(anonymous: Client, ana: Member) -> None:
    for _ in range(8):
        answer = await anonymous.ask(LOGIN, input={"email": ana.email, "password": PASSWORD})
        assert answer["userErrors"] == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("testclient", "testclient"),
        (None, "unknown"),
    ],
)
def test_a_caller_of_ipv6_has_a_whole_network(address: str | None, expected: str) -> None:
    assert addresses.network(address) == expected


@pytest.mark.parametrize("what", ["member", "removed", "organization"])
async def test_the_deactivated_cannot_sign_in_and_are_told_no_more_than_others(
    anonymous: Client, ana: Member, ports: Ports, what: str, clock: TravellingClock
) -> None:
    async with ports.units.of_system(ana.organization_id) as uow:
        if what == "organization":
            await uow.session.execute(update(Organization).values(is_active=False))
        else:
            values: dict[str, Any] = {"is_active": False} if what == "member" else {"removed_at": clock.now()}
            await uow.session.execute(update(Member).where(col(Member.id) == ana.id).values(**values))
    answer = await anonymous.post(LOGIN, input={"email": ana.email, "password": PASSWORD})
    assert answer == {"data": {"login": WRONG}}
    assert await sessions_of(ports, ana.account_id) == 0


async def test_a_member_of_several_chooses_or_returns_to_the_last(anonymous: Client, make: Factory) -> None:
    account = await make.account(PASSWORD)
    first, second = [
        await make.member(await make.organization(), role, account=account) for role in (Role.AGENT, Role.VIEWER)
    ]
    login: dict[str, Any] = {"email": account.email, "password": PASSWORD}
    there = {**login, "organizationId": global_id("Organization", second.organization_id)}
    assert (await anonymous.ask(LOGIN, input=login))["session"]["member"]["id"] == global_id("Member", first.id)
    assert (await anonymous.ask(LOGIN, input=there))["session"]["member"]["id"] == global_id("Member", second.id)
    assert (await anonymous.ask(LOGIN, input=login))["session"]["member"]["id"] == global_id("Member", second.id)


async def test_g1_an_organization_that_is_not_the_callers_is_not_there(
    anonymous: Client, ana: Member, make: Factory, ports: Ports
) -> None:
    theirs = global_id("Organization", (await make.organization()).id)
    absent = [theirs, f"Organization_{'0' * 32}", "Organization_x", global_id("Member", ana.id)]
    for id_ in absent:
        answer = await anonymous.ask(LOGIN, input={"email": ana.email, "password": PASSWORD, "organizationId": id_})
        assert answer["session"] is None
        assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [("NOT_FOUND", ["organizationId"])]
    guessed = await anonymous.ask(
        LOGIN, input={"email": ana.email, "password": "wrong horse battery", "organizationId": theirs}
    )
    assert guessed == WRONG
    assert await sessions_of(ports, ana.account_id) == 0


@pytest.mark.parametrize(
    ("email", "password", "expected"),
    [
        ("a\0na@example.com", PASSWORD, [("INVALID", ["email"])]),
        ("ana@example.com", "a\0bcdefghijk", [("INVALID", ["password"])]),
        ("", "", [("INVALID_CREDENTIALS", None)]),
        ("ana@example.com", "x" * 100_000, [("INVALID_CREDENTIALS", None)]),
        ("a" * 100_000, PASSWORD, [("INVALID_CREDENTIALS", None)]),
    ],
)
async def test_bad_input_is_refused(anonymous: Client, email: str, password: str, expected: Any) -> None:
    answer = await anonymous.ask(LOGIN, input={"email": email, "password": password})
    assert answer["session"] is None
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == expected


async def test_a_login_that_raced_a_password_change_is_refused(
    anonymous: Client, ana: Member, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = passwords.matches

    async def slow(stored: str | None, password: str) -> bool:
        same = await real(stored, password)
        async with ports.units.of_system(None) as uow:
            await uow.session.execute(
                update(Account).where(col(Account.id) == ana.account_id).values(password_hash="$other")
            )
        return same

    monkeypatch.setattr(passwords, "matches", slow)
    assert await anonymous.ask(LOGIN, input={"email": ana.email, "password": PASSWORD}) == WRONG
    assert await sessions_of(ports, ana.account_id) == 0


async def test_the_session_remembers_where_it_came_from(anonymous: Client, ana: Member, ports: Ports) -> None:
    await anonymous.ask(LOGIN, input={"email": ana.email, "password": PASSWORD})
    async with ports.database.session(None) as session:
        row = (await session.execute(select(Session).where(Session.account_id == ana.account_id))).scalar_one()
        tokens = (await session.execute(select(RefreshToken).where(RefreshToken.session_id == row.id))).scalars().all()
    assert row.user_agent == "Firefox 140"
    assert row.ip_address is not None
    assert row.ip_address.startswith("10.")
    assert len(tokens) == 1
