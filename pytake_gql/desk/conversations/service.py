"""The verbs of conversations. Each loads its row locked, checks, changes, tells."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import events, states
from pytake_gql.desk.conversations.locks import lock
from pytake_gql.desk.conversations.models import (
    Conversation,
    ConversationCounter,
    ConversationPriority,
    ConversationStatus,
    Message,
    MessageDirection,
    MoveReason,
    TimelineKind,
)
from pytake_gql.desk.conversations.order import waiting_rank
from pytake_gql.desk.conversations.scope import visible_to
from pytake_gql.desk.conversations.timeline import actor_id, record
from pytake_gql.desk.queues import service as queues
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members import slots
from pytake_gql.tenancy.members.models import Availability, Member

DEFAULT_REOPEN_HOURS = 72
"""Of a conversation in no queue."""


async def get(uow: UnitOfWork, conversation_id: UUID, *path: str) -> Conversation:
    """The row, locked, if the caller may see it; else the refusal NOT_FOUND under that path (`id` by default)."""
    statement = (
        select(Conversation)
        .where(Conversation.id == conversation_id, visible_to(uow.principal))
        .with_for_update(of=Conversation)
    )
    conversation = (await uow.session.execute(statement)).scalar_one_or_none()
    if conversation is None:
        raise not_found(*(path or ("id",)))
    return conversation


async def open_for(uow: UnitOfWork, channel: Channel, contact: Contact) -> Conversation:
    """The contact's conversation on this channel, locked: the open one, one reopened, or a new one (D2, D3).

    A unique index decides: of any number of parallel calls one makes it, and the others get the same.
    """
    found = await _find_open(uow, channel.id, contact.id)
    if found is not None:
        return found
    if (last := await _find_reopenable(uow, channel.id, contact.id)) is not None:
        closed = await lock(uow, last)
        if closed.status is ConversationStatus.CLOSED:
            await hand_back(uow, closed, reason=MoveReason.REOPENED)
        return closed
    made = await _insert(uow, channel, contact)
    if made is None:
        found = await _find_open(uow, channel.id, contact.id)
        if found is None:  # it was closed between the two statements: begin again
            return await open_for(uow, channel, contact)
        return found
    await enqueue(uow, made, channel.queue_id)
    return made


async def enqueue(
    uow: UnitOfWork, conversation: Conversation, queue_id: UUID | None, *, keeps_place: bool = False
) -> None:
    """Lets a conversation wait. A requeue that is not the customer's doing keeps its place (D6)."""
    if not keeps_place or conversation.eligible_since is None:
        conversation.eligible_since = uow.now()
    conversation.queued_at = uow.now()
    conversation.waiting_rank = waiting_rank(conversation.priority, conversation.eligible_since)
    _become(uow, conversation, ConversationStatus.QUEUED, assignee=None, queue_id=queue_id)


async def hand_back(uow: UnitOfWork, conversation: Conversation, *, reason: MoveReason) -> None:
    """Reopens or wakes: to the last assignee if that member is routable now, else to its queue (D3, D4)."""
    if conversation.last_assignee_id is not None:
        member = (await members.by_ids(uow.session, [conversation.last_assignee_id])).get(conversation.last_assignee_id)
        is_routable = member is not None and member.is_active and member.availability is Availability.ONLINE
        if is_routable and (taken := await slots.take_slot(uow, conversation.last_assignee_id)):
            give(uow, conversation, taken, reason=reason)
            return
    await enqueue(uow, conversation, conversation.queue_id)


def give(uow: UnitOfWork, conversation: Conversation, member: Member, *, reason: MoveReason) -> None:
    """Assigns; the member's slot must have been taken before: always in the order agent, conversation (D11)."""
    conversation.assigned_at = uow.now()
    _become(
        uow, conversation, ConversationStatus.ACTIVE, assignee=member, queue_id=conversation.queue_id, reason=reason
    )


async def release(uow: UnitOfWork, conversation: Conversation) -> None:
    """Frees the slot of whoever has it: before the conversation goes anywhere else."""
    if conversation.status is ConversationStatus.ACTIVE and conversation.assignee_id is not None:
        await slots.free_slot(uow, conversation.assignee_id)


async def close(uow: UnitOfWork, conversation_id: UUID) -> Conversation:
    conversation = await lock(uow, conversation_id)
    states.require(conversation.status, ConversationStatus.CLOSED)
    await release(uow, conversation)
    conversation.closed_at = uow.now()
    conversation.last_assignee_id = conversation.assignee_id
    _become(
        uow, conversation, ConversationStatus.CLOSED, assignee=conversation.assignee_id, queue_id=conversation.queue_id
    )
    return conversation


async def reopen(uow: UnitOfWork, conversation_id: UUID) -> Conversation:
    """A member reopens a closed one, or wakes a snoozed one; CONFLICT when the contact has opened another."""
    conversation = await lock(uow, conversation_id)
    if conversation.status not in {ConversationStatus.CLOSED, ConversationStatus.SNOOZED}:
        states.require(conversation.status, ConversationStatus.ACTIVE)
        refuse(UserErrorCode.WRONG_STATE, "Only a closed or snoozed conversation can be reopened.", "id")
    if conversation.status is ConversationStatus.CLOSED and await _find_open(
        uow, conversation.channel_id, conversation.contact_id
    ):
        refuse(UserErrorCode.CONFLICT, "The contact has another open conversation on this channel.", "id")
    await hand_back(uow, conversation, reason=MoveReason.REOPENED)
    return conversation


