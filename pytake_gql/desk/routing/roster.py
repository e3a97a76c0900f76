"""Who serves a queue, as routing sees them: members, presence, skills and cursors in a few reads (D10, D12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.models import Queue, QueueMember, RoutingStrategy
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.desk.routing.strategies import Candidate, Ranking, rank
from pytake_gql.desk.skills import service as skills
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Member


@dataclass(frozen=True, slots=True)
class Roster:
    """The candidates of one queue at one instant."""

    queue: Queue
    candidates: Sequence[Candidate]
    requirements: Sequence[Requirement]

    def rank(self, waited_seconds: float, *, strategy: RoutingStrategy | None = None) -> Ranking:
        """By the queue's own strategy, unless another is asked."""
        return rank(
            strategy or self.queue.routing_strategy,
            self.candidates,
            self.requirements,
            waited_seconds,
            self.queue.relax_skills_after_seconds,
        )


async def read(session: AsyncSession, rows: Sequence[Queue], now: datetime | None = None) -> dict[UUID, Roster]:
    """The rosters of these queues, at that instant; by the database's clock when none is given."""
    now = now or (await session.execute(sa.select(sa.func.now()))).scalar_one()
    ids = [queue.id for queue in rows]
    serving = select(QueueMember, Member).join(Member, col(Member.id) == QueueMember.member_id)
    found = (await session.execute(serving.where(col(QueueMember.queue_id).in_(ids)))).all()
    levels = await skills.levels_of(session, list({member.id for _, member in found}))
    requirements = await queues.requirements_of(session, ids)
    return {
        queue.id: Roster(
            queue,
            [
                candidate(member, place.last_assigned_at, levels.get(member.id, {}), now)
                for place, member in found
                if place.queue_id == queue.id and member.removed_at is None
            ],
            requirements.get(queue.id, ()),
        )
        for queue in rows
    }


def candidate(member: Member, cursor: datetime | None, levels: dict[UUID, int], now: datetime) -> Candidate:
    return Candidate(
        member_id=member.id,
        name=member.name,
        role=member.role,
        is_active=member.is_active,
        availability=member.availability,
        is_present=presence.is_alive(member.last_seen_at, now),
        load=member.load,
        capacity=member.capacity,
        skills=levels,
        last_assigned_in_queue_at=cursor,
        last_assigned_at=member.last_assigned_at,
    )
