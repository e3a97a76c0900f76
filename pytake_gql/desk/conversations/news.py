"""What happened in a conversation after a seq: the read of live updates, once for all who may see the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from pytake_gql.desk.conversations import queries
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    Message,
    MessageDirection,
    MessageStatus,
    TimelineEntry,
    TimelineKind,
)
from pytake_gql.desk.conversations.scope import by_name, visible_to
from pytake_gql.kernel.db import confined
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.principal import Principal


@dataclass(frozen=True, slots=True)
class Entry:
    """What an event shows of a `TimelineEntry`."""

    conversation_id: UUID
    seq: int
    kind: TimelineKind
    at: datetime
    by_id: UUID | None
    message_id: UUID | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What is shown of a `Message`."""

    id: UUID
    conversation_id: UUID
    seq: int
    direction: MessageDirection
    author_kind: AuthorKind
    author_id: UUID | None
    text: str | None
    options: list[dict[str, str]]
    has_attachments: bool
    is_note: bool
    status: MessageStatus
    error: str | None
    reply_to_id: UUID | None
    idempotency_key: str | None
    created_at: datetime


_ENTRY: tuple[Any, ...] = tuple(getattr(TimelineEntry, column.name) for column in fields(Entry))
_OF_ENTRY = len(_ENTRY)
_SAID: tuple[Any, ...] = tuple(getattr(Message, column.name).label(f"said_{column.name}") for column in fields(Said))


@dataclass(frozen=True, slots=True)
class News:
    """What happened in a conversation after a seq, and the conversation and its messages as they stand now."""

    conversation: Any
    """A row of `queries.SHOWN`."""
    entries: Sequence[Entry]
    messages: Mapping[UUID, Said]
    has_more: bool


async def read(
    session: AsyncSession, principal: Principal, conversation_id: UUID, seq: int, at_most: int
) -> News | None:
    """None when the caller may not see it now.

    The conversation is read first, and nothing later than its last seq is told with it: what comes meanwhile has a
    wake-up of its own.
    """
    like, values = by_name(principal)
    asked = {"conversation_id": conversation_id}
    rows = await _conversation(like).rows(session, {**asked, **values})
    if not rows:
        return None
    [row] = rows
    last = min(row.last_seq, seq + at_most)
    told = await _entries().rows(session, {**asked, "seq": seq, "last": last}) if last > seq else ()
    said = [Said(*row[_OF_ENTRY:]) for row in told if row.said_id is not None]
    entries = [Entry(*row[:_OF_ENTRY]) for row in told]
    return News(row, entries, {message.id: message for message in said}, has_more=last < row.last_seq)


_id = sa.bindparam("conversation_id", type_=sa.Uuid())


@cache
def _conversation(like: Principal) -> Frozen:
    return Frozen(confined(sa.select(*queries.SHOWN).where(visible_to(like), col(Conversation.id) == _id)))


@cache
def _entries() -> Frozen:
    """The next events, each with its message."""
    is_its_message = sa.and_(
        col(Message.organization_id) == TimelineEntry.organization_id, col(Message.id) == TimelineEntry.message_id
    )
    after, last = (sa.bindparam(name, type_=sa.Integer()) for name in ("seq", "last"))
    statement = (
        sa.select(*_ENTRY, *_SAID)
        .select_from(TimelineEntry)
        .outerjoin(Message, is_its_message)
        .where(
            col(TimelineEntry.conversation_id) == _id, col(TimelineEntry.seq) > after, col(TimelineEntry.seq) <= last
        )
        .order_by(col(TimelineEntry.seq))
    )
    return Frozen(confined(statement))
