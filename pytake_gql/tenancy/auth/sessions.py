"""Sessions: begun, carried on by their chain of refresh tokens, moved between organizations, and ended (G12, G13)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import UserErrorCode, not_found, refuse
from pytake_gql.kernel.ports import AUTHORITY_TOPIC
from pytake_gql.kernel.principal import MemberPrincipal, Role
from pytake_gql.kernel.tokens import TokenKind, Tokens, new_opaque_token, token_hash
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.auth.events import MemberSignedIn, OrganizationEntered, SessionEnded
from pytake_gql.tenancy.auth.models import RefreshToken, Session
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.models import Organization

ACCESS_LIFETIME = timedelta(minutes=10)
REFRESH_LIFETIME = timedelta(days=30)
GRACE = timedelta(seconds=10)
MOST_LISTED = 500

_MEMBERSHIPS = sa.text("SELECT organization_id, member_id FROM engine_memberships(:account_id)")
_STANDS = sa.text("SELECT true FROM engine_authority(:session_id)")


class EndReason(StrEnum):
    LOGGED_OUT = "LOGGED_OUT"
    REVOKED = "REVOKED"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - no password
    TOKEN_REUSED = "TOKEN_REUSED"  # noqa: S105 - no token


@dataclass(frozen=True, slots=True)
class Device:
    """Where somebody signs in from."""

    ip_address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a signed-in client holds; the only place where the refresh token stands in the clear."""

    principal: MemberPrincipal
    member: Member
    access_token: str
    access_expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime


async def memberships(session: AsyncSession, account_id: UUID) -> dict[UUID, UUID]:
    """The organizations that the account may work in, each with its member there."""
    rows = await session.execute(_MEMBERSHIPS, {"account_id": account_id})
    return {row.organization_id: row.member_id for row in rows}


async def begin(
    uow: UnitOfWork, tokens: Tokens, *, account_id: UUID, organization_id: UUID, member_id: UUID, device: Device
) -> Grant:
    """Signs the member in; the unit of work goes on in the member's organization, as that member."""
    now = uow.now()
    await uow.enter(organization_id)
    await _remember(uow, account_id, organization_id)
    session = Session(
        account_id=account_id,
        organization_id=organization_id,
        home_organization_id=organization_id,
        member_id=member_id,
        user_agent=device.user_agent,
        ip_address=device.ip_address,
        created_at=now,
        last_used_at=now,
    )
    refresh_token, row = _new_refresh_token(session.id, new_opaque_token(), now)
    uow.add(session)
    await uow.session.flush()
    uow.add(row)
    grant = await _grant(uow, tokens, session, refresh_token, row)
    uow.principal = grant.principal
    uow.emit(MemberSignedIn(entity_id=member_id, changes={"session": {"from": None, "to": str(session.id)}}))
    return grant


async def refresh(uow: UnitOfWork, tokens: Tokens, refresh_token: str) -> Grant | None:
    """The next of the chain, or None for a token that is worth nothing (any more).

    None and not a refusal: a spent token that comes back ends its session, and that must be committed (G13).
    """
    found = await by_refresh_token(uow, refresh_token)
    if found is None:
        return None
    session, token = found
    if not await _stands(uow, session):
        return None
    following, row = await _spend(uow, tokens, token)
    session.last_used_at = uow.now()
    await uow.enter(session.home_organization_id)
    return await _grant(uow, tokens, session, following, row)


