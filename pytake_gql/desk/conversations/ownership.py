"""Whose conversations they are: what becomes of them when their contact is changed, merged or erased (D30).

Each listens while the contacts' rows are locked, and locks conversations after them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col, select

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.events import ContactErased, ContactMerged, ContactsImported, ContactUpdated
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import messages, service
from pytake_gql.desk.conversations.locks import lock_all_of
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    ConversationStatus,
    Message,
    MessageStatus,
    TimelineEntry,
    TimelineKind,
)
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.kernel.principal import VisitorPrincipal
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations


async def on_contact_updated(uow: UnitOfWork, event: ContactUpdated) -> None:
    """Whoever has one of its conversations on the screen is told to read the contact again (G7)."""
    await _tell_changed(uow, Conversation.contact_id == event.entity_id)


async def on_contacts_imported(uow: UnitOfWork, event: ContactsImported) -> None:
    """As for one, in their open conversations: of thousands of contacts nobody looks at every old one."""
    theirs = col(Conversation.contact_id) == sa.any_(sa.cast(list(event.updated_ids), ARRAY(sa.Uuid)))
    await _tell_changed(uow, sa.and_(theirs, col(Conversation.status) != ConversationStatus.CLOSED))


async def on_contact_merged(uow: UnitOfWork, event: ContactMerged) -> None:
    """All go to the contact kept; of two that are open on one channel the older is closed with a note."""
    held = await lock_all_of(uow, [event.entity_id, event.merged_id])
    locale = (await organizations.current(uow.session, uow.organization_id)).locale
    for older, newer in _open_twice(held):
        template = "Closed because its contact was merged: conversation {number} goes on."
        await messages.note(uow, older, translate(template, locale, number=newer.number))
        await service.end(uow, older)
    # The unique index allows one open at a time: the older is closed before the other one comes.
    await uow.session.flush()
    for conversation in held:
        conversation.contact_id, conversation.contact_name = event.entity_id, event.name
        record(uow, conversation, TimelineKind.CHANGED)


async def on_contact_erased(uow: UnitOfWork, event: ContactErased) -> None:
    """What was said is gone, and who said it; that and when something happened stays, for reports count it (D31)."""
    held = await lock_all_of(uow, [event.entity_id])
    for conversation in held:
        if conversation.status is not ConversationStatus.CLOSED:
            await service.end(uow, conversation)
        conversation.subject = conversation.rating_comment = None
        conversation.contact_name = conversation.last_message_preview = None
        record(uow, conversation, TimelineKind.CHANGED)
    await uow.session.flush()
    ids = [conversation.id for conversation in held]
    await attachments.erase(uow, ids)
    for identity in (await contacts.identities_of(uow.session, [event.entity_id]))[event.entity_id]:
        visitor = VisitorPrincipal(uow.organization_id, identity.channel_id, identity.external_id)
        await attachments.erase_uploads_of(uow, visitor)
    await _empty(uow, ids)
    await _retell(uow, held)


async def _tell_changed(uow: UnitOfWork, criterion: Any) -> None:
    """In the conversations that fit, whose contacts' rows are locked before."""
    await uow.session.flush()
    statement = select(Conversation, Contact.name).join(Contact, col(Contact.id) == Conversation.contact_id)
    statement = statement.where(criterion).order_by(col(Conversation.id)).with_for_update(of=Conversation)
    locked = await uow.session.execute(statement, execution_options={"populate_existing": True})
    for conversation, name in locked.all():
        conversation.contact_name = name
        record(uow, conversation, TimelineKind.CHANGED)


def _open_twice(held: Sequence[Conversation]) -> Iterator[tuple[Conversation, Conversation]]:
    """The older and the newer where both contacts have an open one on one channel."""
    open_: dict[UUID, list[Conversation]] = defaultdict(list)
    for conversation in held:
        if conversation.status is not ConversationStatus.CLOSED:
            open_[conversation.channel_id].append(conversation)
    for found in open_.values():
        if len(found) > 1:
            older, newer = sorted(found, key=lambda conversation: conversation.number)
            yield older, newer


async def _empty(uow: UnitOfWork, conversation_ids: Sequence[UUID]) -> None:
    """Takes out of messages and timelines whatever tells of the contact; what was still to be sent is not sent."""
    is_queued = col(Message.status) == MessageStatus.QUEUED
    is_contacts = col(Message.author_kind) == AuthorKind.CONTACT
    said = sa.update(Message).where(col(Message.conversation_id).in_(conversation_ids))
    told = sa.update(TimelineEntry).where(col(TimelineEntry.conversation_id).in_(conversation_ids))
    await uow.session.execute(
        said.values(
            text=None,
            options=[],
            has_attachments=False,
            chosen=None,
            template=sa.null(),
            error=None,
            provider_message_id=None,
            author_name=sa.case((is_contacts, None), else_=col(Message.author_name)),
            status=sa.case((is_queued, MessageStatus.FAILED.value), else_=col(Message.status)),
            due_at=None,
            epoch=col(Message.epoch) + 1,
        ).execution_options(synchronize_session=False)
    )
    await uow.session.execute(
        told.values(data=col(TimelineEntry.data).op("-")("note")).execution_options(synchronize_session=False)
    )


async def _retell(uow: UnitOfWork, held: Sequence[Conversation]) -> None:
    """Whoever shows what was said reads it again, and finds nothing."""
    conversations = {conversation.id: conversation for conversation in held}
    statement = (
        select(Message.id, Message.conversation_id, Message.status)
        .where(col(Message.conversation_id).in_(conversations))
        .order_by(col(Message.conversation_id), col(Message.seq))
    )
    for id_, conversation_id, status in (await uow.session.execute(statement)).all():
        told = {"message_status": MessageStatus(status).value}
        record(uow, conversations[conversation_id], TimelineKind.MESSAGE_STATUS_CHANGED, message_id=id_, data=told)
