"""Who is first among those that wait (D5), as keys that an index can hold.

Priorities weigh LOW 10, NORMAL 50, HIGH 80, URGENT 100, plus 1 for each minute waited, capped at 99. Two that
gain one a minute keep their distance, so the weight at any instant is `minute(now) - rank` with a rank that never
changes: the minute since when it waits, less the priority's own weight. Only the cap depends on the instant.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.desk.conversations.models import Conversation, ConversationPriority, ConversationStatus
from pytake_gql.desk.queues.models import QueueOrder
from pytake_gql.kernel.pagination import Key

WEIGHT = {
    ConversationPriority.LOW: 10,
    ConversationPriority.NORMAL: 50,
    ConversationPriority.HIGH: 80,
    ConversationPriority.URGENT: 100,
}
CAP = 99
URGENT_RANK = -1_000_000_000
"""URGENT stays first and gains nothing by waiting."""


WAITS = col(Conversation.status) == sa.literal_column(f"'{ConversationStatus.QUEUED}'")
"""Literally, as the condition of the indexes says it: no plan has to be made anew to see that it is the same."""


def waiting_rank(priority: ConversationPriority, eligible_since: datetime) -> int:
    """The lower, the sooner."""
    if priority is ConversationPriority.URGENT:
        return URGENT_RANK
    return _minute(eligible_since) - WEIGHT[priority]


def weight(priority: ConversationPriority, eligible_since: datetime, now: datetime) -> int:
    """What the conversation weighs at that instant."""
    if priority is ConversationPriority.URGENT:
        return WEIGHT[priority]
    return min(CAP, _minute(now) - waiting_rank(priority, eligible_since))


def capped_rank(now: datetime) -> int:
    """The rank below which (URGENT aside) all weigh the same."""
    return _minute(now) - CAP


def keys(order: QueueOrder, capped: Any, of: Any = Conversation) -> tuple[Key, ...]:
    """The order at an instant, total: the id decides last.

    `capped` is the `capped_rank` of the instant, or stands for it; `of` has the columns.
    """
    rank = sa.case((of.waiting_rank == URGENT_RANK, URGENT_RANK), else_=sa.func.greatest(of.waiting_rank, capped))
    deadline = sa.func.coalesce(of.sla_due_at, sa.literal("infinity").cast(sa.DateTime(timezone=True)))
    first = (rank, deadline) if order is QueueOrder.PRIORITY_FIRST else (deadline, rank)
    return tuple(Key(expression) for expression in (*first, of.eligible_since, of.id))


def tiers(order: QueueOrder, capped: Any, of: Any = Conversation) -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    """The same order as `keys`, cut into pieces that an index serves: (criterion, order by), one after the other."""
    due = of.sla_due_at.asc().nulls_last()
    age = (due, of.eligible_since, of.id)
    by_priority = (
        (of.waiting_rank == URGENT_RANK, age),
        (sa.and_(of.waiting_rank > URGENT_RANK, of.waiting_rank <= capped), age),
        (of.waiting_rank > capped, (of.waiting_rank, *age)),
    )
    if order is QueueOrder.PRIORITY_FIRST:
        return by_priority
    by_deadline = (of.sla_due_at.is_not(None), (due, *(key.expression for key in keys(order, capped, of)[1:])))
    without = tuple((sa.and_(of.sla_due_at.is_(None), criterion), tier) for criterion, tier in by_priority)
    return (by_deadline, *without)


def _minute(instant: datetime) -> int:
    return int(instant.timestamp()) // 60
