"""What is asked about queues while they move: places, waits, numbers (D8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.conversations import order
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues.models import Queue, QueueMember, QueueOrder
from pytake_gql.tenancy.members.models import Availability, Member

_RECENT = timedelta(hours=1)


async def positions(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many wait strictly before each, plus one: the place in its queue, from 1 (D8)."""
    now = (await session.execute(select(sa.func.now()))).scalar_one()
    found: dict[UUID, int] = {}
    for queue_order in QueueOrder:
        ranked = (
            sa.select(
                col(Conversation.id).label("id"),
                sa.func.row_number()
                .over(
                    partition_by=col(Conversation.queue_id),
                    order_by=[key.expression for key in order.keys(queue_order, order.capped_rank(now))],
                )
                .label("position"),
            )
            .join(Queue, col(Queue.id) == Conversation.queue_id)
            .where(
                col(Conversation.status) == ConversationStatus.QUEUED,
                col(Queue.order) == queue_order,
                col(Conversation.queue_id).in_(select(Conversation.queue_id).where(col(Conversation.id).in_(ids))),
            )
            .subquery()
        )
        rows = await session.execute(sa.select(ranked.c.id, ranked.c.position).where(ranked.c.id.in_(ids)))
        found.update({row.id: row.position for row in rows})
    return found


async def seconds_for_each(session: AsyncSession, queue_ids: Sequence[UUID]) -> dict[UUID, float]:
    """How long one place in each queue lasted during the last hour; a queue that took none is not there (D8)."""
    recent = sa.func.now() - _RECENT
    statement = (
        sa.select(col(Conversation.queue_id), sa.func.count())
        .where(col(Conversation.queue_id).in_(queue_ids), col(Conversation.assigned_at) > recent)
        .group_by(col(Conversation.queue_id))
    )
    taken = (await session.execute(statement)).all()
    return {queue_id: _RECENT.total_seconds() / count for queue_id, count in taken if queue_id}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A queue in numbers, now."""

    waiting: int
    active: int
    breached: int
    agents_online: int
    longest_wait_seconds: int
    average_wait_seconds: float | None
    """Of those assigned during the last hour; None when there were none."""


async def numbers(session: AsyncSession, queue_ids: Sequence[UUID]) -> dict[UUID, Numbers]:
    """Of the queues as a whole, whatever the caller may see of their conversations."""
    is_waiting = col(Conversation.status) == ConversationStatus.QUEUED
    wait = sa.extract("epoch", col(Conversation.assigned_at) - col(Conversation.queued_at))
    is_recent = col(Conversation.assigned_at) > sa.func.now() - _RECENT
    counted = {
        row.queue_id: row
        for row in await session.execute(
            sa.select(
                col(Conversation.queue_id).label("queue_id"),
                sa.func.count().filter(is_waiting).label("waiting"),
                sa.func.count().filter(col(Conversation.status) == ConversationStatus.ACTIVE).label("active"),
                sa.func.count().filter(_is_open(), col(Conversation.is_sla_breached)).label("breached"),
                sa.func.min(Conversation.eligible_since).filter(is_waiting).label("oldest"),
                sa.func.avg(wait).filter(is_recent).label("average"),
                sa.func.now().label("now"),
            )
            .where(col(Conversation.queue_id).in_(queue_ids), sa.or_(_is_open(), is_recent))
            .group_by(col(Conversation.queue_id))
        )
    }
    online = await _agents_online(session, queue_ids)
    found: dict[UUID, Numbers] = {}
    for queue_id in queue_ids:
        row = counted.get(queue_id)
        found[queue_id] = Numbers(
            waiting=row.waiting if row else 0,
            active=row.active if row else 0,
            breached=row.breached if row else 0,
            agents_online=online.get(queue_id, 0),
            longest_wait_seconds=int((row.now - row.oldest).total_seconds()) if row and row.oldest else 0,
            average_wait_seconds=float(row.average) if row and row.average is not None else None,
        )
    return found


async def _agents_online(session: AsyncSession, queue_ids: Sequence[UUID]) -> dict[UUID, int]:
    statement = (
        sa.select(col(QueueMember.queue_id), sa.func.count())
        .join(Member, col(Member.id) == QueueMember.member_id)
        .where(
            col(QueueMember.queue_id).in_(queue_ids),
            col(Member.is_active),
            col(Member.removed_at).is_(None),
            col(Member.availability) == Availability.ONLINE,
        )
        .group_by(col(QueueMember.queue_id))
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


def _is_open() -> sa.ColumnElement[bool]:
    return col(Conversation.status).in_([ConversationStatus.QUEUED, ConversationStatus.ACTIVE])
