"""Files that come after their message: somebody else holds them, and a worker fetches them (D29).

Subscribers are told by a status, which has not changed: that event carries the message, and clients read it again.
"""

from uuid import UUID

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.conversations import enclosures, messages, outcomes, turns
from pytake_gql.desk.conversations.models import Conversation, Message, MessageDirection, MessageStatus
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def arrive(
    uow: UnitOfWork, conversation: Conversation, message: Message, file_id: UUID, text: str | None
) -> None:
    """The file is the message's, in a locked conversation; what stood for it gives way to what was written to it.

    One to the contact is sent from now on.
    """
    files = await attachments.give(uow, conversation.id, message.id, [file_id])
    message.has_attachments, message.text = True, text
    _retell(uow, conversation, message, text or enclosures.preview(files))
    if message.direction is MessageDirection.OUTBOUND and message.status is MessageStatus.QUEUED:
        message.due_at = uow.now()
        uow.enqueue(Job("deliver_message", (str(uow.organization_id), str(message.id))))


async def fail(uow: UnitOfWork, message: Message, error: str) -> None:
    """It will not come, and the message to the contact is not sent without it; what was said after it is."""
    await outcomes.settle(uow, message.id, MessageStatus.FAILED, error=error)
    await turns.wake_next(uow, message)


def miss(uow: UnitOfWork, conversation: Conversation, message: Message, *, text: str, error: str) -> None:
    """It will not come: the text stands for it from now on."""
    message.text, message.error = text, error
    _retell(uow, conversation, message, text)


def _retell(uow: UnitOfWork, conversation: Conversation, message: Message, shown: str) -> None:
    outcomes.record_status(uow, conversation, message)
    if conversation.last_message_id == message.id:
        conversation.last_message_preview = shown.strip()[: messages.PREVIEW]
