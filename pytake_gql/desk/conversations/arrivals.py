"""Where the words of a contact go: into the open conversation, one reopened, or a new one (D2, D3)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import departed, service
from pytake_gql.desk.conversations.locks import lock, lock_if, opening
from pytake_gql.desk.conversations.models import (
    Conversation,
    ConversationCounter,
    ConversationPriority,
    ConversationStatus,
    MoveReason,
)
from pytake_gql.desk.queues import service as queues
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork

DEFAULT_REOPEN_HOURS = 72
"""Of a conversation in no queue."""


async def open_for(uow: UnitOfWork, channel: Channel, contact: Contact) -> Conversation:
    """The contact's conversation on this channel, locked: the open one, one reopened, or a new one (D2, D3).

    A unique index decides: of any number of parallel calls one makes it, and the others get the same. Where the
    contact's words may take it from its agent, the agent is locked before it (D11). Of a contact that is merged
    meanwhile it is that of the one kept.
    """
    is_alone = False
    while True:
        if (found := await _find_open(uow, channel.id, contact.id)) is not None:
            return found
        if not is_alone:
            # The contact's row before the turn: whoever heard from the contact may hold it, and wait for the turn.
            await contacts.hold(uow, contact.id)
            await opening(uow, channel.id, contact.id)
            is_alone = True
            continue  # whoever we waited for may have opened one
        if (last := await _find_reopenable(uow, channel.id, contact.id)) is not None:
            if (reopened := await _reopen(uow, last, channel.id, contact.id)) is not None:
                return reopened
        elif (made := await begin(uow, channel, contact)) is not None:
            if channel.flow_id is not None:
                service.give_to_flow(uow, made, channel.queue_id)
            else:
                await service.enqueue(uow, made, channel.queue_id)
            return made
        # Another transaction has made one since we looked, or it was closed or moved since: look again.
        contact = await _present(uow, contact)


async def _reopen(uow: UnitOfWork, conversation_id: UUID, channel_id: UUID, contact_id: UUID) -> Conversation | None:
    """The conversation, locked and open.

    None for one that is the contact's last no more, once it was merged, and for one whose contact was erased.
    """

    async def is_open_or_last(found: Conversation) -> bool:
        if found.status is not ConversationStatus.CLOSED:
            return True
        is_last = await _find_reopenable(uow, channel_id, contact_id) == found.id
        return is_last and await contacts.current(uow, contact_id) is not None

    closed = await lock_if(uow, conversation_id, is_open_or_last)
    if closed is not None and closed.status is ConversationStatus.CLOSED:
        await service.hand_back(uow, closed, reason=MoveReason.REOPENED)
    return closed


async def _present(uow: UnitOfWork, contact: Contact) -> Contact:
    present = await contacts.current(uow, contact.id)
    if present is None:
        refuse(UserErrorCode.CONFLICT, "This contact was erased just now: try again.")
    return present


async def _find_open(uow: UnitOfWork, channel_id: UUID, contact_id: UUID) -> Conversation | None:
    """The open conversation, locked; one that will not stay where it is, after its agent."""
    theirs = select(Conversation).where(
        Conversation.channel_id == channel_id,
        Conversation.contact_id == contact_id,
        Conversation.status != ConversationStatus.CLOSED,
    )
    async with uow.session.begin_nested() as attempt:
        locked = await uow.session.execute(theirs.with_for_update(), execution_options={"populate_existing": True})
        found = locked.scalar_one_or_none()
        is_snoozed = found is not None and found.status is ConversationStatus.SNOOZED
        if found is not None and not is_snoozed and not await departed.has_lost_its_agent(uow.session, found):
            return found
        open_id = found.id if found is not None else None
        # The savepoint gives the lock back: the agent comes first. One that was closed while we waited for it is
        # not found, but locked all the same.
        await attempt.rollback()
    if open_id is None:
        return None
    conversation = await lock(uow, open_id)
    return conversation if conversation.status is not ConversationStatus.CLOSED else None


async def _find_reopenable(uow: UnitOfWork, channel_id: UUID, contact_id: UUID) -> UUID | None:
    """The last one, if it was closed within the hours that its queue allows."""
    statement = (
        select(Conversation.id, Conversation.closed_at, Conversation.queue_id)
        .where(Conversation.channel_id == channel_id, Conversation.contact_id == contact_id)
        .order_by(col(Conversation.id).desc())
        .limit(1)
    )
    last = (await uow.session.execute(statement)).one_or_none()
    if last is None or last.closed_at is None:
        return None
    queue = (await queues.by_ids(uow.session, [last.queue_id])).get(last.queue_id) if last.queue_id else None
    hours = queue.reopen_within_hours if queue else DEFAULT_REOPEN_HOURS
    return last.id if uow.now() - last.closed_at < timedelta(hours=hours) else None


async def begin(uow: UnitOfWork, channel: Channel, contact: Contact) -> Conversation | None:
    """A new row, locked, of which nobody was told yet.

    None where the contact has an open one on this channel, or was taken away by another transaction.
    """
    if not await contacts.hold(uow, contact.id):
        return None
    values = fresh(uow, channel, contact)
    number = await next_number(uow)
    inserted = (
        uow.insert(Conversation, {**values, "number": number})
        .on_conflict_do_nothing(
            index_elements=["organization_id", "channel_id", "contact_id"],
            index_where=sa.text("status <> 'CLOSED'"),
        )
        .returning(Conversation)
    )
    return (await uow.session.execute(inserted)).scalar_one_or_none()


def fresh(uow: UnitOfWork, channel: Channel, contact: Contact) -> dict[str, Any]:
    """The columns of a new row, but for organization and number."""
    row = Conversation(
        number=0,
        status=ConversationStatus.QUEUED,
        priority=ConversationPriority.NORMAL,
        channel_id=channel.id,
        contact_id=contact.id,
        contact_name=contact.name,
        last_activity_at=uow.now(),
        created_at=uow.now(),
        updated_at=uow.now(),
    )
    return row.model_dump(exclude={"organization_id", "number"})


async def next_number(uow: UnitOfWork, count: int = 1) -> int:
    """The last of so many in a row, from 1 inside the organization.

    A number whose transaction rolls back is given again.
    """
    first = uow.insert(ConversationCounter, {"id": uow.organization_id, "last_number": count})
    counted = first.on_conflict_do_update(
        index_elements=["organization_id", "id"],
        set_={"last_number": ConversationCounter.last_number + count},
    ).returning(col(ConversationCounter.last_number))
    return int((await uow.session.execute(counted)).scalar_one())
