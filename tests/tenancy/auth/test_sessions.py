"""Sessions through the door: refreshed, listed, revoked, left, and taken to another organization."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, select, update

from pytake_gql.insight.audit.models import ActorKind, AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Anonymous, Role
from pytake_gql.tenancy.auth import sessions
from pytake_gql.tenancy.auth.models import RefreshToken, Session
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.conftest import TravellingClock
from tests.factories import Factory, SignedIn
from tests.tenancy.auth.documents import DEPARTMENTS, LOGOUT, REFRESH, REVOKE, SESSIONS, SWITCH
from tests.tenancy.auth.waiting import dies

WORTH_NOTHING = {
    "session": None,
    "userErrors": [
        {
            "code": "INVALID_CREDENTIALS",
            "field": ["refreshToken"],
            "message": "This session has ended. Sign in again.",
        }
    ],
}


@pytest.fixture
async def ana(make: Factory) -> SignedIn:
    return await make.signed_in(await make.member(await make.organization()))


@pytest.fixture
def as_ana(ana: SignedIn, http: httpx.AsyncClient) -> Client:
    return Client(http, ana.token)


async def stored(ports: Ports, session_id: UUID) -> Session:
    async with ports.database.session(None) as session:
        return (await session.execute(select(Session).where(Session.id == session_id))).scalar_one()


async def audit(ports: Ports, organization_id: UUID) -> Sequence[AuditEntry]:
    async with ports.database.session(organization_id) as inside:
        return (await inside.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()


async def test_a_refresh_token_is_exchanged_for_the_next_pair(
    anonymous: Client, ana: SignedIn, http: httpx.AsyncClient, clock: TravellingClock, ports: Ports
) -> None:
    clock.advance(hours=1)
    answer = await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token})
    assert answer["userErrors"] == []
    assert answer["session"]["member"]["id"] == global_id("Member", ana.member.id)
    assert answer["session"]["refreshToken"] != ana.refresh_token
    assert await Client(http, answer["session"]["accessToken"]).ask(DEPARTMENTS) == []
    row = await stored(ports, ana.session.id)
    assert row.last_used_at - ana.session.last_used_at >= clock.ahead
    following = await anonymous.ask(REFRESH, input={"refreshToken": answer["session"]["refreshToken"]})
    assert following["userErrors"] == []


async def test_g13_within_the_grace_a_spent_token_gives_the_same_successor(
    anonymous: Client, ana: SignedIn, clock: TravellingClock, ports: Ports
) -> None:
    first = await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token})
    clock.advance(seconds=9)
    again = await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token})
    assert again["session"]["refreshToken"] == first["session"]["refreshToken"]
    assert again["session"]["refreshTokenExpiresAt"] == first["session"]["refreshTokenExpiresAt"]
    assert (await stored(ports, ana.session.id)).ended_at is None
    async with ports.database.session(None) as session:
        chain = select(RefreshToken).where(RefreshToken.session_id == ana.session.id)
        assert len((await session.execute(chain)).scalars().all()) == 2


async def test_g13_of_two_at_once_both_get_the_same_successor(ana: SignedIn, ports: Ports) -> None:
    async def refresh() -> str | None:
        async with ports.units.open(Anonymous()) as uow:
            grant = await sessions.refresh(uow, ports.tokens, ana.refresh_token)
        return grant.refresh_token if grant else None

    async with ports.units.open(Anonymous()) as uow:
        first = await sessions.refresh(uow, ports.tokens, ana.refresh_token)
        second = asyncio.create_task(refresh())
        await asyncio.sleep(0.1)
        assert not second.done()
    assert first is not None
    assert await second == first.refresh_token


async def test_g13_after_the_grace_a_spent_token_kills_the_family(
    anonymous: Client, ana: SignedIn, as_ana: Client, clock: TravellingClock, ports: Ports
) -> None:
    first = await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token})
    clock.advance(seconds=11)
    assert await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}) == WORTH_NOTHING
    assert (await stored(ports, ana.session.id)).ended_at is not None
    assert await anonymous.ask(REFRESH, input={"refreshToken": first["session"]["refreshToken"]}) == WORTH_NOTHING
    await dies(as_ana)
    entries = await audit(ports, ana.member.organization_id)
    assert [(e.action, e.entity_id, e.changes) for e in entries] == [
        ("session.ended", ana.session.id, {"reason": {"from": None, "to": "TOKEN_REUSED"}})
    ]


async def test_g13_a_token_of_the_chains_past_kills_it_too(
    anonymous: Client, ana: SignedIn, clock: TravellingClock, ports: Ports
) -> None:
    token = ana.refresh_token
    for _ in range(3):
        token = (await anonymous.ask(REFRESH, input={"refreshToken": token}))["session"]["refreshToken"]
        clock.advance(minutes=9)
    assert await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}) == WORTH_NOTHING
    assert (await stored(ports, ana.session.id)).ended_at is not None


async def test_a_refresh_token_expires_after_thirty_days(
    anonymous: Client, ana: SignedIn, clock: TravellingClock, ports: Ports
) -> None:
    clock.advance(days=30, seconds=1)
    assert await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}) == WORTH_NOTHING
    assert (await stored(ports, ana.session.id)).ended_at is None


async def test_whatever_is_no_refresh_token_of_a_live_session_has_one_face(
    anonymous: Client, ana: SignedIn, as_ana: Client
) -> None:
    for token in ("", "0" * 64, ana.token, "x" * 100_000, ana.refresh_token.upper()):
        assert await anonymous.ask(REFRESH, input={"refreshToken": token}) == WORTH_NOTHING
    nul = await anonymous.ask(REFRESH, input={"refreshToken": "a\0"})
    assert [(e["code"], e["field"]) for e in nul["userErrors"]] == [("INVALID", ["refreshToken"])]
    await as_ana.ask(LOGOUT, input={})
    assert await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}) == WORTH_NOTHING


async def test_a_deactivated_member_refreshes_nothing(anonymous: Client, ana: SignedIn, ports: Ports) -> None:
    async with ports.units.of_system(ana.member.organization_id) as uow:
        await uow.session.execute(update(Member).where(col(Member.id) == ana.member.id).values(is_active=False))
    assert await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}) == WORTH_NOTHING
    async with ports.database.session(None) as session:
        chain = select(RefreshToken).where(RefreshToken.session_id == ana.session.id)
        assert [row.spent_at for row in (await session.execute(chain)).scalars()] == [None]


async def test_g12_logout_kills_the_access_token_and_the_refresh_token(
    anonymous: Client, ana: SignedIn, as_ana: Client, make: Factory, http: httpx.AsyncClient
) -> None:
    other = await make.signed_in(ana.member)
    assert await as_ana.ask(LOGOUT, input={}) == {"userErrors": []}
    await dies(as_ana)
    assert await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}) == WORTH_NOTHING
    assert await Client(http, other.token).ask(DEPARTMENTS) == []


async def test_g12_logout_everywhere_kills_all_of_the_account(
    ana: SignedIn, as_ana: Client, make: Factory, http: httpx.AsyncClient, ports: Ports
) -> None:
    elsewhere = await make.organization()
    member = Member(**{**ana.member.model_dump(), "id": UUID(int=ana.member.id.int + 1), "organization_id": None})
    await make.save(elsewhere.id, member)
    others = [await make.signed_in(ana.member), await make.signed_in(member)]
    stranger = await make.signed_in(await make.member(elsewhere))
    assert await as_ana.ask(LOGOUT, input={"everywhere": True}) == {"userErrors": []}
    for dead in (as_ana, *(Client(http, other.token) for other in others)):
        await dies(dead)
    assert await Client(http, stranger.token).ask(DEPARTMENTS) == []
    # Each organization's log keeps the sessions of its own members.
    assert sorted(e.entity_id for e in await audit(ports, ana.member.organization_id)) == sorted(
        [ana.session.id, others[0].session.id]
    )
    assert [e.entity_id for e in await audit(ports, elsewhere.id)] == [others[1].session.id]


async def test_logout_works_by_the_refresh_token_when_the_access_token_is_gone(
    ana: SignedIn, as_ana: Client, anonymous: Client, clock: TravellingClock
) -> None:
    clock.advance(minutes=11)
    assert await as_ana.code(LOGOUT, input={}) == "UNAUTHENTICATED"
    assert await as_ana.ask(LOGOUT, input={"refreshToken": ana.refresh_token}) == {"userErrors": []}
    assert await anonymous.ask(REFRESH, input={"refreshToken": ana.refresh_token}) == WORTH_NOTHING


async def test_logout_everywhere_works_by_the_refresh_token(
    ana: SignedIn, as_ana: Client, anonymous: Client, make: Factory, http: httpx.AsyncClient
) -> None:
    other = await make.signed_in(ana.member)
    assert await anonymous.ask(LOGOUT, input={"refreshToken": ana.refresh_token, "everywhere": True}) == {
        "userErrors": []
    }
    await dies(as_ana)
    await dies(Client(http, other.token))


async def test_logout_with_a_token_that_is_worth_nothing_ends_nothing(
    anonymous: Client, ana: SignedIn, ports: Ports
) -> None:
    assert await anonymous.ask(LOGOUT, input={"refreshToken": "0" * 64, "everywhere": True}) == {"userErrors": []}
    assert await anonymous.code(LOGOUT, input={}) == "UNAUTHENTICATED"
    assert (await stored(ports, ana.session.id)).ended_at is None


async def test_what_follows_a_logout_in_one_document_is_refused(as_ana: Client) -> None:
    answer = await as_ana.post(
        "mutation ($id: ID!) { logout(input: {}) { userErrors { code } } revokeSession(input: {id: $id})"
        " { userErrors { code } } }",
        id="ActiveSession_x",
    )
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]


async def test_the_active_sessions_are_the_accounts_own_and_live(
    ana: SignedIn, as_ana: Client, make: Factory, anonymous: Client, clock: TravellingClock
) -> None:
    clock.advance(seconds=5)
    other = await make.signed_in(ana.member)
    await make.signed_in(await make.member(await make.organization()))
    listed = await as_ana.ask(SESSIONS)
    assert [(s["id"], s["isCurrent"]) for s in listed] == [
        (global_id("ActiveSession", other.session.id), False),
        (global_id("ActiveSession", ana.session.id), True),
    ]
    node = "query ($id: ID!) { node(id: $id) { __typename id } }"
    assert await as_ana.ask(node, id=listed[0]["id"]) == {"__typename": "ActiveSession", "id": listed[0]["id"]}
    await anonymous.ask(LOGOUT, input={"refreshToken": other.refresh_token})
    assert [s["id"] for s in await as_ana.ask(SESSIONS)] == [global_id("ActiveSession", ana.session.id)]
    assert await as_ana.ask(node, id=listed[0]["id"]) is None


async def test_a_session_that_nobody_can_refresh_is_not_listed(
    ana: SignedIn, make: Factory, http: httpx.AsyncClient, clock: TravellingClock
) -> None:
    clock.advance(days=31)
    fresh = await make.signed_in(ana.member)
    listed = await Client(http, fresh.token).ask(SESSIONS)
    assert [s["id"] for s in listed] == [global_id("ActiveSession", fresh.session.id)]


async def test_g12_a_revoked_session_is_dead(
    ana: SignedIn, as_ana: Client, make: Factory, http: httpx.AsyncClient, anonymous: Client
) -> None:
    other = await make.signed_in(ana.member)
    id_ = global_id("ActiveSession", other.session.id)
    assert await as_ana.ask(REVOKE, input={"id": id_}) == {
        "activeSession": {"id": id_, "isCurrent": False}, "userErrors": [],
    }  # fmt: skip
    await dies(Client(http, other.token))
    assert await anonymous.ask(REFRESH, input={"refreshToken": other.refresh_token}) == WORTH_NOTHING
    again = await as_ana.ask(REVOKE, input={"id": id_})
    assert again == {"activeSession": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}


async def test_g1_a_strangers_session_is_not_there(as_ana: Client, make: Factory, ports: Ports) -> None:
    stranger = await make.signed_in(await make.member(await make.organization()))
    for id_ in (
        global_id("ActiveSession", stranger.session.id),
        f"ActiveSession_{'0' * 32}",
        "ActiveSession_x",
        global_id("Member", stranger.session.id),
    ):
        answer = await as_ana.ask(REVOKE, input={"id": id_})
        assert answer == {"activeSession": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
        assert await as_ana.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
    assert (await stored(ports, stranger.session.id)).ended_at is None


async def of_two(make: Factory) -> tuple[SignedIn, Member, Organization]:
    """Somebody signed in here, the member that the same person is there, and the place."""
    account = Account(email="", password_hash="!", created_at=make.ports.clock.now())
    account.email = f"{account.id.hex}@example.com"
    first = await make.member(await make.organization(), Role.ORG_ADMIN, account=account, name="Ana")
    elsewhere = await make.organization()
    second = await make.member(elsewhere, Role.VIEWER, account=account, name="Ana lá")
    return await make.signed_in(first), second, elsewhere


async def test_a_member_of_several_switches(
    make: Factory, http: httpx.AsyncClient, anonymous: Client, ports: Ports, clock: TravellingClock
) -> None:
    here, there, elsewhere = await of_two(make)
    client = Client(http, here.token)
    assert await client.ask(DEPARTMENTS) == []
    theirs = await make.department(elsewhere)
    answer = await client.ask(SWITCH, input={"organizationId": global_id("Organization", there.organization_id)})
    assert answer["userErrors"] == []
    assert answer["session"]["member"] == {
        "id": global_id("Member", there.id), "email": there.email, "name": "Ana lá", "role": "VIEWER",
    }  # fmt: skip
    # At once, though this process has just read the session in its old organization.
    assert await Client(http, answer["session"]["accessToken"]).ask(DEPARTMENTS) == [{"name": theirs.name}]
    assert await client.code(DEPARTMENTS) == "UNAUTHENTICATED"
    refreshed = await anonymous.ask(REFRESH, input={"refreshToken": answer["session"]["refreshToken"]})
    assert refreshed["session"]["member"]["id"] == global_id("Member", there.id)
    entry = (await audit(ports, there.organization_id))[-1]
    assert (entry.action, entry.actor_kind, entry.actor_id) == (
        "organization.entered", ActorKind.MEMBER, there.id,
    )  # fmt: skip
    # The chain goes on: the token of before is spent, and an alarm after the grace (G13).
    clock.advance(seconds=11)
    assert await anonymous.ask(REFRESH, input={"refreshToken": here.refresh_token}) == WORTH_NOTHING
    assert (await stored(ports, here.session.id)).ended_at is not None


async def test_my_organizations_are_those_of_the_account(make: Factory, http: httpx.AsyncClient, ports: Ports) -> None:
    here, there, _ = await of_two(make)
    await make.organization()
    client = Client(http, here.token)
    found = await client.ask("{ myOrganizations { id } }")
    assert sorted(o["id"] for o in found) == sorted(
        global_id("Organization", m.organization_id) for m in (here.member, there)
    )
    async with ports.units.of_system(there.organization_id) as uow:
        await uow.session.execute(update(Member).where(col(Member.id) == there.id).values(is_active=False))
    assert await client.ask("{ myOrganizations { id } }") == [
        {"id": global_id("Organization", here.member.organization_id)}
    ]


@pytest.mark.parametrize("role", [Role.ORG_ADMIN, Role.AGENT, Role.VIEWER])
async def test_g1_nobody_but_a_super_admin_enters_another_organization(
    make: Factory, http: httpx.AsyncClient, ports: Ports, role: Role
) -> None:
    member = await make.signed_in(await make.member(await make.organization(), role))
    client, other = Client(http, member.token), await make.organization()
    for id_ in (global_id("Organization", other.id), f"Organization_{'0' * 32}", "Organization_x"):
        answer = await client.ask(SWITCH, input={"organizationId": id_, "reason": "because"})
        assert answer["session"] is None
        assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [("NOT_FOUND", ["organizationId"])]
    assert (await stored(ports, member.session.id)).organization_id == member.member.organization_id
    assert await client.ask(DEPARTMENTS) == []
    assert await audit(ports, other.id) == []


async def test_a_super_admin_enters_with_a_reason_that_the_log_keeps(
    make: Factory, http: httpx.AsyncClient, ports: Ports
) -> None:
    admin = await make.signed_in(await make.member(await make.organization(), Role.SUPER_ADMIN))
    other = await make.organization()
    theirs = await make.department(other)
    client, id_ = Client(http, admin.token), global_id("Organization", other.id)
    for reason, code in ((None, "REQUIRED"), ("  ", "REQUIRED"), ("x" * 501, "TOO_LONG")):
        refused = await client.ask(SWITCH, input={"organizationId": id_, "reason": reason})
        assert [(e["code"], e["field"]) for e in refused["userErrors"]] == [(code, ["reason"])]
    assert await audit(ports, other.id) == []
    answer = await client.ask(SWITCH, input={"organizationId": id_, "reason": "Chamado 42"})
    assert answer["session"]["member"]["id"] == global_id("Member", admin.member.id)
    inside = Client(http, answer["session"]["accessToken"])
    assert await inside.ask(DEPARTMENTS) == [{"name": theirs.name}]
    entries = await audit(ports, other.id)
    assert [(e.action, e.actor_kind, e.actor_id, e.entity_id, e.changes) for e in entries] == [
        (
            "organization.entered",
            ActorKind.SUPER_ADMIN,
            admin.member.id,
            other.id,
            {"reason": {"from": None, "to": "Chamado 42"}},
        )
    ]
    home = global_id("Organization", admin.member.organization_id)
    back = await inside.ask(SWITCH, input={"organizationId": home})
    assert await Client(http, back["session"]["accessToken"]).ask(DEPARTMENTS) == []
    unknown = await Client(http, back["session"]["accessToken"]).ask(
        SWITCH, input={"organizationId": f"Organization_{'0' * 32}", "reason": "Chamado 43"}
    )
    assert [(e["code"], e["field"]) for e in unknown["userErrors"]] == [("NOT_FOUND", ["organizationId"])]
