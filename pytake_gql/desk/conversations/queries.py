"""The hot reads: explicit columns, keyset pages on indexes that start with the organization (speed.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.contacts.models import ContactRedirect
from pytake_gql.desk.conversations import order
from pytake_gql.desk.conversations.models import (
    Conversation,
    ConversationPriority,
    ConversationStatus,
    ConversationTag,
    Message,
    TimelineEntry,
)
from pytake_gql.desk.conversations.scope import visible_to
from pytake_gql.desk.queues.models import Queue, QueueOrder
from pytake_gql.desk.tags.links import Links
from pytake_gql.desk.tags.models import Tag
from pytake_gql.kernel import search
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_rows
from pytake_gql.kernel.principal import MemberPrincipal, Principal

SHOWN: tuple[Any, ...] = (
    Conversation.id,
    Conversation.organization_id,
    Conversation.number,
    Conversation.status,
    Conversation.priority,
    Conversation.subject,
    Conversation.channel_id,
    Conversation.contact_id,
    Conversation.queue_id,
    Conversation.assignee_id,
    Conversation.last_message_id,
    Conversation.last_activity_at,
    Conversation.unread_count,
    Conversation.last_seq,
    Conversation.queued_at,
    Conversation.assigned_at,
    Conversation.has_sla,
    Conversation.is_sla_breached,
    Conversation.snoozed_until,
    Conversation.closed_at,
    Conversation.rating,
    Conversation.rating_comment,
    Conversation.created_at,
    Conversation.updated_at,
)
"""The columns that `graphql.Conversation.of` shows."""
_MOST_DIGITS = 9
"""Of what may be a conversation's number."""
LINKS = Links(ConversationTag, "conversation_id")


class ConversationOrder(StrEnum):
    """How a list of conversations is ordered."""

    NEWEST_ACTIVITY = "NEWEST_ACTIVITY"
    OLDEST_ACTIVITY = "OLDEST_ACTIVITY"
    LONGEST_WAIT = "LONGEST_WAIT"
    SLA_DUE = "SLA_DUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """All that is given must hold; of a list, one of it."""

    status: Sequence[ConversationStatus] | None = None
    queue_ids: Sequence[UUID] | None = None
    department_ids: Sequence[UUID] | None = None
    channel_ids: Sequence[UUID] | None = None
    assignee_ids: Sequence[UUID] | None = None
    is_unassigned: bool | None = None
    contact_ids: Sequence[UUID] | None = None
    tag_ids: Sequence[UUID] | None = None
    priority: Sequence[ConversationPriority] | None = None
    is_sla_breached: bool | None = None
    search: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page, and how to count the whole list when somebody asks."""

    page: Page[Any]
    count: Callable[[AsyncSession], Any] = field(repr=False)


async def page(
    session: AsyncSession, principal: Principal, wanted: Filter, order_by: ConversationOrder, window: Window
) -> Listing:
    """What the caller may see of the organization's conversations."""
    criteria = (visible_to(principal), *_criteria(wanted))
    statement: Any = sa.select(*SHOWN).where(*criteria)
    return Listing(await fetch_rows(session, statement, _KEYS[order_by], window), _counter(criteria))


async def page_of_queue(
    session: AsyncSession, principal: Principal, queue: Queue, window: Window, now: datetime
) -> Listing:
    """Those that wait in a queue, in its order (D5)."""
    waits = col(Conversation.status) == ConversationStatus.QUEUED
    criteria = (visible_to(principal), col(Conversation.queue_id) == queue.id, waits)
    statement: Any = sa.select(*SHOWN).where(*criteria)
    return Listing(
        await fetch_rows(session, statement, order.keys(queue.order, order.capped_rank(now)), window),
        _counter(criteria),
    )


async def snapshot(
    session: AsyncSession, principal: Principal, queue_id: UUID, queue_order: QueueOrder, now: datetime, at_most: int
) -> Sequence[Any]:
    """The first of a queue: those that wait in its order, then those being served, newest activity first."""
    shown = sa.select(*SHOWN).where(visible_to(principal), col(Conversation.queue_id) == queue_id)
    # Piece by piece, so that no backlog is sorted.
    waits = shown.where(order.WAITS)
    rows: list[Any] = []
    for criterion, keys in order.tiers(queue_order, order.capped_rank(now)):
        rows += await session.execute(waits.where(criterion).order_by(*keys).limit(at_most - len(rows)))
        if len(rows) == at_most:
            return rows
    served = (
        shown.where(col(Conversation.status).in_([ConversationStatus.ACTIVE, ConversationStatus.SNOOZED]))
        .order_by(col(Conversation.last_activity_at).desc(), col(Conversation.id).desc())
        .limit(at_most - len(rows))
    )
    return rows + list(await session.execute(served))


