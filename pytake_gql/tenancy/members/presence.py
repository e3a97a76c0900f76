"""Who is there (D19): `last_seen_at` by live connections, and `lost_at`, the due instant at which one is gone.

Availability is what the member chose; presence is what the connections say. A beat moves `lost_at` one beat and one
grace ahead, so that a process which dies, or is restarted within a grace, costs nobody the place; the last
connection that closes sets it to one grace. PostgreSQL alone decides: Redis has no part in it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.events import MemberAvailabilityChanged, MemberLost, MemberSeen
from pytake_gql.tenancy.members.models import Availability, Member

BEAT = timedelta(seconds=20)
"""How often a process says that its members are there."""
TTL = timedelta(seconds=60)
"""How long a beat holds."""
GRACE = timedelta(seconds=60)
"""How long a member without a connection keeps the chosen availability."""

_TICK = timedelta(microseconds=1)


def presence_topic(organization_id: UUID) -> str:
    """Told with the member whose availability or load changed."""
    return f"presence:{organization_id.hex}"


def is_alive(last_seen_at: datetime | None, now: datetime) -> bool:
    return last_seen_at is not None and last_seen_at > now - TTL


def alive(now: datetime) -> sa.ColumnElement[bool]:
    """`is_alive` as a criterion of members."""
    return col(Member.last_seen_at) > now - TTL


def tell(uow: UnitOfWork, member_id: UUID) -> None:
    """Availability or load is another: whoever watches looks."""
    uow.wake(presence_topic(uow.organization_id), member_id.hex)


async def beat(uow: UnitOfWork, member_ids: Collection[UUID]) -> set[UUID]:
    """These members have live connections; answers of whom it is still to be said.

    It waits for no row that somebody else holds, for it holds many itself: those are to be said again soon.
    """
    return await _see(uow, member_ids, lost_at=uow.now() + BEAT + GRACE)


async def leave(uow: UnitOfWork, member_ids: Collection[UUID]) -> set[UUID]:
    """These have closed their last connection to this process; answers like `beat`.

    Another process that has connections of theirs says so with its next beat, long before the grace is over.
    """
    return await _see(uow, member_ids, lost_at=uow.now() + GRACE)


async def _see(uow: UnitOfWork, member_ids: Collection[UUID], *, lost_at: datetime) -> set[UUID]:
    free = (
        select(Member.id, Member.last_seen_at)
        .where(col(Member.id).in_(member_ids))
        .with_for_update(skip_locked=True, key_share=True)
        .subquery()
    )
    told = (
        sa.update(Member)
        .where(col(Member.id) == free.c.id)
        .values(last_seen_at=uow.now(), lost_at=lost_at)
        .returning(col(Member.id), free.c.last_seen_at.label("seen_before"))
        .execution_options(synchronize_session=False)
    )
    seen = {row.id: row.seen_before for row in await uow.session.execute(told)}
    for member_id, before in seen.items():
        if not is_alive(before, uow.now()):
            uow.emit(MemberSeen(entity_id=member_id))
    if not (untold := set(member_ids) - seen.keys()):
        return set()
    return set((await uow.session.execute(select(Member.id).where(col(Member.id).in_(untold)))).scalars())


def choose(uow: UnitOfWork, member: Member, availability: Availability) -> None:
    """Sets what the member chose, in a locked row. Without a connection it holds for one grace."""
    if member.availability is availability:
        return
    if member.lost_at is None or member.lost_at <= uow.now():
        member.lost_at = uow.now() + GRACE
    _turn(uow, member, availability, MemberAvailabilityChanged)


def after_leaving(member: Member, now: datetime) -> datetime:
    """Now, but after the member last went OFFLINE. The row is locked.

    What came first is what had the lock first, though its transaction may have begun later: so whether somebody got
    a conversation before going OFFLINE, or while being so, is told by comparing the two instants (D15, D20).
    """
    left = member.offline_since
    return now if left is None or left < now else left + _TICK


def after_leaving_of(member: Any, now: Any) -> sa.ColumnElement[datetime]:
    """`after_leaving`, of the columns of a locked row."""
    return sa.func.greatest(now, member.offline_since + sa.literal(_TICK, sa.Interval()))


async def due(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, member) of who is to be OFFLINE and is not, across organizations."""
    found = await session.execute(
        sa.text("SELECT organization_id, member_id FROM engine_lost_members(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.member_id) for row in found]


async def lose(uow: UnitOfWork, member_id: UUID) -> bool:
    """Turns a member OFFLINE whose grace is over; False when somebody else did, or a connection came."""
    statement = select(Member).where(
        Member.id == member_id,
        Member.availability != Availability.OFFLINE,
        col(Member.lost_at) <= uow.now(),
    )
    member = (await uow.session.execute(statement.with_for_update(key_share=True))).scalar_one_or_none()
    if member is None:
        return False
    _turn(uow, member, Availability.OFFLINE, MemberLost)
    return True


def _turn(uow: UnitOfWork, member: Member, availability: Availability, kind: type[MemberAvailabilityChanged]) -> None:
    changes = {"availability": {"from": member.availability, "to": availability}}
    member.availability = availability
    if is_offline := availability is Availability.OFFLINE:
        member.offline_since = max(after_leaving(member, uow.now()), member.last_assigned_at or uow.now())
    uow.emit(kind(entity_id=member.id, changes=changes, is_offline=is_offline))
    tell(uow, member.id)
