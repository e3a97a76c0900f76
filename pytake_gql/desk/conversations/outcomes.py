"""What became of messages to contacts: forward only, whoever tells it and in whatever order (D27)."""

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.conversations import messages
from pytake_gql.desk.conversations.models import (
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
    """Tells subscribers to read the message again."""
    record(
        uow,
        conversation,
        TimelineKind.MESSAGE_STATUS_CHANGED,
        message_id=message.id,
        data={"message_status": message.status.value},
    )