async def visible(session: AsyncSession, principal: Principal, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Of these, the ones that the caller may see now."""
    statement = sa.select(*SHOWN).where(visible_to(principal), col(Conversation.id).in_(ids))
    return {row.id: row for row in await session.execute(statement)}


async def tags_of(session: AsyncSession, conversation_ids: Sequence[UUID]) -> dict[UUID, list[Tag]]:
    """Each conversation's tags, in alphabetical order."""
    return await LINKS.tags_of(session, conversation_ids)


async def newest_change(session: AsyncSession, principal: Principal, *, mine: bool) -> datetime | None:
    """When anything last happened to the conversations that the caller may see, or has."""
    statement = select(sa.func.max(Conversation.updated_at)).where(visible_to(principal))
    if mine and isinstance(principal, MemberPrincipal):
        statement = statement.where(Conversation.assignee_id == principal.member_id)
    newest: datetime | None = await session.scalar(statement)
    return newest


async def messages(session: AsyncSession, conversation_id: UUID, window: Window, *, is_public: bool = False) -> Listing:
    """In order of seq; the public ones alone are what a visitor sees."""
    criteria: tuple[Any, ...] = (Message.conversation_id == conversation_id,)
    if is_public:
        criteria = (*criteria, sa.not_(col(Message.is_note)))
    statement: Any = select(Message).where(*criteria)
    rows = await fetch_rows(session, statement, (Key(col(Message.seq)),), window)
    return Listing(rows.map(lambda row: row[0]), _counter(criteria, Message))


async def timeline(session: AsyncSession, conversation_id: UUID, window: Window) -> Listing:
    """In order of seq."""
    criteria = (TimelineEntry.conversation_id == conversation_id,)
    statement: Any = select(TimelineEntry).where(*criteria)
    rows = await fetch_rows(session, statement, (Key(col(TimelineEntry.seq)),), window)
    return Listing(rows.map(lambda row: row[0]), _counter(criteria, TimelineEntry))


async def entries_after(
    session: AsyncSession, conversation_id: UUID, seq: int, at_most: int
) -> Sequence[TimelineEntry]:
    """The next events: without a hole, for seq has none."""
    statement = (
        select(TimelineEntry)
        .where(TimelineEntry.conversation_id == conversation_id, TimelineEntry.seq > seq)
        .order_by(col(TimelineEntry.seq))
        .limit(at_most)
    )
    return (await session.execute(statement)).scalars().all()


_NEVER = sa.literal("9999-12-31 00:00:00+00").cast(sa.DateTime(timezone=True))
"""After all that is due; not `infinity`, which no cursor can carry."""

_KEYS = {
    ConversationOrder.NEWEST_ACTIVITY: (
        Key(col(Conversation.last_activity_at), is_descending=True),
        Key(col(Conversation.id), is_descending=True),
    ),
    ConversationOrder.OLDEST_ACTIVITY: (Key(col(Conversation.last_activity_at)), Key(col(Conversation.id))),
    ConversationOrder.LONGEST_WAIT: (
        Key(sa.func.coalesce(Conversation.eligible_since, _NEVER)),
        Key(col(Conversation.id)),
    ),
    ConversationOrder.SLA_DUE: (
        Key(sa.func.coalesce(Conversation.sla_due_at, _NEVER)),
        Key(col(Conversation.id)),
    ),
}


def _counter(criteria: Sequence[Any], model: Any = Conversation) -> Callable[[AsyncSession], Any]:
    async def count(session: AsyncSession) -> int:
        return int(await session.scalar(select(sa.func.count(model.id)).where(*criteria)) or 0)

    return count


def _criteria(wanted: Filter) -> Sequence[Any]:
    among = (
        (Conversation.status, wanted.status),
        (Conversation.queue_id, wanted.queue_ids),
        (Conversation.channel_id, wanted.channel_ids),
        (Conversation.assignee_id, wanted.assignee_ids),
        (Conversation.priority, wanted.priority),
    )
    criteria: list[Any] = [col(column).in_(values) for column, values in among if values is not None]
    if wanted.department_ids is not None:
        queues = select(Queue.id).where(col(Queue.department_id).in_(wanted.department_ids))
        criteria.append(col(Conversation.queue_id).in_(queues))
    if wanted.contact_ids is not None:
        criteria.append(col(Conversation.contact_id).in_([_kept(id_) for id_ in wanted.contact_ids]))
    if wanted.tag_ids is not None:
        criteria.append(LINKS.with_any(col(Conversation.id), wanted.tag_ids))
    if wanted.is_unassigned is not None:
        criteria.append(col(Conversation.assignee_id).is_(None) == wanted.is_unassigned)
    if wanted.is_sla_breached is not None:
        criteria.append(col(Conversation.is_sla_breached) == wanted.is_sla_breached)
    if wanted.search and wanted.search.strip():
        criteria.append(_found(wanted.search))
    if wanted.created_after is not None:
        criteria.append(Conversation.created_at > wanted.created_after)
    if wanted.created_before is not None:
        criteria.append(Conversation.created_at < wanted.created_before)
    return criteria


def _found(wanted: str) -> Any:
    """In number (alone, where it is written as one: #12), subject, message texts, and the contact.

    The words go to a function, for under row-level security no index serves the search of a text. It answers ids only,
    of the session's organization only; what the caller may see of them is decided here (D21).
    """
    number = wanted.strip()
    is_number = number.isascii() and number.removeprefix("#").isdigit() and len(number) <= _MOST_DIGITS
    numbered = int(number.removeprefix("#")) if is_number else None
    if is_number and number.startswith("#"):
        return col(Conversation.number) == numbered
    found = sa.func.engine_found_conversations(
        search.words(wanted), search.words_of_somebody(wanted), sa.cast(numbered, sa.Integer)
    ).table_valued("id")
    return col(Conversation.id).in_(sa.select(found.render_derived().c.id))


def _kept(contact_id: UUID) -> Any:
    """The contact that this id leads to, once it was merged (D30)."""
    led = select(ContactRedirect.contact_id).where(ContactRedirect.id == contact_id)
    return sa.func.coalesce(led.scalar_subquery(), contact_id)
