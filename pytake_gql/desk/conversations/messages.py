"""The verbs of messages: what comes in, what goes out, and what became of it (D26, D27)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.channels import templates
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import arrivals, departed, enclosures, events, service, window
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    ConversationStatus,
    Message,
    MessageDirection,
    MessageStatus,
    MoveReason,
    TimelineKind,
)
from pytake_gql.desk.conversations.timeline import actor_id, record
from pytake_gql.kernel import idempotency
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork

LONGEST_TEXT_BYTES = 64 * 1024
PREVIEW = 160


@dataclass(frozen=True, slots=True)
class Draft:
    """What a member is about to say: a text, or a template in its place."""

    text: str | None
    is_note: bool = False
    reply_to_id: UUID | None = None
    expected_last_seq: int | None = None
    attachment_ids: tuple[UUID, ...] = ()
    template: templates.Choice | None = None


def checked_text(text: str | None, *path: str) -> str:
    """Any Unicode but NUL, at most 64 KiB (D29); the door has refused NUL already."""
    if not text or not text.strip():
        refuse(UserErrorCode.REQUIRED, "A message needs a text.", *(path or ("text",)))
    if len(text.encode()) > LONGEST_TEXT_BYTES:
        refuse(
            UserErrorCode.TOO_LONG, "At most {kib} KiB of text.", *(path or ("text",)), kib=LONGEST_TEXT_BYTES // 1024
        )
    return text


def checked(text: str | None, attachment_ids: Sequence[UUID], *path: str) -> str | None:
    """The text of a message, which one with attachments may do without."""
    if len(attachment_ids) > attachments.MOST_OF_A_MESSAGE:
        most = attachments.MOST_OF_A_MESSAGE
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", "attachment_ids", most=most)
    has_text = bool(text and text.strip())
    return checked_text(text, *path) if has_text or not attachment_ids else None


async def receive(
    uow: UnitOfWork,
    channel: Channel,
    contact: Contact,
    *,
    text: str | None,
    provider_message_id: str,
    attachment_ids: Sequence[UUID] = (),
    reply_to: str | None = None,
    chosen: str | None = None,
) -> tuple[Conversation, Message]:
    """Stores what a contact wrote, once per (channel, provider message id), in the open conversation (D2, D26).

    `reply_to` is the provider's id of the message that it answers; `chosen` the value of an offered option.
    """
    if known := await by_provider_id(uow, channel.id, provider_message_id):
        return await _conversation_of(uow, known), known
    conversation = await arrivals.open_for(uow, channel, contact)
    # Parallel deliveries have waited for the conversation's lock until here: look again.
    if known := await by_provider_id(uow, channel.id, provider_message_id):
        return await _conversation_of(uow, known), known
    inbound = _inbound(uow, conversation, contact, text, provider_message_id)
    message = await store(uow, conversation, inbound, attachment_ids)
    message.chosen, message.reply_to_id = chosen, await _answered(uow, conversation, reply_to)
    conversation.unread_count += 1
    conversation.contact_read_seq = message.seq
    uow.emit(events.MessageReceived(entity_id=conversation.id, message_id=message.id))
    if conversation.status is ConversationStatus.SNOOZED:
        await service.hand_back(uow, conversation, reason=MoveReason.WOKEN)
    elif await departed.has_lost_its_agent(uow.session, conversation):
        await departed.send_back(uow, conversation)
    return conversation, message


async def react(uow: UnitOfWork, contact: Contact, to: Message, *, text: str, provider_message_id: str) -> Message:
    """What a contact feels about a message, beside it: it asks for no answer, so that nothing reopens or runs."""
    conversation = await lock_of(uow, to.conversation_id)
    message = await store(uow, conversation, _inbound(uow, conversation, contact, text, provider_message_id))
    message.reply_to_id = to.id
    conversation.unread_count += 1
    return message


async def send(uow: UnitOfWork, conversation_id: UUID, draft: Draft, *, idempotency_key: str | None) -> Message:
    """A member's message: QUEUED in the transaction of its event, sent by a worker; a note is never sent (D27)."""
    if draft.template is None:
        checked(draft.text, draft.attachment_ids)
    elif draft.text or draft.attachment_ids or draft.is_note:
        refuse(UserErrorCode.INVALID, "A template stands instead of a text, and is no note.", "template")
    request = [conversation_id, draft.text, draft.is_note, draft.reply_to_id, draft.attachment_ids]
    if draft.template:
        request += [draft.template.template_id, *draft.template.variables]
    claim = await idempotency.claim(uow, _author(uow).member_id, idempotency_key, request)
    if claim and claim.answer:
        return (await by_ids(uow.session, [claim.answer]))[claim.answer]
    conversation = await service.get(uow, conversation_id, "conversation_id")
    await _check(uow, conversation, draft)
    message = await say(uow, conversation, draft, idempotency_key=idempotency_key)
    if claim:
        claim.answer = message.id
    return message


