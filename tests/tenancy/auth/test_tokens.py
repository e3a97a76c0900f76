"""What a bearer token is worth: nothing but a good access token of a session that stands."""

import asyncio
import base64
import time
from collections.abc import Callable
from datetime import timedelta

import httpx
import orjson
import pytest
from sqlmodel import col, update

from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.ports import AUTHORITY_TOPIC, Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.kernel.tokens import TokenKind, Tokens
from pytake_gql.tenancy.auth import authority
from pytake_gql.tenancy.auth.authority import SessionAuthority
from pytake_gql.tenancy.members.models import Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.conftest import TravellingClock
from tests.factories import Factory, SignedIn
from tests.tenancy.auth.documents import DEPARTMENTS, SESSIONS
from tests.tenancy.auth.waiting import dies


@pytest.fixture
async def ana(make: Factory) -> SignedIn:
    return await make.signed_in(await make.member(await make.organization()))


@pytest.fixture
def as_ana(ana: SignedIn, http: httpx.AsyncClient) -> Client:
    return Client(http, ana.token)


def claims_of(ana: SignedIn) -> dict[str, str]:
    return {
        "sub": str(ana.member.account_id),
        "sid": str(ana.session.id),
        "org": str(ana.member.organization_id),
    }


def encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode()


def unsigned(ana: SignedIn, _: Ports) -> str:
    now = int(time.time())
    body = {**claims_of(ana), "iss": "pytake", "aud": "access", "nbf": now, "exp": now + 60}
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(body)}."


def of_another_key(ana: SignedIn, ports: Ports) -> str:
    return Tokens(b"x" * 32, ports.clock).sign(TokenKind.ACCESS, claims_of(ana), timedelta(minutes=1))[0]


def tampered(ana: SignedIn, _: Ports) -> str:
    header, body, signature = ana.token.split(".")
    claims = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return f"{header}.{encoded({**claims, 'exp': claims['exp'] + 3600})}.{signature}"


def of_an_unknown_session(ana: SignedIn, ports: Ports) -> str:
    claims = {**claims_of(ana), "sid": str(uuid7())}
    return ports.tokens.sign(TokenKind.ACCESS, claims, timedelta(minutes=1))[0]


def of_another_organization(ana: SignedIn, ports: Ports) -> str:
    claims = {**claims_of(ana), "org": str(uuid7())}
    return ports.tokens.sign(TokenKind.ACCESS, claims, timedelta(minutes=1))[0]


def without_claims(_: SignedIn, ports: Ports) -> str:
    return ports.tokens.sign(TokenKind.ACCESS, {}, timedelta(minutes=1))[0]


def refresh_token(ana: SignedIn, _: Ports) -> str:
    return ana.refresh_token


def nonsense(_ana: SignedIn, _: Ports) -> str:
    return "a.b.c"


FORGERIES = [
    unsigned,
    of_another_key,
    tampered,
    of_an_unknown_session,
    of_another_organization,
    without_claims,
    refresh_token,
    nonsense,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_a_token_that_is_no_good_access_token_opens_nothing(
    ana: SignedIn, http: httpx.AsyncClient, ports: Ports, forge: Callable[[SignedIn, Ports], str]
) -> None:
    assert await Client(http, ana.token).ask(DEPARTMENTS) == []
    assert await Client(http, forge(ana, ports)).code(DEPARTMENTS) == "UNAUTHENTICATED"


async def test_a_visitors_token_is_no_access_token(ana: SignedIn, http: httpx.AsyncClient, ports: Ports) -> None:
    claims = {**claims_of(ana), "channel": str(uuid7())}
    token = ports.tokens.sign(TokenKind.VISITOR, claims, timedelta(minutes=1))[0]
    assert await Client(http, token).code(DEPARTMENTS) == "UNAUTHENTICATED"


async def test_an_access_token_lives_ten_minutes(as_ana: Client, clock: TravellingClock) -> None:
    clock.advance(minutes=9, seconds=58)
    assert await as_ana.ask(DEPARTMENTS) == []
    clock.advance(seconds=3)
    assert await as_ana.code(DEPARTMENTS) == "UNAUTHENTICATED"


async def deactivate(ports: Ports, ana: SignedIn, *, bump: bool) -> None:
    async with ports.units.of_system(ana.member.organization_id) as uow:
        await uow.session.execute(update(Member).where(col(Member.id) == ana.member.id).values(is_active=False))
        if bump:
            uow.wake(AUTHORITY_TOPIC, str(ana.member.id))


async def test_g11_a_deactivated_members_token_dies_at_once_by_the_bump(
    ana: SignedIn, as_ana: Client, ports: Ports
) -> None:
    assert await as_ana.ask(DEPARTMENTS) == []
    await deactivate(ports, ana, bump=True)
    await dies(as_ana)


async def test_g11_without_the_bump_it_dies_within_two_seconds(
    ana: SignedIn, as_ana: Client, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await as_ana.ask(DEPARTMENTS) == []
    await deactivate(ports, ana, bump=False)
    assert await as_ana.ask(DEPARTMENTS) == []
    assert authority.FRESH_SECONDS == 2.0
    monkeypatch.setattr(authority, "FRESH_SECONDS", 0.05)
    await asyncio.sleep(0.06)
    assert await as_ana.code(DEPARTMENTS) == "UNAUTHENTICATED"


async def test_g11_a_changed_role_counts_at_once_by_the_bump(make: Factory, ports: Ports) -> None:
    ana = await make.signed_in(await make.member(await make.organization(), Role.ORG_ADMIN))
    assert (await ports.authority.identify(ana.token)) == ana.principal
    async with ports.units.of_system(ana.member.organization_id) as uow:
        await uow.session.execute(update(Member).where(col(Member.id) == ana.member.id).values(role=Role.VIEWER))
    assert isinstance(ports.authority, SessionAuthority)
    ports.authority.forget(ana.member.id)
    renewed = await ports.authority.identify(ana.token)
    assert getattr(renewed, "role", None) is Role.VIEWER


async def test_g11_a_deactivated_organization_ends_what_its_members_do(
    ana: SignedIn, as_ana: Client, ports: Ports
) -> None:
    assert await as_ana.ask(DEPARTMENTS) == []
    async with ports.units.of_system(ana.member.organization_id) as uow:
        await uow.session.execute(update(Organization).values(is_active=False))
        uow.wake(AUTHORITY_TOPIC, str(ana.member.organization_id))
    await dies(as_ana)


async def test_g11_what_was_read_while_it_changed_is_not_kept(ana: SignedIn, ports: Ports) -> None:
    fresh = SessionAuthority(ports.database, ports.tokens, ports.settings)
    read = fresh._read

    async def slow(principal: object) -> object:
        found = await read(principal)  # type: ignore[arg-type]
        fresh.forget(ana.session.id)
        return found

    fresh._read = slow  # type: ignore[method-assign,assignment]
    await fresh.identify(ana.token)
    assert fresh._cache == {}


async def test_g2_nobody_sees_sessions_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code(SESSIONS) == "UNAUTHENTICATED"
    assert await anonymous.code("{ myOrganizations { id } }") == "UNAUTHENTICATED"
