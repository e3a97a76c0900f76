"""What a flow says and notes in a conversation that is its own (D1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pytake_gql.desk.channels import templates
from pytake_gql.desk.conversations import messages, window
from pytake_gql.desk.conversations.events import FlowSpoke
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    Message,
    MessageDirection,
    MessageStatus,
)
from pytake_gql.desk.conversations.ports import Option
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Speech:
    """One message: a text, with or without options, a file that is still to be fetched, or a template instead."""

    text: str | None
    options: Sequence[Option] = ()
    template: templates.Choice | None = None
    awaits_file: bool = False
    """It is sent once `late_files.arrive` has given it the file."""


async def say(
    uow: UnitOfWork, conversation: Conversation, speech: Speech, *, queue: JobQueue = JobQueue.INTERACTIVE
) -> Message:
    """QUEUED in a locked conversation, as a member's message is (D27), through that queue of jobs (E11).

    Refuses what the channel would not take: a free text outside the reply window, and one that is too long (D28).
    """
    template = speech.template
    is_needed = template is None and not speech.awaits_file
    text = messages.checked_text(speech.text) if is_needed or (speech.text or "").strip() else None
    await window.require(uow, conversation, text or "", is_template=template is not None)
    filled = await templates.fill(uow, conversation.channel_id, template, "template") if template else None
    message = await messages.store(
        uow,
        conversation,
        Message(
            conversation_id=conversation.id,
            channel_id=conversation.channel_id,
            direction=MessageDirection.OUTBOUND,
            author_kind=AuthorKind.BOT,
            text=filled.text if filled else text,
            options=[{"value": option.value, "title": option.title} for option in speech.options],
            template=filled.message if filled else None,
            status=MessageStatus.QUEUED,
            seq=0,
            created_at=uow.now(),
            due_at=None if speech.awaits_file else uow.now(),
        ),
    )
    if not speech.awaits_file:
        uow.enqueue(Job("deliver_message", (str(uow.organization_id), str(message.id)), queue))
    uow.emit(FlowSpoke(entity_id=conversation.id, message_id=message.id))
    return message


async def note(uow: UnitOfWork, conversation: Conversation, text: str) -> Message:
    """For the members who take over: never sent."""
    return await messages.store(
        uow,
        conversation,
        Message(
            conversation_id=conversation.id,
            channel_id=conversation.channel_id,
            direction=MessageDirection.OUTBOUND,
            author_kind=AuthorKind.BOT,
            text=messages.checked_text(text),
            is_note=True,
            status=MessageStatus.SENT,
            seq=0,
            created_at=uow.now(),
        ),
    )
