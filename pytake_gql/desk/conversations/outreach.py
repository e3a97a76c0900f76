"""Conversations that are begun with many contacts at once, and what is said first in them.

Locks in the one order, for all of them together: contacts by id, the turns to open, the open conversations by id, and
then the numbers of new ones.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import arrivals, locks, service
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    ConversationStatus,
    Message,
    MessageStatus,
)
from pytake_gql.kernel.db import table_of
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.unit_of_work import UnitOfWork

_COLUMNS = [column for column in table_of(Conversation).columns if column.computed is None]
_NAMES = ", ".join(column.name for column in _COLUMNS)
_BEGIN = sa.text(
    f"""INSERT INTO conversations ({_NAMES})
    SELECT {_NAMES} FROM jsonb_populate_recordset(NULL::conversations, CAST(CAST(:rows AS text) AS jsonb))
    RETURNING {_NAMES}"""  # noqa: S608 - names of ours
).columns(*_COLUMNS)


@dataclass(frozen=True, slots=True)
class Held:
    """Contacts that are neither merged nor erased until the commit, with the conversation that is open with each."""

    contacts: Mapping[UUID, Contact]
    open: Mapping[UUID, Conversation]
    """By contact; locked."""


async def hold(uow: UnitOfWork, channel_id: UUID, contact_ids: Collection[UUID]) -> Held:
    """Nobody else opens or reopens one with them on this channel until the commit (D2)."""
    theirs = select(Contact).where(col(Contact.id).in_(contact_ids), col(Contact.erased_at).is_(None))
    rows = await uow.session.execute(
        theirs.order_by(col(Contact.id)).with_for_update(read=True), execution_options={"populate_existing": True}
    )
    held = {row.id: row for row in rows.scalars()}
    await locks.opening_all(uow, channel_id, held)
    statement = select(Conversation).where(
        Conversation.channel_id == channel_id,
        col(Conversation.contact_id).in_(held),
        Conversation.status != ConversationStatus.CLOSED,
    )
    found = await uow.session.execute(
        statement.order_by(col(Conversation.id)).with_for_update(), execution_options={"populate_existing": True}
    )
    return Held(held, {row.contact_id: row for row in found.scalars()})


async def begin(uow: UnitOfWork, channel: Channel, contacts: Sequence[Contact]) -> dict[UUID, Conversation]:
    """A new one with each, by contact, locked and for the caller's flow, with contacts that are held and have none."""
    if not contacts:
        return {}
    last = await arrivals.next_number(uow, len(contacts))
    same = {**arrivals.fresh(uow, channel, contacts[0]), "organization_id": uow.organization_id}
    rows = [
        {**same, "id": uuid7(), "contact_id": contact.id, "contact_name": contact.name, "number": number}
        for number, contact in enumerate(contacts, start=last - len(contacts) + 1)
    ]
    statement = select(Conversation).from_statement(_BEGIN)
    inserted = await uow.session.execute(statement, {"rows": orjson.dumps(rows, default=str).decode()})
    made = {row.contact_id: row for row in inserted.scalars()}
    for conversation in made.values():
        uow.keep(conversation)
        service.give_to_flow(uow, conversation, channel.queue_id, has_flow=True)
    return made


async def first_words(uow: UnitOfWork, conversation_ids: Collection[UUID]) -> dict[UUID, list[Message]]:
    """What flows have said in this transaction and is still to be sent, by conversation, in order.

    The first of each is for the caller to send: no worker is woken for it.
    """
    statement = select(Message).where(
        col(Message.conversation_id).in_(conversation_ids),
        Message.status == MessageStatus.QUEUED,
        Message.author_kind == AuthorKind.BOT,
        Message.created_at == uow.now(),
    )
    found: dict[UUID, list[Message]] = {}
    for message in (await uow.session.execute(statement.order_by(col(Message.seq)))).scalars():
        said = found.setdefault(message.conversation_id, [])
        said.append(message)
        if len(said) == 1:
            uow.withdraw(Job("deliver_message", (str(uow.organization_id), str(message.id)), JobQueue.BULK))
    return found


async def claim_again(uow: UnitOfWork, message_ids: Collection[UUID], lease: timedelta) -> dict[UUID, Message]:
    """Those that are still to be sent and nobody's, for the caller to send; locked after their conversations (E4)."""
    wanted = select(Message.conversation_id).where(col(Message.id).in_(message_ids))
    held = select(Conversation.id).where(col(Conversation.id).in_(wanted.scalar_subquery()))
    await uow.session.execute(held.order_by(col(Conversation.id)).with_for_update())
    statement = select(Message).where(
        col(Message.id).in_(message_ids), Message.status == MessageStatus.QUEUED, col(Message.due_at).is_(None)
    )
    rows = await uow.session.execute(
        statement.order_by(col(Message.id)).with_for_update(), execution_options={"populate_existing": True}
    )
    found = {row.id: row for row in rows.scalars()}
    for message in found.values():
        message.due_at, message.error = uow.now() + lease, None
        message.epoch, message.attempts = message.epoch + 1, message.attempts + 1
    return found