async def update(uow: UnitOfWork, conversation_id: UUID, changes: Changes) -> Conversation:
    """Changes subject and priority; another priority moves it in its queue."""
    conversation = await get(uow, conversation_id)
    problems, values = Problems(), dict(changes)
    with problems.gather():
        if "subject" in changes:
            values["subject"] = text.optional_line(changes["subject"], "subject", longest=250)
    if "priority" in changes and changes["priority"] is None:
        problems.add(UserErrorCode.REQUIRED, "This is required.", "priority")
    problems.raise_if_any()
    if changed := change(conversation, values):
        if conversation.status is ConversationStatus.QUEUED and conversation.eligible_since:
            conversation.waiting_rank = waiting_rank(conversation.priority, conversation.eligible_since)
        record(uow, conversation, TimelineKind.CHANGED)
        uow.emit(events.ConversationChanged(entity_id=conversation.id, changes=changed))
    return conversation


async def mark_read(uow: UnitOfWork, conversation_id: UUID, seq: int) -> Conversation:
    """What the assignee has read no longer counts as unread; of others it changes nothing."""
    conversation = await get(uow, conversation_id)
    if seq < 0 or seq > conversation.last_seq:
        refuse(UserErrorCode.INVALID, "The conversation has no such event.", "seq")
    is_assignee = conversation.assignee_id is not None and conversation.assignee_id == actor_id(uow)
    if is_assignee and seq > conversation.read_seq:
        conversation.read_seq = seq
        conversation.unread_count = await _unread(uow, conversation)
        record(uow, conversation, TimelineKind.CHANGED)
    return conversation


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    rows = await session.execute(select(Conversation).where(col(Conversation.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


def _become(
    uow: UnitOfWork,
    conversation: Conversation,
    status: ConversationStatus,
    *,
    assignee: Member | UUID | None,
    queue_id: UUID | None,
    reason: MoveReason | None = None,
) -> None:
    """The one way a conversation changes state: the row, its timeline event and the audit (D1)."""
    before = (conversation.assignee_id, conversation.queue_id)
    was = conversation.status if conversation.last_seq else None
    if was is not None and was is not status:
        states.require(was, status)
    conversation.status = status
    conversation.queue_id = queue_id
    if isinstance(assignee, Member):
        conversation.assignee_id, conversation.assignee_name = assignee.id, assignee.name
        conversation.last_assignee_id = assignee.id
    elif assignee is None:
        conversation.assignee_id = conversation.assignee_name = None
    if status is not ConversationStatus.CLOSED:
        conversation.closed_at = None
    if status is not ConversationStatus.QUEUED:
        conversation.waiting_rank = None
    data: dict[str, Any] = {"status": status.value}
    if status is ConversationStatus.ACTIVE:
        data = {"assignee_id": _hex(conversation.assignee_id), "reason": (reason or MoveReason.MEMBER).value}
    kind = TimelineKind.ASSIGNED if status is ConversationStatus.ACTIVE else TimelineKind.STATUS_CHANGED
    record(uow, conversation, kind, data=data, before=before)
    told: Changes = {"status": {"from": was, "to": status}}
    if before[0] != conversation.assignee_id:
        told["assignee_id"] = {"from": before[0], "to": conversation.assignee_id}
    uow.emit(_EVENT[status](entity_id=conversation.id, changes=told))


_EVENT = {
    ConversationStatus.QUEUED: events.ConversationQueued,
    ConversationStatus.ACTIVE: events.ConversationAssigned,
    ConversationStatus.SNOOZED: events.ConversationSnoozed,
    ConversationStatus.CLOSED: events.ConversationClosed,
}


async def _find_open(uow: UnitOfWork, channel_id: UUID, contact_id: UUID) -> Conversation | None:
    statement = select(Conversation).where(
        Conversation.channel_id == channel_id,
        Conversation.contact_id == contact_id,
        Conversation.status != ConversationStatus.CLOSED,
    )
    return (await uow.session.execute(statement.with_for_update())).scalar_one_or_none()


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


async def _insert(uow: UnitOfWork, channel: Channel, contact: Contact) -> Conversation | None:
    """A new row, or None where another transaction made one first."""
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
    values = row.model_dump(exclude={"organization_id", "number"})
    number = await _next_number(uow)
    inserted = (
        uow.insert(Conversation, {**values, "number": number})
        .on_conflict_do_nothing(
            index_elements=["organization_id", "channel_id", "contact_id"],
            index_where=sa.text("status <> 'CLOSED'"),
        )
        .returning(Conversation)
    )
    return (await uow.session.execute(inserted)).scalar_one_or_none()


async def _next_number(uow: UnitOfWork) -> int:
    """Counts from 1 inside the organization; a number whose transaction rolls back is given again."""
    first = uow.insert(ConversationCounter, {"id": uow.organization_id, "last_number": 1})
    counted = first.on_conflict_do_update(
        index_elements=["organization_id", "id"],
        set_={"last_number": ConversationCounter.last_number + 1},
    ).returning(col(ConversationCounter.last_number))
    return int((await uow.session.execute(counted)).scalar_one())


async def _unread(uow: UnitOfWork, conversation: Conversation) -> int:
    statement = select(sa.func.count()).where(
        Message.conversation_id == conversation.id,
        Message.direction == MessageDirection.INBOUND,
        Message.seq > conversation.read_seq,
    )
    return int(await uow.session.scalar(statement) or 0)


def _hex(id_: UUID | None) -> str | None:
    return id_.hex if id_ else None
