"""The verbs of conversations. Each loads its row locked, checks, changes, tells."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.conversations import events, overflow, states
from pytake_gql.desk.conversations.locks import lock, opening
from pytake_gql.desk.conversations.models import (
    Conversation,
    ConversationStatus,
    MoveReason,
    TimelineKind,
)
from pytake_gql.desk.conversations.order import waiting_rank
from pytake_gql.desk.conversations.queries import LINKS
from pytake_gql.desk.conversations.scope import visible_to
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.desk.queues import membership
from pytake_gql.desk.tags import service as tags
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence, slots
from pytake_gql.tenancy.members.models import Availability, Member

LONGEST_SNOOZE = timedelta(days=365)


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


def give_to_flow(uow: UnitOfWork, conversation: Conversation, queue_id: UUID | None, *, has_flow: bool = False) -> None:
    """Lets a flow speak in a new one; whoever serves that queue sees it, and may take over (D1).

    `has_flow`: the caller begins one there, else it is the channel's.
    """
    told = events.ConversationBegunByFlow if has_flow else None
    _become(uow, conversation, ConversationStatus.BOT, assignee=None, queue_id=queue_id, event=told)


async def enqueue(
    uow: UnitOfWork,
    conversation: Conversation,
    queue_id: UUID | None,
    *,
    keeps_place: bool = False,
    reason: MoveReason | None = None,
) -> None:
    """Lets a conversation wait, in that queue or where it overflows to; each hop is an event of its own (D9).

    One in no queue waits in that of its channel. A requeue that is not the customer's doing keeps its place (D6).
    With a reason, such as AGENT_LOST, the timeline tells that somebody's conversation is nobody's now.
    """
    if not keeps_place or conversation.eligible_since is None:
        conversation.eligible_since = uow.now()
    conversation.queued_at = uow.now()
    conversation.waiting_rank = waiting_rank(conversation.priority, conversation.eligible_since)
    way = await overflow.way(uow, conversation.id, queue_id or await _queue_of_channel(uow, conversation))
    meant_for, hops = (way[0], way[1:]) if way else (None, ())
    told = {"reason": reason.value} if reason else None
    _become(uow, conversation, ConversationStatus.QUEUED, assignee=None, queue_id=meant_for, told=told)
    for hop in hops:
        _move(uow, conversation, hop, reason=MoveReason.OVERFLOW)


async def transfer(
    uow: UnitOfWork,
    conversation: Conversation,
    queue_id: UUID | None,
    *,
    note: str | None = None,
    keeps_place: bool = False,
    reason: MoveReason = MoveReason.MEMBER,
) -> None:
    """It is sent to a queue, from whoever has it. It waits anew unless it keeps its place (D6, D22)."""
    await release(uow, conversation)
    _move(uow, conversation, queue_id, reason=reason, note=note)
    await enqueue(uow, conversation, queue_id, keeps_place=keeps_place)


async def hand_back(
    uow: UnitOfWork, conversation: Conversation, *, reason: MoveReason, keeps_place: bool = False
) -> None:
    """Reopens or wakes: to the last assignee if that member is routable now, else to its queue (D3, D4)."""
    last = conversation.last_assignee_id
    if last is not None and await is_routable(uow, last) and (taken := await slots.take_slot(uow, last)):
        give(uow, conversation, taken, reason=reason)
    else:
        await enqueue(uow, conversation, conversation.queue_id, keeps_place=keeps_place)


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
    conversation.assigned_at = presence.after_leaving(member, uow.now())
    told = {"reason": reason.value, "decision_id": _hex(decision_id)}
    _become(uow, conversation, ConversationStatus.ACTIVE, assignee=member, queue_id=conversation.queue_id, told=told)


async def release(uow: UnitOfWork, conversation: Conversation) -> None:
    """Frees the slot of whoever has it: before the conversation goes anywhere else."""
    if conversation.status is ConversationStatus.ACTIVE and conversation.assignee_id is not None:
        await slots.free_slot(uow, conversation.assignee_id)


async def close(uow: UnitOfWork, conversation_id: UUID) -> Conversation:
    conversation = await lock(uow, conversation_id)
    await end(uow, conversation)
    return conversation


async def end(uow: UnitOfWork, conversation: Conversation) -> None:
    """Closes one that is locked after its agent (D11)."""
    states.require(conversation.status, ConversationStatus.CLOSED)
    await release(uow, conversation)
    conversation.closed_at = uow.now()
    conversation.last_assignee_id = conversation.assignee_id
    _become(
        uow, conversation, ConversationStatus.CLOSED, assignee=conversation.assignee_id, queue_id=conversation.queue_id
    )


async def snooze(uow: UnitOfWork, conversation_id: UUID, until: datetime) -> Conversation:
    """Puts it aside until then, or until the contact writes; its assignee keeps it, and has a slot free (D4)."""
    if not uow.now() < until <= uow.now() + LONGEST_SNOOZE:
        refuse(UserErrorCode.INVALID, "A moment within the next {days} days.", "until", days=LONGEST_SNOOZE.days)
    conversation = await lock(uow, conversation_id)
    states.require(conversation.status, ConversationStatus.SNOOZED)
    await release(uow, conversation)
    conversation.snoozed_until = until
    _become(
        uow, conversation, ConversationStatus.SNOOZED, assignee=conversation.assignee_id, queue_id=conversation.queue_id
    )
    return conversation


async def wake(uow: UnitOfWork, conversation_id: UUID) -> bool:
    """Hands a snoozed conversation back when its time has come; says whether it did. Safe to run twice (D4, D6)."""
    conversation = await lock(uow, conversation_id)
    until = conversation.snoozed_until
    if conversation.status is not ConversationStatus.SNOOZED or until is None or until > uow.now():
        return False
    await hand_back(uow, conversation, reason=MoveReason.WOKEN, keeps_place=True)
    return True


async def due_to_wake(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, conversation) of those put aside whose time has come, across organizations."""
    found = await session.execute(
        sa.text("SELECT organization_id, conversation_id FROM engine_due_snoozes(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.conversation_id) for row in found]


async def reopen(uow: UnitOfWork, conversation_id: UUID) -> Conversation:
    """A member reopens a closed one, or wakes a snoozed one; CONFLICT when the contact has opened another."""
    if (found := (await by_ids(uow.session, [conversation_id])).get(conversation_id)) is not None:
        await opening(uow, found.channel_id, found.contact_id)
    conversation = await lock(uow, conversation_id)
    if conversation.status is ConversationStatus.SNOOZED:
        await hand_back(uow, conversation, reason=MoveReason.WOKEN)
        return conversation
    if conversation.status is not ConversationStatus.CLOSED:
        refuse(UserErrorCode.WRONG_STATE, "Only a closed or snoozed conversation can be reopened.", "id")
    if await contacts.current(uow, conversation.contact_id) is None:
        refuse(UserErrorCode.WRONG_STATE, "The contact was erased.", "id")
    if await _has_open(uow, conversation.channel_id, conversation.contact_id):
        refuse(UserErrorCode.CONFLICT, "The contact has another open conversation on this channel.", "id")
    await hand_back(uow, conversation, reason=MoveReason.REOPENED)
    return conversation


async def update(uow: UnitOfWork, conversation_id: UUID, changes: Changes) -> Conversation:
    """Changes subject, priority and tags; another priority moves it in its queue."""
    conversation = await get(uow, conversation_id)
    problems, values = Problems(), dict(changes)
    with problems.gather():
        if "subject" in changes:
            values["subject"] = text.optional_line(changes["subject"], "subject", longest=250)
    if "priority" in changes and changes["priority"] is None:
        problems.add(UserErrorCode.REQUIRED, "This is required.", "priority")
    if "tag_ids" in values:
        with problems.gather():
            await tags.require(uow, values["tag_ids"], "tag_ids")
    problems.raise_if_any()
    tagged = await LINKS.replace(uow, conversation.id, values.pop("tag_ids")) if "tag_ids" in values else {}
    if changed := change(conversation, values) | tagged:
        if conversation.status is ConversationStatus.QUEUED and conversation.eligible_since:
            conversation.waiting_rank = waiting_rank(conversation.priority, conversation.eligible_since)
        record(uow, conversation, TimelineKind.CHANGED)
        if subject := changed.get("subject"):
            # It may tell of the contact: erasing one could not take it out of the audit log.
            changed["subject"] = {"from": bool(subject["from"]), "to": bool(subject["to"])}
        uow.emit(events.ConversationChanged(entity_id=conversation.id, changes=changed))
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
    event: type[events.ConversationMoved] | None = None,
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
    if status is not ConversationStatus.SNOOZED:
        conversation.snoozed_until = None
    data: dict[str, Any] = {"status": status.value, **(told or {})}
    kind = TimelineKind.STATUS_CHANGED
    if "reason" in data:
        kind = TimelineKind.ASSIGNED
        data["assignee_id"] = _hex(conversation.assignee_id)
    if was is not status or kind is TimelineKind.ASSIGNED:
        record(uow, conversation, kind, data=data, before=before)
    changes: Changes = {"status": {"from": was, "to": status}}
    if before[0] != conversation.assignee_id:
        changes["assignee_id"] = {"from": before[0], "to": conversation.assignee_id}
    has_sla, number = conversation.has_sla, conversation.number
    uow.emit((event or _EVENT[status])(entity_id=conversation.id, changes=changes, has_sla=has_sla, number=number))


def _move(
    uow: UnitOfWork, conversation: Conversation, queue_id: UUID | None, *, reason: MoveReason, note: str | None = None
) -> None:
    """From its queue to that one, with the event that tells it."""
    before = (conversation.assignee_id, conversation.queue_id)
    conversation.queue_id = queue_id
    data = {"from_queue_id": _hex(before[1]), "to_queue_id": _hex(queue_id), "reason": reason.value, "note": note}
    record(uow, conversation, TimelineKind.TRANSFERRED, data=data, before=before)
    changes: Changes = {"queue_id": {"from": before[1], "to": queue_id}, "reason": {"from": None, "to": reason}}
    uow.emit(events.ConversationTransferred(entity_id=conversation.id, changes=changes, reason=reason))


_EVENT = {
    ConversationStatus.BOT: events.ConversationGivenToFlow,
    ConversationStatus.QUEUED: events.ConversationQueued,
    ConversationStatus.ACTIVE: events.ConversationAssigned,
    ConversationStatus.SNOOZED: events.ConversationSnoozed,
    ConversationStatus.CLOSED: events.ConversationClosed,
}


async def _queue_of_channel(uow: UnitOfWork, conversation: Conversation) -> UUID | None:
    channel = (await channels.by_ids(uow.session, [conversation.channel_id])).get(conversation.channel_id)
    return channel.queue_id if channel else None


async def is_routable(uow: UnitOfWork, member_id: UUID) -> bool:
    """Whether the member answers now; a free slot aside, which is taken in the same breath (D3)."""
    statement = select(Member.id).where(
        Member.id == member_id,
        col(Member.is_active),
        col(Member.removed_at).is_(None),
        col(Member.role).in_(membership.SERVING_ROLES),
        Member.availability == Availability.ONLINE,
        presence.alive(uow.now()),
    )
    return (await uow.session.execute(statement)).first() is not None


async def _has_open(uow: UnitOfWork, channel_id: UUID, contact_id: UUID) -> bool:
    statement = select(Conversation.id).where(
        Conversation.channel_id == channel_id,
        Conversation.contact_id == contact_id,
        Conversation.status != ConversationStatus.CLOSED,
    )
    return (await uow.session.execute(statement)).first() is not None


def _hex(id_: UUID | None) -> str | None:
    return id_.hex if id_ else None