async def by_refresh_token(uow: UnitOfWork, refresh_token: str) -> tuple[Session, RefreshToken] | None:
    """The live session of a token that is not spent, or was just now; locked, so that its chain stays one.

    A token spent for longer than the grace ends the session: two hold it, and one of them is a thief (G13).
    """
    hashed = token_hash(refresh_token)
    session = (
        await uow.session.execute(
            select(Session)
            .join(RefreshToken, col(RefreshToken.session_id) == Session.id)
            .where(RefreshToken.token_hash == hashed, col(Session.ended_at).is_(None))
            .with_for_update(of=Session)
        )
    ).scalar_one_or_none()
    if session is None:
        return None
    token = (await uow.session.execute(select(RefreshToken).where(RefreshToken.token_hash == hashed))).scalar_one()
    if token.expires_at <= uow.now():
        return None
    if token.spent_at is not None and uow.now() - token.spent_at > GRACE:
        await end(uow, [session], EndReason.TOKEN_REUSED)
        return None
    return session, token


async def switch(uow: UnitOfWork, tokens: Tokens, organization_id: UUID, reason: str | None) -> Grant:
    """Goes on in another organization: as its member, or as a super admin who tells its audit log why."""
    by = _member(uow)
    await lock_account(uow, by.account_id)
    session = await _own(uow, by, by.session_id, "organization_id")
    leaf = select(RefreshToken).where(RefreshToken.session_id == session.id, col(RefreshToken.spent_at).is_(None))
    following, row = await _spend(uow, tokens, (await uow.session.execute(leaf)).scalar_one())
    member_id = (await memberships(uow.session, by.account_id)).get(organization_id)
    if member_id is not None:
        session.home_organization_id, session.member_id, why = organization_id, member_id, None
    else:
        why = await _reason_to_enter(uow, by, organization_id, reason)
    session.organization_id = organization_id
    session.last_used_at = uow.now()
    uow.add(session)
    await uow.enter(session.home_organization_id)
    if member_id is not None:
        await _remember(uow, by.account_id, organization_id)
    grant = await _grant(uow, tokens, session, following, row)
    await uow.enter(organization_id)
    uow.principal = grant.principal
    uow.emit(OrganizationEntered(entity_id=organization_id, changes={"reason": {"from": None, "to": why}}))
    uow.wake(AUTHORITY_TOPIC, str(session.id))
    return grant


async def end(uow: UnitOfWork, sessions: Iterable[Session], reason: EndReason) -> None:
    """Ends them; each organization's audit log keeps those of its own members. The unit stays in the last one."""
    ordered = sorted(sessions, key=lambda session: session.home_organization_id)
    for session in ordered:
        session.ended_at = uow.now()
        uow.add(session)
        uow.wake(AUTHORITY_TOPIC, str(session.id))
    for organization_id, group in groupby(ordered, key=lambda session: session.home_organization_id):
        await uow.enter(organization_id)
        for session in group:
            uow.emit(SessionEnded(entity_id=session.id, changes={"reason": {"from": None, "to": reason.value}}))
        await uow.settle()


async def revoke(uow: UnitOfWork, session_id: UUID) -> Session:
    """Ends one of the caller's own sessions."""
    session = await _own(uow, _member(uow), session_id, "id")
    await end(uow, [session], EndReason.REVOKED)
    return session


async def of_account(uow: UnitOfWork, account_id: UUID) -> Sequence[Session]:
    """All that are not ended, locked."""
    statement = select(Session).where(Session.account_id == account_id, col(Session.ended_at).is_(None))
    return (await uow.session.execute(statement.order_by(col(Session.id)).with_for_update())).scalars().all()


async def list_active(session: AsyncSession, account_id: UUID, now: datetime) -> Sequence[Session]:
    """The places where the account is signed in, the last used first."""
    statement = (
        select(Session)
        .where(
            Session.account_id == account_id,
            col(Session.ended_at).is_(None),
            # Nobody has refreshed it in time: what is left of it cannot be used.
            Session.last_used_at > now - REFRESH_LIFETIME,
        )
        .order_by(col(Session.last_used_at).desc(), col(Session.id).desc())
        .limit(MOST_LISTED)
    )
    return (await session.execute(statement)).scalars().all()


