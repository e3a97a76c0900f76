"""Reading notifications, and marking and forgetting what was read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.insight.notifications.models import Notification
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork, UnitsOfWork

KEPT = timedelta(days=30)
"""How long one is kept that was read; unread ones stay."""
MOST_AT_ONCE = 500
_NEWEST_FIRST = (Key(Notification.created_at, is_descending=True), Key(Notification.id, is_descending=True))
_ORGANIZATIONS = sa.text("SELECT engine_read_notifications(:before, :at_most)")
_FORGOTTEN_AT_ONCE = 5_000


def topic(member_id: UUID) -> str:
    """Told with nothing: there may be new ones."""
    return f"notifications:{member_id.hex}"


async def list_page(
    session: AsyncSession, member: MemberPrincipal, wanted: Window, *, is_unread: bool
) -> Page[Notification]:
    """The member's own, the newest first."""
    statement = sa.select(Notification).where(*_own(member, is_unread=is_unread))
    return await fetch_page(session, statement, _NEWEST_FIRST, wanted)


async def count(session: AsyncSession, member: MemberPrincipal, *, is_unread: bool) -> int:
    statement = select(sa.func.count(col(Notification.id))).where(*_own(member, is_unread=is_unread))
    return (await session.execute(statement)).scalar_one()


async def own(session: AsyncSession, member: MemberPrincipal, ids: Sequence[UUID]) -> dict[UUID, Notification]:
    """Of these, the member's own."""
    statement = select(Notification).where(*_own(member), col(Notification.id).in_(ids))
    return {row.id: row for row in (await session.execute(statement)).scalars()}


async def since(session: AsyncSession, member: MemberPrincipal, instant: datetime) -> Sequence[Notification]:
    """The member's own that were made at that instant or later, the oldest first."""
    statement = (
        select(Notification)
        .where(*_own(member), Notification.created_at >= instant)
        .order_by(col(Notification.created_at), col(Notification.id))
    )
    return (await session.execute(statement)).scalars().all()


async def mark_read(uow: UnitOfWork, member: MemberPrincipal, ids: Sequence[UUID] | None) -> int:
    """Marks these, or all, and says how many were unread; nothing is marked where one is not the member's."""
    statement = sa.update(Notification).where(*_own(member, is_unread=True))
    if ids is not None:
        if len(ids) > MOST_AT_ONCE:
            refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", "ids", most=MOST_AT_ONCE)
        found, problems = await own(uow.session, member, ids), Problems()
        for place, id_ in enumerate(ids):
            if id_ not in found:
                problems.add(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", "ids", str(place))
        problems.raise_if_any()
        statement = statement.where(col(Notification.id).in_(ids))
    marked: Any = await uow.session.execute(statement.values(read_at=uow.now()))
    return int(marked.rowcount)


async def forget_read(units: UnitsOfWork, at_most: int = 100) -> None:
    """Deletes what was read long ago, organization by organization, of so many organizations a call."""
    async with units.of_system(None) as uow:
        before = uow.now() - KEPT
        found = await uow.session.execute(_ORGANIZATIONS, {"before": before, "at_most": at_most})
        organizations = list(found.scalars())
    for organization_id in organizations:
        async with units.of_system(organization_id) as uow:
            old = select(Notification.id).where(col(Notification.read_at) < before).limit(_FORGOTTEN_AT_ONCE)
            await uow.session.execute(sa.delete(Notification).where(col(Notification.id).in_(old)))


def _own(member: MemberPrincipal, *, is_unread: bool = False) -> list[Any]:
    """A super admin who visits has none here: the own member is of another organization."""
    criteria: list[Any] = [Notification.member_id == member.member_id]
    return [*criteria, col(Notification.read_at).is_(None)] if is_unread else criteria
