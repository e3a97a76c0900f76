"""A conversation in which a flow speaks, for those who take many steps a second: what a step reads, and may change.

The row is plain values, which `timeline.record` raises like those of the row itself; `WRITTEN` writes them back. What
is said goes into the log of the unit of work, as the timeline does. `bots.say` says the same with rows of the session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations import messages, window
from pytake_gql.desk.conversations.events import FlowSpoke
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    Message,
    MessageDirection,
    MessageStatus,
    TimelineKind,
)
from pytake_gql.desk.conversations.ports import Option
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.kernel.db import Instant, table_of
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.unit_of_work import UnitOfWork


@dataclass(slots=True)
class Spoken:
    """The row of a locked conversation, as far as speaking reads and changes it."""

    organization_id: UUID
    id: UUID
    number: int
    channel_id: UUID
    contact_id: UUID
    queue_id: UUID | None
    assignee_id: UUID | None
    last_seq: int
    last_message_id: UUID | None
    last_message_preview: str | None
    last_activity_at: datetime
    updated_at: datetime


_conversations = table_of(Conversation)
COLUMNS: Sequence[Any] = [_conversations.c[name] for name in Spoken.__slots__]
_CHANGED = ("last_seq", "last_message_id", "last_message_preview", "last_activity_at", "updated_at")
WRITTEN = (
    sa.update(_conversations)
    .where(
        _conversations.c.organization_id == sa.bindparam("of_organization", type_=sa.Uuid()),
        _conversations.c.id == sa.bindparam("conversation_id", type_=sa.Uuid()),
    )
    .values(
        {
            name: sa.bindparam(f"conversation_{name}", type_=Instant() if name.endswith("_at") else None)
            for name in _CHANGED
        }
    )
)
"""Writes back a `Spoken`, with its `parameters`; the row is locked."""


def parameters(conversation: Spoken) -> dict[str, Any]:
    changed = {f"conversation_{name}": getattr(conversation, name) for name in _CHANGED}
    return {"of_organization": conversation.organization_id, "conversation_id": conversation.id, **changed}


async def say(
    uow: UnitOfWork,
    conversation: Spoken,
    kind: ChannelKind,
    text: str,
    options: Sequence[Option],
    *,
    queue: JobQueue,
) -> None:
    """As `bots.say` does it, on a channel of that kind. Refuses what the channel would not take (D28)."""
    said = messages.checked_text(text)
    await window.require_of(uow, kind, (conversation.channel_id, conversation.contact_id), said)
    message_id, now = uuid7(), uow.now()
    record(uow, conversation, TimelineKind.MESSAGE_ADDED, message_id=message_id)
    uow.append(Message, {**_message(conversation, said, options, now), "id": message_id})
    conversation.last_message_id = message_id
    conversation.last_message_preview = said.strip()[: messages.PREVIEW]
    conversation.last_activity_at = now
    uow.enqueue(Job("deliver_message", (str(uow.organization_id), str(message_id)), queue))
    uow.emit(FlowSpoke(entity_id=conversation.id, message_id=message_id))


def _message(conversation: Spoken, text: str, options: Sequence[Option], now: datetime) -> Mapping[str, Any]:
    """All columns that do without a null: the short way knows no defaults."""
    return {
        "conversation_id": conversation.id,
        "channel_id": conversation.channel_id,
        "seq": conversation.last_seq,
        "direction": MessageDirection.OUTBOUND,
        "author_kind": AuthorKind.BOT,
        "text": text,
        "options": [asdict(option) for option in options],
        "has_attachments": False,
        "is_note": False,
        "status": MessageStatus.QUEUED,
        "created_at": now,
        "due_at": now,
        "epoch": 0,
        "attempts": 0,
        "parts_sent": 0,
    }
