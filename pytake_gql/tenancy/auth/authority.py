"""What a token still stands for: read from the session's row, at most 2 s old (G11, G12)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.kernel.bus import GAP, Bus, Subscription
from pytake_gql.kernel.db import Database
from pytake_gql.kernel.errors import Unauthenticated
from pytake_gql.kernel.ports import AUTHORITY_TOPIC
from pytake_gql.kernel.principal import (
    Anonymous,
    ConversationScope,
    MemberPrincipal,
    Principal,
    Role,
    VisitorPrincipal,
)
from pytake_gql.kernel.settings import Settings
from pytake_gql.kernel.shared_reads import SharedReads
from pytake_gql.kernel.tokens import InvalidToken, TokenKind, Tokens

FRESH_SECONDS = 2.0
_MOST_CACHED = 50_000
_ASKED_AT_ONCE = 500
_ONE_HOUR = 3600.0

_AUTHORITIES = sa.text(
    "SELECT asked.id AS asked_id, account_id, organization_id, home_organization_id, member_id, role, scope, name "
    "FROM unnest(CAST(:ids AS uuid[])) AS asked(id), LATERAL engine_authority(asked.id)"
)
_CHANNELS = sa.text(
    "SELECT asked.id AS asked_id, engine_channel_organization(asked.id) AS organization_id "
    "FROM unnest(CAST(:ids AS uuid[])) AS asked(id)"
)
_ORIGIN = sa.text("SELECT engine_origin_organizations(:origin)")


class SessionAuthority:
    def __init__(self, database: Database, tokens: Tokens, settings: Settings) -> None:
        self._database = database
        self._tokens = tokens
        self._settings = settings
        self._cache: dict[UUID, tuple[float, Principal | None]] = {}
        self._reads = SharedReads()
        self._forgotten = 0

    @contextlib.asynccontextmanager
    async def following(self, bus: Bus) -> AsyncIterator[None]:
        """Hears of ended sessions and changed rights at once; without Redis they are 2 s old at most."""
        async with bus.subscribe(AUTHORITY_TOPIC) as bumps:
            follower = asyncio.create_task(self._follow(bumps), name="authority")
            try:
                yield
            finally:
                follower.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await follower

    async def _follow(self, bumps: Subscription) -> None:
        while True:
            bump = await bumps.next(_ONE_HOUR)
            if bump is None:
                continue
            if bump == GAP:
                self._forgotten += 1
                self._cache.clear()
            else:
                self.forget(UUID(str(bump.data)))

    async def identify(self, token: str | None) -> Principal:
        if token is None:
            return Anonymous()
        kind = TokenKind.ACCESS
        try:
            try:
                claims = self._tokens.verify(kind, token)
            except InvalidToken:
                kind = TokenKind.VISITOR
                claims = self._tokens.verify(kind, token)
        except InvalidToken as error:
            raise Unauthenticated from error
        claimed = self._claimed(kind, claims)
        principal = await self.renew(claimed)
        if principal is None:
            raise Unauthenticated
        return principal

    async def renew(self, principal: Principal) -> Principal | None:
        if isinstance(principal, MemberPrincipal):
            fresh = await self._cached(principal.session_id, principal)
            if fresh is not None and fresh.organization_id != principal.organization_id:
                # The session has just moved to another organization, or the token is from before it did.
                self.forget(principal.session_id)
                fresh = await self._cached(principal.session_id, principal)
            return _in_the_same_place(principal, fresh)
        if isinstance(principal, VisitorPrincipal):
            return await self._cached(principal.channel_id, principal)
        return principal

    async def renew_all(self, principals: Collection[Principal]) -> Mapping[Principal, Principal | None]:
        asked, fresh = list(principals), dict[Principal, Principal | None]()
        while asked:
            now, forgotten = time.monotonic(), self._forgotten
            chunk, asked = asked[:_ASKED_AT_ONCE], asked[_ASKED_AT_ONCE:]
            found = await self._read_all(chunk)
            if forgotten == self._forgotten:
                self._cache |= {id_: (now, read) for who, read in found.items() if (id_ := _cached_by(who))}
            fresh |= {who: _in_the_same_place(who, read) for who, read in found.items()}
        return fresh

    def forget(self, id_: UUID) -> None:
        """Reads anew, at the next question, whatever hangs on this session, channel, member, account, organization."""
        self._forgotten += 1
        if self._cache.pop(id_, None) is None:
            for key in [key for key, (_, known) in self._cache.items() if _hangs_on(known, id_)]:
                del self._cache[key]

    async def allows_origin(self, origin: str, organization_id: UUID | None) -> bool:
        if origin in {self._settings.public_url, self._settings.frontend_url}:
            return True
        async with self._database.session(None) as session:
            allowed = set((await session.execute(_ORIGIN, {"origin": origin})).scalars())
        return organization_id in allowed if organization_id else bool(allowed)

    async def _cached(self, id_: UUID, principal: Principal) -> Principal | None:
        now = time.monotonic()
        read_at, known = self._cache.get(id_, (0.0, None))
        if now - read_at < FRESH_SECONDS:
            if isinstance(principal, VisitorPrincipal):
                return principal if known is not None else None
            return known
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        forgotten = self._forgotten
        found = await self._reads.share(principal, lambda: self._read(principal))
        if forgotten == self._forgotten:  # else it may have been read just before what was told meanwhile
            self._cache[id_] = (now, found)
        return found

    async def _read(self, principal: Principal) -> Principal | None:
        return (await self._read_all([principal]))[principal]

    async def _read_all(self, principals: Collection[Principal]) -> dict[Principal, Principal | None]:
        """What each stands for now."""
        members = [who for who in principals if isinstance(who, MemberPrincipal)]
        visitors = [who for who in principals if isinstance(who, VisitorPrincipal)]
        async with self._database.session(None) as session:
            rows = await _by_id(session, _AUTHORITIES, {who.session_id for who in members})
            channels = await _by_id(session, _CHANNELS, {who.channel_id for who in visitors})
        found: dict[Principal, Principal | None] = {who: who for who in principals}
        found |= {who: _as_told(who, rows.get(who.session_id)) for who in members}
        for who in visitors:
            is_there = channels[who.channel_id].organization_id == who.organization_id
            found[who] = who if is_there else None
        return found

    @staticmethod
    def _claimed(kind: TokenKind, claims: dict[str, Any]) -> Principal:
        try:
            if kind is TokenKind.VISITOR:
                return VisitorPrincipal(UUID(claims["org"]), UUID(claims["channel"]), str(claims["sub"]))
            organization_id = UUID(claims["org"])
            return MemberPrincipal(
                organization_id=organization_id,
                home_organization_id=organization_id,
                session_id=UUID(claims["sid"]),
                account_id=UUID(claims["sub"]),
                member_id=UUID(int=0),
                role=Role.VIEWER,
                scope=ConversationScope.OWN,
                name="",
            )
        except (KeyError, ValueError, TypeError) as error:
            raise Unauthenticated from error


def _cached_by(principal: Principal) -> UUID | None:
    if isinstance(principal, MemberPrincipal):
        return principal.session_id
    return principal.channel_id if isinstance(principal, VisitorPrincipal) else None


def _in_the_same_place(principal: Principal, fresh: Principal | None) -> Principal | None:
    """A token, and a socket, stay in the organization that they were made in."""
    return fresh if fresh is not None and fresh.organization_id == principal.organization_id else None


async def _by_id(session: AsyncSession, question: sa.TextClause, ids: Collection[UUID]) -> dict[UUID, Any]:
    if not ids:
        return {}
    return {row.asked_id: row for row in await session.execute(question, {"ids": list(ids)})}


def _as_told(principal: MemberPrincipal, row: Any) -> MemberPrincipal | None:
    if row is None:
        return None
    return replace(
        principal,
        account_id=row.account_id,
        organization_id=row.organization_id,
        home_organization_id=row.home_organization_id,
        member_id=row.member_id,
        role=Role(row.role),
        scope=ConversationScope(row.scope),
        name=row.name,
    )


def _hangs_on(principal: Principal | None, id_: UUID) -> bool:
    if isinstance(principal, MemberPrincipal):
        return id_ in {
            principal.member_id,
            principal.account_id,
            principal.organization_id,
            principal.home_organization_id,
        }
    return principal is not None and principal.organization_id == id_
