"""What happened in a conversation after a seq: the read of live updates, once for all who may see the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from pytake_gql.desk.conversations import queries
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Message,
    MessageDirection,
    MessageStatus,
    TimelineEntry,
    TimelineKind,
)
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
_SAID: tuple[Any, ...] = tuple(getattr(Message, column.name) for column in fields(Said))


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
    row = (await queries.visible(session, principal, [conversation_id])).get(conversation_id)
    if row is None:
        return None
    last = min(row.last_seq, seq + at_most)
    told = await _told(session, conversation_id, seq, last - seq) if last > seq else ()
    said = {message.id: message for _, message in told if message is not None}
    return News(row, [entry for entry, _ in told], said, has_more=last < row.last_seq)


async def _told(
    session: AsyncSession, conversation_id: UUID, seq: int, at_most: int
) -> Sequence[tuple[Entry, Said | None]]:
    """The next events, each with its message: many read at once when they come back, so that no row is an object."""
    is_its_message = sa.and_(
        col(Message.organization_id) == TimelineEntry.organization_id, col(Message.id) == TimelineEntry.message_id
    )
    statement = (
        sa.select(*_ENTRY, *_SAID)
        .select_from(TimelineEntry)
        .outerjoin(Message, is_its_message)
        .where(col(TimelineEntry.conversation_id) == conversation_id, col(TimelineEntry.seq) > seq)
        .order_by(col(TimelineEntry.seq))
        .limit(at_most)
    )
    told = [(tuple(row[: len(_ENTRY)]), tuple(row[len(_ENTRY) :])) for row in await session.execute(statement)]
    return [(Entry(*entry), Said(*said) if said[0] is not None else None) for entry, said in told]