async def say(
    uow: UnitOfWork, conversation: Conversation, draft: Draft, *, idempotency_key: str | None = None
) -> Message:
    """A member's checked draft in a locked conversation; a template is filled here, or refused."""
    filled = await templates.fill(uow, conversation.channel_id, draft.template, "template") if draft.template else None
    said = draft.text if draft.text and draft.text.strip() else None
    message = await store(
        uow,
        conversation,
        Message(
            conversation_id=conversation.id,
            channel_id=conversation.channel_id,
            direction=MessageDirection.OUTBOUND,
            author_kind=AuthorKind.MEMBER,
            author_id=actor_id(uow),
            author_name=_author(uow).name,
            text=filled.text if filled else said,
            template=filled.message if filled else None,
            is_note=draft.is_note,
            status=MessageStatus.SENT if draft.is_note else MessageStatus.QUEUED,
            reply_to_id=draft.reply_to_id,
            idempotency_key=idempotency_key,
            seq=0,
            created_at=uow.now(),
            due_at=None if draft.is_note else uow.now(),
        ),
        draft.attachment_ids,
    )
    if not draft.is_note:
        uow.enqueue(Job("deliver_message", (str(uow.organization_id), str(message.id))))
        uow.emit(events.MessageSent(entity_id=conversation.id, message_id=message.id))
    return message


def _author(uow: UnitOfWork) -> MemberPrincipal:
    if not isinstance(uow.principal, MemberPrincipal):
        raise TypeError("members send messages")
    return uow.principal


async def note(uow: UnitOfWork, conversation: Conversation, text: str) -> Message:
    """A member's note in a locked conversation, whatever its state."""
    return await say(uow, conversation, Draft(checked_text(text, "note"), is_note=True))


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Message]:
    rows = await session.execute(select(Message).where(col(Message.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def due(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, message) of what is to be sent, and was not, across organizations."""
    found = await session.execute(
        sa.text("SELECT organization_id, message_id FROM engine_due_messages(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.message_id) for row in found]


async def _check(uow: UnitOfWork, conversation: Conversation, draft: Draft) -> None:
    if not draft.is_note and conversation.status in {ConversationStatus.CLOSED, ConversationStatus.BOT}:
        refuse(
            UserErrorCode.WRONG_STATE,
            "The conversation is {status}: a message cannot be sent in it.",
            "conversation_id",
            status=conversation.status,
        )
    if not draft.is_note:
        await window.require(uow, conversation, draft.text or "", is_template=draft.template is not None)
    if draft.expected_last_seq is not None:
        newer = select(Message.id).where(
            Message.conversation_id == conversation.id,
            Message.seq > draft.expected_last_seq,
            col(Message.author_id).is_distinct_from(actor_id(uow)),
        )
        if (await uow.session.execute(newer.limit(1))).first():
            refuse(UserErrorCode.STALE, "Newer messages have come: read them first.", "expected_last_seq")
    if draft.reply_to_id is not None:
        replied = (await by_ids(uow.session, [draft.reply_to_id])).get(draft.reply_to_id)
        if replied is None or replied.conversation_id != conversation.id:
            refuse(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", "reply_to_id")


def _inbound(
    uow: UnitOfWork, conversation: Conversation, contact: Contact, text: str | None, provider_message_id: str
) -> Message:
    return Message(
        conversation_id=conversation.id,
        channel_id=conversation.channel_id,
        direction=MessageDirection.INBOUND,
        author_kind=AuthorKind.CONTACT,
        author_name=contact.name,
        text=text,
        status=MessageStatus.RECEIVED,
        provider_message_id=provider_message_id,
        seq=0,
        created_at=uow.now(),
    )


async def store(
    uow: UnitOfWork, conversation: Conversation, message: Message, attachment_ids: Sequence[UUID] = ()
) -> Message:
    """Stores a message with its files and its event; the row of the conversation follows, as lists show it."""
    record(uow, conversation, TimelineKind.MESSAGE_ADDED, message_id=message.id)
    message.seq, message.has_attachments = conversation.last_seq, bool(attachment_ids)
    uow.add(message)
    shown = (message.text or "").strip()
    if attachment_ids:
        files = await enclosures.enclose(uow, message, attachment_ids)
        shown = shown or enclosures.preview(files)
    conversation.last_message_id = message.id
    conversation.last_message_preview = shown[:PREVIEW]
    conversation.last_activity_at = uow.now()
    return message


async def _answered(uow: UnitOfWork, conversation: Conversation, provider_id: str | None) -> UUID | None:
    """The message that is answered, if it was said in this conversation: others may not be for the same eyes."""
    found = await by_provider_id(uow, conversation.channel_id, provider_id) if provider_id else None
    return found.id if found and found.conversation_id == conversation.id else None


async def by_provider_id(uow: UnitOfWork, channel_id: UUID, provider_message_id: str) -> Message | None:
    statement = select(Message).where(
        Message.channel_id == channel_id, Message.provider_message_id == provider_message_id
    )
    return (await uow.session.execute(statement)).scalar_one_or_none()


async def _conversation_of(uow: UnitOfWork, message: Message) -> Conversation:
    return (await service.by_ids(uow.session, [message.conversation_id]))[message.conversation_id]


async def lock_of(uow: UnitOfWork, conversation_id: UUID) -> Conversation:
    """The conversation of a message at hand, locked."""
    statement = select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    return (await uow.session.execute(statement)).scalar_one()
