"""Files that come after their message: a provider holds them, and a worker fetches them (D29).

Subscribers are told by a status, which has not changed: that event carries the message, and clients read it again.
"""

from uuid import UUID

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.conversations import enclosures, messages, outcomes
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def arrive(
    uow: UnitOfWork, conversation: Conversation, message: Message, file_id: UUID, text: str | None
) -> None:
    """The file is the message's, in a locked conversation; what stood for it gives way to what was written to it."""
    files = await attachments.give(uow, conversation.id, message.id, [file_id])
    message.has_attachments, message.text = True, text
    _retell(uow, conversation, message, text or enclosures.preview(files))


def miss(uow: UnitOfWork, conversation: Conversation, message: Message, *, text: str, error: str) -> None:
    """It will not come: the text stands for it from now on."""
    message.text, message.error = text, error
    _retell(uow, conversation, message, text)


def _retell(uow: UnitOfWork, conversation: Conversation, message: Message, shown: str) -> None:
    outcomes.record_status(uow, conversation, message)
    if conversation.last_message_id == message.id:
        conversation.last_message_preview = shown.strip()[: messages.PREVIEW]
