"""Messages through a provider leave a conversation in the order in which they were said."""

from sqlmodel import col, select

from pytake_gql.desk.conversations.models import Message, MessageStatus
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def waits_for_another(uow: UnitOfWork, message: Message) -> bool:
    """Whether one that was said before it in its conversation is still to be sent: the contact reads in order."""
    earlier = select(Message.id).where(
        Message.conversation_id == message.conversation_id,
        Message.seq < message.seq,
        Message.status == MessageStatus.QUEUED,
    )
    return (await uow.session.execute(earlier.limit(1))).first() is not None


async def wake_next(uow: UnitOfWork, done: Message, queue: JobQueue = JobQueue.INTERACTIVE) -> None:
    """The conversation's next message to be sent is due now, if there is one; what a campaign says next is BULK."""
    following = (
        select(Message)
        .where(
            Message.conversation_id == done.conversation_id,
            Message.seq > done.seq,
            Message.status == MessageStatus.QUEUED,
            Message.attempts == 0,
            col(Message.due_at).is_not(None),  # else its file is still to be fetched
        )
        .order_by(col(Message.seq))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    message = (await uow.session.execute(following)).scalar_one_or_none()
    if message is not None:
        message.due_at = uow.now()
        uow.enqueue(Job("deliver_message", (str(uow.organization_id), str(message.id)), queue))