async def lock_account(uow: UnitOfWork, account_id: UUID) -> Account:
    """The account's row, locked. Always before its sessions: so nobody signs in with a password that just changed."""
    statement = select(Account).where(Account.id == account_id).with_for_update()
    return (await uow.session.execute(statement)).scalar_one()


def _member(uow: UnitOfWork) -> MemberPrincipal:
    if not isinstance(uow.principal, MemberPrincipal):
        raise TypeError("only a member has a session")
    return uow.principal


async def _own(uow: UnitOfWork, by: MemberPrincipal, session_id: UUID, *path: str) -> Session:
    statement = select(Session).where(
        Session.id == session_id, Session.account_id == by.account_id, col(Session.ended_at).is_(None)
    )
    session = (await uow.session.execute(statement.with_for_update())).scalar_one_or_none()
    if session is None:
        raise not_found(*path)
    return session


async def _stands(uow: UnitOfWork, session: Session) -> bool:
    """Whether its member and organization are still active."""
    return bool(await uow.session.scalar(_STANDS, {"session_id": session.id}))


async def _reason_to_enter(uow: UnitOfWork, by: MemberPrincipal, organization_id: UUID, reason: str | None) -> str:
    if by.role is not Role.SUPER_ADMIN:
        raise not_found("organization_id")
    await uow.enter(organization_id)
    if await uow.session.scalar(select(Organization.id).where(Organization.id == organization_id)) is None:
        raise not_found("organization_id")
    if not (reason or "").strip():
        refuse(UserErrorCode.REQUIRED, "Say why you enter an organization that is not yours.", "reason")
    return text.line(reason, "reason", longest=500)


async def _remember(uow: UnitOfWork, account_id: UUID, organization_id: UUID) -> None:
    """Where the next sign-in leads that names no organization."""
    await uow.session.execute(
        update(Account).where(col(Account.id) == account_id).values(last_organization_id=organization_id)
    )


async def _spend(uow: UnitOfWork, tokens: Tokens, token: RefreshToken) -> tuple[str, RefreshToken]:
    """The token's successor, made at the first time and the same again during the grace.

    It follows from the stored hash, so that whoever moves the session without the token at hand (`switch`)
    goes on in the same chain.
    """
    following = tokens.successor(token.token_hash.hex())
    if token.spent_at is not None:
        found = await uow.session.execute(select(RefreshToken).where(RefreshToken.token_hash == token_hash(following)))
        return following, found.scalar_one()
    token.spent_at = uow.now()
    # A spent token is an alarm until it expires, and nothing after that.
    await uow.session.execute(
        delete(RefreshToken).where(
            col(RefreshToken.session_id) == token.session_id, col(RefreshToken.expires_at) <= uow.now()
        )
    )
    _, row = _new_refresh_token(token.session_id, following, uow.now())
    uow.add(row)
    return following, row


def _new_refresh_token(session_id: UUID, token: str, now: datetime) -> tuple[str, RefreshToken]:
    row = RefreshToken(session_id=session_id, token_hash=token_hash(token), expires_at=now + REFRESH_LIFETIME)
    return token, row


async def _grant(uow: UnitOfWork, tokens: Tokens, session: Session, refresh_token: str, row: RefreshToken) -> Grant:
    """Signs an access token; the unit of work stands in the session's home."""
    member = (await uow.session.execute(select(Member).where(Member.id == session.member_id))).scalar_one()
    claims = {"sub": str(session.account_id), "sid": str(session.id), "org": str(session.organization_id)}
    access_token, expires_at = tokens.sign(TokenKind.ACCESS, claims, ACCESS_LIFETIME)
    principal = MemberPrincipal(
        organization_id=session.organization_id,
        home_organization_id=session.home_organization_id,
        member_id=member.id,
        account_id=session.account_id,
        session_id=session.id,
        role=member.role,
        scope=member.conversation_scope,
        name=member.name,
    )
    return Grant(principal, member, access_token, expires_at, refresh_token, row.expires_at)
