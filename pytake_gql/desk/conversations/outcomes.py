"""What became of messages to contacts: forward only, whoever tells it and in whatever order (D27)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.conversations import messages
from pytake_gql.desk.conversations.attempts import Attempt
from pytake_gql.desk.conversations.events import FlowMessageSettled
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    Message,
    MessageDirection,
    MessageStatus,
    TimelineKind,
)
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.kernel.unit_of_work import UnitOfWork

# How far a message got; a status never moves backwards (D27). A provider may take a message and fail it later.
_PROGRESS = {
    MessageStatus.QUEUED: 0,
    MessageStatus.UNKNOWN: 1,
    MessageStatus.SENT: 2,
    MessageStatus.FAILED: 3,
    MessageStatus.DELIVERED: 4,
    MessageStatus.READ: 5,
}
_LONGEST_ERROR = 1000
_UNREAD = [status for status in _PROGRESS if status not in {MessageStatus.READ, MessageStatus.FAILED}]


async def settle(
    uow: UnitOfWork,
    message_id: UUID,
    status: MessageStatus,
    *,
    error: str | None = None,
    provider_id: str | None = None,
    epoch: int | None = None,
) -> Message | None:
    """Writes what became of an outbound message; what would move it backwards changes nothing (D27).

    A worker gives the epoch of its claim: once another has claimed the message, it writes nothing (E4).
    """
    message = (await messages.by_ids(uow.session, [message_id])).get(message_id)
    if message is None:
        return None
    conversation = await messages.lock_of(uow, message.conversation_id)
    await uow.session.refresh(message)
    if epoch is not None and message.epoch != epoch:
        return message
    if _PROGRESS.get(message.status, len(_PROGRESS)) >= _PROGRESS[status]:
        return message
    message.status, message.error, message.due_at = status, error, None
    message.provider_message_id = provider_id or message.provider_message_id
    record_status(uow, conversation, message)
    return message


async def lose_part(uow: UnitOfWork, message_id: UUID, error: str | None) -> None:
    """The provider has failed a part that it had taken: the message is not whole, and says so.

    What is still to be sent of it is not: the contact would get what follows without what it follows. One that got
    further stays there (D27), with the reason beside it.
    """
    message = await settle(uow, message_id, MessageStatus.FAILED, error=error)
    if message is not None and message.status in {MessageStatus.DELIVERED, MessageStatus.READ} and not message.error:
        conversation = await messages.lock_of(uow, message.conversation_id)
        message.error = error
        record_status(uow, conversation, message)


async def mark_read_by_contact(uow: UnitOfWork, conversation: Conversation, seq: int) -> None:
    """The contact has read up to seq: the messages to them become READ, also one that a worker is still to send."""
    statement = (
        select(Message)
        .where(
            Message.conversation_id == conversation.id,
            Message.direction == MessageDirection.OUTBOUND,
            Message.seq <= seq,
            sa.not_(col(Message.is_note)),
            col(Message.status).in_(_UNREAD),
        )
        .order_by(col(Message.seq))
    )
    unread = (await uow.session.execute(statement)).scalars().all()
    conversation.contact_read_seq = max(conversation.contact_read_seq, seq)
    for message in unread:
        message.status, message.due_at = MessageStatus.READ, None
        record_status(uow, conversation, message)


def record_status(uow: UnitOfWork, conversation: Conversation, message: Message) -> None:
    """Tells subscribers to read the message again, and whoever follows what flows say."""
    _tell(uow, conversation, message)
    if message.author_kind is AuthorKind.BOT:
        uow.emit(FlowMessageSettled(entity_id=conversation.id, message_id=message.id, status=message.status))


def _tell(uow: UnitOfWork, conversation: Conversation, message: Message) -> None:
    data = {"message_status": message.status.value}
    record(uow, conversation, TimelineKind.MESSAGE_STATUS_CHANGED, message_id=message.id, data=data)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one message, by the worker whose claim has this epoch."""

    message_id: UUID
    conversation_id: UUID
    epoch: int
    attempt: Attempt
    try_again_at: datetime | None = None
    """It is QUEUED again, for somebody else to claim, instead of FAILED."""


async def settle_all(uow: UnitOfWork, told: Sequence[Told]) -> dict[UUID, Message]:
    """`settle` for many at once; no event tells it, whoever calls knows. Answers the messages as they stand then.

    After a part its message is due at once; what is to be tried again is nobody's until it is claimed anew.
    """
    by_message = {it.message_id: it for it in told}
    wanted = select(Conversation).where(col(Conversation.id).in_({it.conversation_id for it in told}))
    locked = await uow.session.execute(
        wanted.order_by(col(Conversation.id)).with_for_update(), execution_options={"populate_existing": True}
    )
    held = {row.id: row for row in locked.scalars()}
    found = select(Message).where(col(Message.id).in_(by_message))
    rows = await uow.session.execute(found, execution_options={"populate_existing": True})
    messages_ = {row.id: row for row in rows.scalars()}
    for id_, message in messages_.items():
        mine = by_message[id_]
        if message.epoch == mine.epoch and message.status is MessageStatus.QUEUED:
            _settle_one(uow, held[message.conversation_id], message, mine)
    return messages_


def _settle_one(uow: UnitOfWork, conversation: Conversation, message: Message, told: Told) -> None:
    tried = told.attempt
    if tried.is_part:
        message.parts_sent, message.attempts, message.error, message.due_at = message.parts_sent + 1, 0, None, uow.now()
    elif told.try_again_at is not None:
        message.error, message.due_at = _cut(tried.reason), None
    else:
        message.status, message.error, message.due_at = tried.status, _cut(tried.error), None
        message.provider_message_id = tried.provider_id or message.provider_message_id
        _tell(uow, conversation, message)


def _cut(error: str | None) -> str | None:
    return error[:_LONGEST_ERROR] if error else None
