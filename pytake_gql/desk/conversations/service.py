"""The verbs of conversations. Each loads its row locked, checks, changes, tells."""

from collections.abc import Mapping, Sequence
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


async def enqueue(
    uow: UnitOfWork,
    conversation: Conversation,
    queue_id: UUID | None,
    *,
    keeps_place: bool = False,
    reason: MoveReason | None = None,
) -> None:
    """Lets a conversation wait. A requeue that is not the customer's doing keeps its place (D6).

    With a reason, such as AGENT_LOST, the timeline tells that somebody's conversation is nobody's now.
    """
    if not keeps_place or conversation.eligible_since is None:
        conversation.eligible_since = uow.now()
    conversation.queued_at = uow.now()
    conversation.waiting_rank = waiting_rank(conversation.priority, conversation.eligible_since)
    told = {"reason": reason.value} if reason else None
    _become(uow, conversation, ConversationStatus.QUEUED, assignee=None, queue_id=queue_id, told=told)


async def hand_back(uow: UnitOfWork, conversation: Conversation, *, reason: MoveReason) -> None:
    """Reopens or wakes: to the last assignee if that member is routable now, else to its queue (D3, D4)."""
    if conversation.last_assignee_id is not None:
        member = (await members.by_ids(uow.session, [conversation.last_assignee_id])).get(conversation.last_assignee_id)
        is_routable = member is not None and member.is_active and member.availability is Availability.ONLINE
        if is_routable and (taken := await slots.take_slot(uow, conversation.last_assignee_id)):
            give(uow, conversation, taken, reason=reason)
            return
    await enqueue(uow, conversation, conversation.queue_id)


def give(
    uow: UnitOfWork,
    conversation: Conversation,
    member: Member,
    *,
    reason: MoveReason,
    decision_id: UUID | None = None,
) -> None:
    """Assigns; the member's slot must have been taken before: always in the order agent, conversation (D11).

    `decision_id` is that of the routing decision that chose the member.
    """
    conversation.assigned_at = uow.now()
    told = {"reason": reason.value, "decision_id": _hex(decision_id)}
    _become(uow, conversation, ConversationStatus.ACTIVE, assignee=member, queue_id=conversation.queue_id, told=told)


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
    told: Mapping[str, str | None] | None = None,
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
    data: dict[str, Any] = {"status": status.value, **(told or {})}
    kind = TimelineKind.STATUS_CHANGED
    if "reason" in data:
        kind = TimelineKind.ASSIGNED
        data["assignee_id"] = _hex(conversation.assignee_id)
    record(uow, conversation, kind, data=data, before=before)
    changes: Changes = {"status": {"from": was, "to": status}}
    if before[0] != conversation.assignee_id:
        changes["assignee_id"] = {"from": before[0], "to": conversation.assignee_id}
    uow.emit(_EVENT[status](entity_id=conversation.id, changes=changes))


_EVENT = {
    ConversationStatus.QUEUED: events.ConversationQueued,
    ConversationStatus.ACTIVE: events.ConversationAssigned,
    ConversationStatus.SNOOZED: events.ConversationSnoozed,
    ConversationStatus.CLOSED: events.ConversationClosed,
}


async def _unread(uow: UnitOfWork, conversation: Conversation) -> int:
    statement = select(sa.func.count()).where(
        Message.conversation_id == conversation.id,
        Message.direction == MessageDirection.INBOUND,
        Message.seq > conversation.read_seq,
    )
    return int(await uow.session.scalar(statement) or 0)


def _hex(id_: UUID | None) -> str | None:
    return id_.hex if id_ else None
