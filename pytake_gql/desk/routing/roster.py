"""Who serves a queue, as routing sees them: members, presence, skills and cursors in a few reads (D10, D12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.models import Queue, QueueMember
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.desk.routing.strategies import Candidate, Contest
from pytake_gql.desk.skills import service as skills
from pytake_gql.kernel.db import confined
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Member


@dataclass(frozen=True, slots=True)
class Roster:
    """The candidates of one queue at one instant."""

    queue: Queue
    candidates: Sequence[Candidate]
    requirements: Sequence[Requirement]

    def contest(self) -> Contest:
        """By the queue's own strategy."""
        return Contest(
            self.queue.routing_strategy, self.candidates, self.requirements, self.queue.relax_skills_after_seconds
        )


_SEEN: tuple[Any, ...] = (
    QueueMember.queue_id,
    col(QueueMember.last_assigned_at).label("last_assigned_in_queue_at"),
    Member.id,
    Member.name,
    Member.role,
    Member.is_active,
    Member.availability,
    Member.last_seen_at,
    Member.load,
    Member.capacity,
    Member.last_assigned_at,
)


@cache
def _serving() -> Frozen:
    """The members of several queues."""
    queue_ids = sa.bindparam("queue_ids", type_=ARRAY(sa.Uuid()))
    return Frozen(
        confined(
            sa.select(*_SEEN)
            .join(Member, col(Member.id) == QueueMember.member_id)
            .where(col(Member.removed_at).is_(None), col(QueueMember.queue_id) == sa.any_(queue_ids))
        )
    )


async def read(session: AsyncSession, rows: Sequence[Queue], now: datetime | None = None) -> dict[UUID, Roster]:
    """The rosters of these queues, at that instant; by the database's clock when none is given."""
    now = now or (await session.execute(sa.select(sa.func.now()))).scalar_one()
    ids = [queue.id for queue in rows]
    found = await _serving().rows(session, {"queue_ids": ids})
    levels = await skills.levels_of(session, list({row.id for row in found}))
    requirements = await queues.requirements_of(session, ids)
    return {
        queue.id: Roster(
            queue,
            [_candidate(row, levels.get(row.id, {}), now) for row in found if row.queue_id == queue.id],
            requirements.get(queue.id, ()),
        )
        for queue in rows
    }


async def again(session: AsyncSession, known: Roster, now: datetime) -> Roster:
    """The same with the members as they are by now; who serves the queue only since is not among them."""
    levels = {candidate.member_id: candidate.skills for candidate in known.candidates}
    serving = await _serving().rows(session, {"queue_ids": [known.queue.id]})
    candidates = [_candidate(row, levels[row.id], now) for row in serving if row.id in levels]
    return replace(known, candidates=candidates)


def _candidate(row: Any, levels: Mapping[UUID, int], now: datetime) -> Candidate:
    return Candidate(
        member_id=row.id,
        name=row.name,
        role=row.role,
        is_active=row.is_active,
        availability=row.availability,
        is_present=presence.is_alive(row.last_seen_at, now),
        load=row.load,
        capacity=row.capacity,
        skills=levels,
        last_assigned_in_queue_at=row.last_assigned_in_queue_at,
        last_assigned_at=row.last_assigned_at,
    )
