"""Who is there and how busy, live: coalesced, and healed by a slow poll (house.md §4)."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TypeAlias
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.kernel.bus import GAP
from pytake_gql.kernel.graphql.access import subscription
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.turns import follow
from pytake_gql.kernel.graphql.types import object_type
from pytake_gql.kernel.pacing import BETWEEN_SECONDS
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members import service
from pytake_gql.tenancy.members.graphql import Member
from pytake_gql.tenancy.members.models import Availability
from pytake_gql.tenancy.members.models import Member as Row
from pytake_gql.tenancy.members.presence import presence_topic

State: TypeAlias = tuple[Availability, int]
"""Availability and load: what is watched."""


@object_type
class MemberSubscription:
    @subscription(Role.VIEWER)
    async def member_presence(self, info: Info) -> AsyncGenerator[Member, None]:
        """Availability and load of the organization's members as they change.

        It keeps no history: after a reconnect read `members` again.
        """
        told = await _states(info)
        topic = presence_topic(info.context.organization_id)
        async with follow(info.context, topic, at=frozenset(told.items())) as turns:
            async for heard in turns:
                everybody = not heard or GAP in heard
                now = await _states(info, None if everybody else [UUID(str(it.data)) for it in heard])
                changed = [id_ for id_, state in now.items() if told.get(id_) != state]
                told |= now
                for member in await _members(info, changed):
                    yield member
                turns.at = frozenset(told.items())
                await asyncio.sleep(BETWEEN_SECONDS)


async def _states(info: Info, among: Iterable[UUID] | None = None) -> dict[UUID, State]:
    statement = select(Row.id, Row.availability, Row.load).where(col(Row.removed_at).is_(None))
    if among is not None:
        statement = statement.where(col(Row.id).in_(set(among)))
    async with info.context.read() as session:
        return {row.id: (row.availability, row.load) for row in await session.execute(statement)}


async def _members(info: Info, ids: Sequence[UUID]) -> list[Member]:
    if not ids:
        return []
    async with info.context.read() as session:
        rows = await service.by_ids(session, ids)
    return [Member.of(rows[id_]) for id_ in ids if id_ in rows]
