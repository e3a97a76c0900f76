"""Storing what a provider delivered: any number of times, in any order, at once, it counts once (D26, D27, G6)."""

from collections.abc import Sequence
from typing import TypeAlias

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts import phones
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.desk.conversations import messages, outcomes
from pytake_gql.desk.conversations.models import Conversation, Message, MessageDirection, MessageStatus
from pytake_gql.desk.deliveries import media, wording
from pytake_gql.desk.deliveries.ports import (
    Choice,
    Echo,
    Incoming,
    Media,
    Reaction,
    ReadUpTo,
    Sender,
    StatusTold,
    Update,
)
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations.models import Organization

Delivered: TypeAlias = tuple[Channel, Sequence[Update]]


async def take(uow: UnitOfWork, delivered: Sequence[Delivered]) -> None:
    """Stores all of one delivery: what contacts said first, then what became of what was said to them."""
    await _take_turns(uow, delivered)
    spoken = select(Organization.locale).where(Organization.id == uow.organization_id)
    locale = (await uow.session.execute(spoken)).scalar_one()
    said = [(channel, update) for channel, updates in delivered for update in updates if isinstance(update, Incoming)]
    for channel, incoming in said:
        if not await messages.by_provider_id(uow, channel.id, incoming.provider_id):
            # All before the first row is locked: to whom a phone leads is a turn of its own.
            await _identify(uow, channel, incoming.sender)
    for channel, incoming in said:
        await _receive(uow, channel, incoming, locale)
    for channel, updates in delivered:
        for update in updates:
            await _follow(uow, channel, update)


async def _follow(uow: UnitOfWork, channel: Channel, update: Update) -> None:
    """What became of what was said to a contact."""
    if isinstance(update, StatusTold):
        await _settle(uow, channel, update)
    elif isinstance(update, ReadUpTo):
        await _read_up_to(uow, channel, update)
    elif isinstance(update, Echo):
        await _recognize(uow, channel, update)


async def _take_turns(uow: UnitOfWork, delivered: Sequence[Delivered]) -> None:
    """Two deliveries about one contact are taken one after the other: a double is found before it does anything.

    Always in one order, and before any row is locked.
    """
    turns = {
        f"delivery:{channel.id.hex}:{update.sender.external_id if isinstance(update, Incoming) else update.recipient}"
        for channel, updates in delivered
        for update in updates
    }
    for turn in sorted(turns):
        await one_at_a_time(uow, turn)


async def _receive(uow: UnitOfWork, channel: Channel, incoming: Incoming, locale: str) -> None:
    """A message that is known changes nothing; a contact who is blocked is not heard."""
    if await messages.by_provider_id(uow, channel.id, incoming.provider_id):
        return
    identity, contact = await _identify(uow, channel, incoming.sender)
    text = wording.text_of(incoming.content, locale)
    if contact.is_blocked or text is None:
        return
    if isinstance(incoming.content, Reaction):
        to = await messages.by_provider_id(uow, channel.id, incoming.content.to)
        if to is not None:
            await messages.react(uow, contact, to, text=text, provider_message_id=incoming.provider_id)
        return
    said_at = min(incoming.at, uow.now())
    identity.last_wrote_at = max(identity.last_wrote_at or said_at, said_at)
    _, message = await messages.receive(
        uow,
        channel,
        contact,
        text=text,
        provider_message_id=incoming.provider_id,
        reply_to=incoming.reply_to,
        chosen=wording.cut(incoming.content.value) if isinstance(incoming.content, Choice) else None,
    )
    if isinstance(incoming.content, Media):
        media.expect(uow, message, incoming.content)


async def _identify(uow: UnitOfWork, channel: Channel, sender: Sender) -> tuple[ContactIdentity, Contact]:
    """Whoever this is on the channel. A profile names a new contact; what members know of a known one stays."""
    known = (
        select(ContactIdentity, Contact)
        .join(Contact, col(Contact.id) == ContactIdentity.contact_id)
        .where(ContactIdentity.channel_id == channel.id, ContactIdentity.external_id == sender.external_id)
    )
    name = wording.name_of(sender.name)
    if (found := (await uow.session.execute(known)).one_or_none()) is not None:
        identity, contact = found
        identity.display_name = name or identity.display_name
        return identity, contact
    return await contacts.identify(uow, channel.id, sender.external_id, name=name, proven_phone=_phone(sender.phone))


def _phone(number: str | None) -> str | None:
    """A number that is none by our rules is no reason to lose a message."""
    try:
        return phones.e164(number, contacts.DEFAULT_COUNTRY)
    except Refusal:
        return None


async def _settle(uow: UnitOfWork, channel: Channel, told: StatusTold) -> None:
    """What we never sent is nothing to us: another program may use the same account."""
    message = await messages.by_provider_id(uow, channel.id, told.provider_id)
    if message is None and told.message_id is not None:
        # Before the worker wrote the provider's id, or because it never learned it.
        message = (await messages.by_ids(uow.session, [told.message_id])).get(told.message_id)
    if message is None or message.channel_id != channel.id or message.direction is not MessageDirection.OUTBOUND:
        return
    error = wording.cut(told.error) if told.error else None
    if told.is_of_part:
        if told.status is MessageStatus.FAILED:
            await outcomes.lose_part(uow, message.id, error)
        return
    if message.has_attachments and message.status is MessageStatus.FAILED:
        return  # one of its parts is missing, whatever became of the last
    await outcomes.settle(uow, message.id, told.status, error=error, provider_id=told.provider_id)


async def _read_up_to(uow: UnitOfWork, channel: Channel, told: ReadUpTo) -> None:
    message = await messages.by_provider_id(uow, channel.id, told.provider_id)
    if message is None:
        return
    statement = (
        select(Message.id)
        .where(
            Message.conversation_id == message.conversation_id,
            Message.direction == MessageDirection.OUTBOUND,
            Message.seq <= message.seq,
            col(Message.is_note).is_(False),
            sa.or_(
                col(Message.status).in_([MessageStatus.SENT, MessageStatus.DELIVERED]),
                # Of one with files that is UNKNOWN a part may be missing.
                sa.and_(col(Message.status) == MessageStatus.UNKNOWN, sa.not_(col(Message.has_attachments))),
            ),
        )
        .order_by(col(Message.seq))
    )
    for message_id in (await uow.session.execute(statement)).scalars().all():
        await outcomes.settle(uow, message_id, MessageStatus.READ)


async def _recognize(uow: UnitOfWork, channel: Channel, echo: Echo) -> None:
    """A message whose answer was lost, or did not come yet, was sent after all: told by its text."""
    if await messages.by_provider_id(uow, channel.id, echo.provider_id):
        return
    statement = (
        select(Message.id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .join(ContactIdentity, col(ContactIdentity.contact_id) == Conversation.contact_id)
        .where(
            Message.channel_id == channel.id,
            ContactIdentity.channel_id == channel.id,
            ContactIdentity.external_id == echo.recipient,
            Message.direction == MessageDirection.OUTBOUND,
            Message.text == echo.text,
            sa.not_(col(Message.has_attachments)),  # there the text is but a part
            col(Message.provider_message_id).is_(None),
            col(Message.attempts) > 0,
            col(Message.status).in_([MessageStatus.UNKNOWN, MessageStatus.QUEUED]),
        )
        .order_by(col(Message.id))
        .limit(1)
    )
    message_id = (await uow.session.execute(statement)).scalar_one_or_none()
    if message_id is not None:
        await outcomes.settle(uow, message_id, MessageStatus.SENT, provider_id=echo.provider_id)
