"""Changing a password, and setting another one when it is forgotten."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlmodel import col, select, update

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.auth import passwords
from pytake_gql.tenancy.auth.models import PasswordReset
from pytake_gql.tenancy.mail.models import Mail
from pytake_gql.tenancy.members.models import Account, Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.factories import Factory, SignedIn
from tests.tenancy.auth.documents import CHANGE, DEPARTMENTS, FORGOT, LOGIN, REFRESH, RESET, SIGN_UP
from tests.tenancy.auth.waiting import dies

PASSWORD = "correct horse battery"
OTHER = "staple wrong donkey"
EXPIRED = {
    "session": None,
    "userErrors": [
        {
            "code": "EXPIRED",
            "field": ["token"],
            "message": "This link was used, or is too old. Ask for a new one.",
        }
    ],
}


@pytest.fixture
async def ana(make: Factory) -> SignedIn:
    return await make.signed_in(await make.member(await make.organization(), account=await make.account(PASSWORD)))


@pytest.fixture
def as_ana(ana: SignedIn, http: httpx.AsyncClient) -> Client:
    return Client(http, ana.token)


async def stored_hash(ports: Ports, member: Member) -> str:
    async with ports.database.session(None) as session:
        found = await session.execute(select(Account.password_hash).where(Account.id == member.account_id))
        return found.scalar_one()


async def mails_to(ports: Ports, address: str) -> list[Mail]:
    async with ports.database.session(None) as session:
        found = await session.execute(select(Mail).where(Mail.recipient == address).order_by(col(Mail.id)))
        return list(found.scalars())


async def mailed_token(anonymous: Client, ports: Ports, address: str) -> str:
    await anonymous.ask(FORGOT, input={"email": address})
    link = (await mails_to(ports, address))[-1].links[0]
    return parse_qs(urlsplit(link).query)["token"][0]


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "REQUIRED"),
        ("123456789", "INVALID"),
        ("1234567890", None),
        ("x" * 256, None),
        ("x" * 257, "TOO_LONG"),
        ("Ana@Example.com", "INVALID"),
    ],
)
def test_what_may_be_a_password(password: str, code: str | None) -> None:
    if code is None:
        assert passwords.check(password, "ana@example.com", "password") == password
        return
    with pytest.raises(Refusal) as refused:
        passwords.check(password, "ana@example.com", "password")
    assert [(p.code, p.field) for p in refused.value.problems] == [(code, ("password",))]


async def test_an_accent_is_the_same_however_a_keyboard_writes_it() -> None:
    stored = await passwords.make_hash("caf\u00e9 com leite")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.matches(stored, "cafe\u0301 com leite") is True
    assert await passwords.matches(stored, "cafe com leite") is False
    assert await passwords.matches("!", "!") is False


async def test_g12_a_changed_password_ends_every_other_session(
    ana: SignedIn, as_ana: Client, anonymous: Client, make: Factory, http: httpx.AsyncClient, ports: Ports
) -> None:
    other = await make.signed_in(ana.member)
    answer = await as_ana.ask(CHANGE, input={"currentPassword": PASSWORD, "newPassword": OTHER})
    assert answer == {"userErrors": []}
    await dies(Client(http, other.token))
    assert (await anonymous.ask(REFRESH, input={"refreshToken": other.refresh_token}))["session"] is None
    assert await as_ana.ask(DEPARTMENTS) == []
    assert (await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}))["userErrors"] == []
    old, new = [
        await anonymous.ask(LOGIN, input={"email": ana.member.email, "password": password})
        for password in (PASSWORD, OTHER)
    ]
    assert [e["code"] for e in old["userErrors"]] == ["INVALID_CREDENTIALS"]
    assert new["userErrors"] == []
    async with ports.database.session(ana.member.organization_id) as inside:
        entries = (await inside.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
    assert [(e.action, e.entity_id, e.actor_id) for e in entries[:2]] == [
        ("session.ended", other.session.id, ana.member.id),
        ("password.changed", ana.member.id, ana.member.id),
    ]


@pytest.mark.parametrize(
    ("current", "new", "expected"),
    [
        ("wrong horse battery", OTHER, [("INVALID_CREDENTIALS", ["currentPassword"])]),
        (PASSWORD, "short", [("INVALID", ["newPassword"])]),
        (PASSWORD, "x" * 257, [("TOO_LONG", ["newPassword"])]),
        (PASSWORD, "a\0bcdefghijk", [("INVALID", ["newPassword"])]),
    ],
)
async def test_a_refused_change_changes_nothing(
    ana: SignedIn, as_ana: Client, make: Factory, http: httpx.AsyncClient, ports: Ports,
    current: str, new: str, expected: Any,
) -> None:  # fmt: skip
    other, before = await make.signed_in(ana.member), await stored_hash(ports, ana.member)
    answer = await as_ana.ask(CHANGE, input={"currentPassword": current, "newPassword": new})
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == expected
    assert await stored_hash(ports, ana.member) == before
    assert await Client(http, other.token).ask(DEPARTMENTS) == []


async def test_g15_the_current_password_cannot_be_guessed_through_a_session(as_ana: Client) -> None:
    for i in range(6):
        answer = await as_ana.ask(CHANGE, input={"currentPassword": f"guess number {i}", "newPassword": OTHER})
        assert [e["code"] for e in answer["userErrors"]] == ["INVALID_CREDENTIALS"]
    assert await as_ana.code(CHANGE, input={"currentPassword": PASSWORD, "newPassword": OTHER}) == "RATE_LIMITED"


async def test_a_forgotten_password_is_set_by_mail(
    ana: SignedIn, as_ana: Client, anonymous: Client, http: httpx.AsyncClient, ports: Ports
) -> None:
    await anonymous.ask(FORGOT, input={"email": f" {ana.member.email.upper()} "})
    mail = (await mails_to(ports, ana.member.email))[0]
    link = urlsplit(mail.links[0])
    assert f"{link.scheme}://{link.netloc}{link.path}" == f"{ports.settings.web_url}/reset-password"
    token = parse_qs(link.query)["token"][0]
    answer = await anonymous.ask(RESET, input={"token": token, "newPassword": OTHER})
    assert answer["userErrors"] == []
    assert answer["session"]["member"]["id"] == global_id("Member", ana.member.id)
    await dies(as_ana)
    assert await Client(http, answer["session"]["accessToken"]).ask(DEPARTMENTS) == []
    assert await passwords.matches(await stored_hash(ports, ana.member), OTHER) is True
    assert await anonymous.ask(RESET, input={"token": token, "newPassword": PASSWORD}) == EXPIRED
    assert await passwords.matches(await stored_hash(ports, ana.member), OTHER) is True


async def test_a_reset_token_is_stored_as_a_hash_and_is_no_other_token(
    ana: SignedIn, anonymous: Client, http: httpx.AsyncClient, ports: Ports
) -> None:
    token = await mailed_token(anonymous, ports, ana.member.email)
    async with ports.database.session(None) as session:
        rows = await session.execute(select(PasswordReset).where(PasswordReset.account_id == ana.member.account_id))
        assert [row.token_hash == token.encode() for row in rows.scalars()] == [False]
    assert (await anonymous.ask(REFRESH, input={"refreshToken": token}))["session"] is None
    assert await Client(http, token).code(DEPARTMENTS) == "UNAUTHENTICATED"
    for other in (ana.refresh_token, ana.token):
        assert await anonymous.ask(RESET, input={"token": other, "newPassword": OTHER}) == EXPIRED


async def test_the_answer_does_not_tell_whether_an_address_is_known(
    ana: SignedIn, anonymous: Client, ports: Ports
) -> None:
    known = await anonymous.post(FORGOT, input={"email": ana.member.email})
    unknown = await anonymous.post(FORGOT, input={"email": f"nobody-{ana.member.email}"})
    assert known == unknown == {"data": {"requestPasswordReset": {"userErrors": []}}}
    assert len(await mails_to(ports, ana.member.email)) == 1
    assert await mails_to(ports, f"nobody-{ana.member.email}") == []


async def test_one_address_gets_three_mails_and_no_more(ana: SignedIn, anonymous: Client, ports: Ports) -> None:
    for address in (ana.member.email, f"nobody-{ana.member.email}"):
        for _ in range(3):
            await anonymous.ask(FORGOT, input={"email": address})
        assert await anonymous.code(FORGOT, input={"email": address}) == "RATE_LIMITED"
    assert len(await mails_to(ports, ana.member.email)) == 3


async def test_whoever_cannot_sign_in_gets_no_mail(ana: SignedIn, anonymous: Client, ports: Ports) -> None:
    async with ports.units.of_system(ana.member.organization_id) as uow:
        await uow.session.execute(update(Member).where(col(Member.id) == ana.member.id).values(is_active=False))
    assert await anonymous.ask(FORGOT, input={"email": ana.member.email}) == {"userErrors": []}
    assert await mails_to(ports, ana.member.email) == []


async def test_a_mailed_token_dies_after_an_hour_by_another_reset_and_by_a_change(
    ana: SignedIn, as_ana: Client, anonymous: Client, ports: Ports, clock: TravellingClock
) -> None:
    first, second = [await mailed_token(anonymous, ports, ana.member.email) for _ in range(2)]
    clock.advance(minutes=61)
    assert await anonymous.ask(RESET, input={"token": first, "newPassword": OTHER}) == EXPIRED
    clock.advance(minutes=-61)
    assert (await anonymous.ask(RESET, input={"token": first, "newPassword": OTHER}))["userErrors"] == []
    assert await anonymous.ask(RESET, input={"token": second, "newPassword": PASSWORD}) == EXPIRED
    third = await mailed_token(anonymous, ports, ana.member.email)
    signed_in = await anonymous.ask(LOGIN, input={"email": ana.member.email, "password": OTHER})
    client = Client(as_ana.http, signed_in["session"]["accessToken"])
    changed = await client.ask(CHANGE, input={"currentPassword": OTHER, "newPassword": PASSWORD})
    assert changed == {"userErrors": []}
    assert await anonymous.ask(RESET, input={"token": third, "newPassword": OTHER}) == EXPIRED


@pytest.mark.parametrize(
    ("password", "expected"),
    [("short", [("INVALID", ["newPassword"])]), ("x" * 100_000, [("TOO_LONG", ["newPassword"])])],
)
async def test_a_bad_new_password_leaves_the_token_good(
    ana: SignedIn, anonymous: Client, ports: Ports, password: str, expected: Any
) -> None:
    token = await mailed_token(anonymous, ports, ana.member.email)
    refused = await anonymous.ask(RESET, input={"token": token, "newPassword": password})
    assert [(e["code"], e["field"]) for e in refused["userErrors"]] == expected
    assert (await anonymous.ask(RESET, input={"token": token, "newPassword": OTHER}))["userErrors"] == []


@pytest.mark.parametrize(
    ("email", "code"), [("", "REQUIRED"), ("no address", "INVALID"), ("a\0@example.com", "INVALID")]
)
async def test_what_is_no_address_is_said(anonymous: Client, email: str, code: str) -> None:
    answer = await anonymous.ask(FORGOT, input={"email": email})
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [(code, ["email"])]


@pytest.mark.parametrize("token", ["", "0" * 64, "x" * 100_000])
async def test_an_unknown_token_resets_nothing(anonymous: Client, token: str) -> None:
    assert await anonymous.ask(RESET, input={"token": token, "newPassword": OTHER}) == EXPIRED


async def test_g15_no_transaction_is_open_while_a_new_password_is_hashed(
    ana: SignedIn, as_ana: Client, anonymous: Client, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use: list[int] = []
    real = passwords.make_hash

    async def recording(password: str) -> str:
        in_use.append(ports.database.engine.pool.checkedout())  # type: ignore[attr-defined]
        return await real(password)

    monkeypatch.setattr(passwords, "make_hash", recording)
    email = f"new-{ana.member.email}"
    form = {"organizationName": "Loja", "name": "Ana", "email": email, "password": PASSWORD}
    for answer in (
        await anonymous.ask(SIGN_UP, input=form),
        await as_ana.ask(CHANGE, input={"currentPassword": PASSWORD, "newPassword": OTHER}),
        await anonymous.ask(RESET, input={"token": await mailed_token(anonymous, ports, email), "newPassword": OTHER}),
    ):
        assert answer["userErrors"] == []
    assert in_use == [0, 0, 0]
