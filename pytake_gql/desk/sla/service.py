"""Keeps the clocks in the transactions of what moves them, and records what they miss (D24, D25).

Whoever tells of a conversation holds its row: the clocks are changed under that lock, and the sweep takes it too.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.conversations.events import (
    ConversationAssigned,
    ConversationClosed,
    ConversationEvent,
    ConversationQueued,
    ConversationSnoozed,
    MessageReceived,
    MessageSent,
)
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    ConversationStatus,
    Message,
    MessageDirection,
    SlaTarget,
    TimelineKind,
)
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.desk.queues.models import Queue
from pytake_gql.desk.sla.clocks import Clocks
from pytake_gql.desk.sla.events import SlaBreached
from pytake_gql.desk.sla.models import SlaClock, SlaPolicy
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations


async def on_queued(uow: UnitOfWork, event: ConversationQueued) -> None:
    await _resume_or_apply(uow, event)


async def on_assigned(uow: UnitOfWork, event: ConversationAssigned) -> None:
    waited = event.changes["status"]["from"] is ConversationStatus.QUEUED
    if event.has_sla or not waited:
        await _resume_or_apply(uow, event)


async def on_snoozed(uow: UnitOfWork, event: ConversationSnoozed) -> None:
    conversation = await _conversation(uow, event)
    if clocks := await _lapsed(uow, conversation):
        clocks.snoozed(uow.now())
        _keep(uow, conversation, clocks)


async def on_closed(uow: UnitOfWork, event: ConversationClosed) -> None:
    conversation = await _conversation(uow, event)
    if clocks := await _lapsed(uow, conversation):
        clocks.closed(uow.now())
        _keep(uow, conversation, clocks)


async def on_message_received(uow: UnitOfWork, event: MessageReceived) -> None:
    conversation = await _conversation(uow, event)
    if clocks := await _lapsed(uow, conversation):
        clocks.contact_spoke(uow.now())
        _keep(uow, conversation, clocks)


async def on_message_sent(uow: UnitOfWork, event: MessageSent) -> None:
    conversation = await _conversation(uow, event)
    if clocks := await _lapsed(uow, conversation):
        clocks.member_spoke(uow.now())
        _keep(uow, conversation, clocks)


async def lapse(uow: UnitOfWork, conversation_id: UUID) -> bool:
    """Records what the conversation has missed by now; says whether that was anything. Safe to run twice."""
    statement = select(Conversation).where(Conversation.id == conversation_id).with_for_update(of=Conversation)
    conversation = (await uow.session.execute(statement)).scalar_one_or_none()
    if conversation is None:
        return False
    seq = conversation.last_seq
    await _lapsed(uow, conversation)
    return conversation.last_seq > seq


async def due(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, conversation) of what missed a deadline that nobody has recorded, across organizations."""
    found = await session.execute(
        sa.text("SELECT organization_id, conversation_id FROM engine_due_sla_clocks(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return list(dict.fromkeys((row.organization_id, row.conversation_id) for row in found))


async def clocks_of(session: AsyncSession, conversation_ids: Sequence[UUID]) -> dict[UUID, list[SlaClock]]:
    """The last clock of each target, in the targets' order."""
    statement = (
        select(SlaClock)
        .ext(distinct_on(col(SlaClock.conversation_id), col(SlaClock.target)))
        .where(col(SlaClock.conversation_id).in_(conversation_ids))
        .order_by(col(SlaClock.conversation_id), col(SlaClock.target), col(SlaClock.cycle).desc())
    )
    found: dict[UUID, list[SlaClock]] = {id_: [] for id_ in conversation_ids}
    for clock in (await session.execute(statement)).scalars():
        found[clock.conversation_id].append(clock)
    order = list(SlaTarget)
    for clocks in found.values():
        clocks.sort(key=lambda clock: order.index(clock.target))
    return found


async def _conversation(uow: UnitOfWork, event: ConversationEvent) -> Conversation:
    """The row as the transaction has changed it, at hand already."""
    return await uow.session.get_one(Conversation, (uow.organization_id, event.entity_id))


async def _lapsed(uow: UnitOfWork, conversation: Conversation) -> Clocks | None:
    """Its clocks, with what they have missed recorded; None without targets."""
    if not conversation.has_sla:
        return None
    policy = await uow.session.get_one(SlaPolicy, (uow.organization_id, conversation.id))
    may_move = select(SlaClock).where(
        SlaClock.conversation_id == conversation.id,
        sa.or_(col(SlaClock.target) != SlaTarget.NEXT_RESPONSE, col(SlaClock.met_at).is_(None)),
    )
    clocks = Clocks(policy, list((await uow.session.execute(may_move)).scalars()))
    for clock in clocks.lapse(uow.now()):
        _record_breach(uow, conversation, clock)
    return clocks


def _record_breach(uow: UnitOfWork, conversation: Conversation, clock: SlaClock) -> None:
    if clock.due_at is None:
        raise ValueError("what is never due is never late")
    conversation.is_sla_breached = True
    told = {"target": clock.target.value, "due_at": clock.due_at.isoformat()}
    record(uow, conversation, TimelineKind.SLA_BREACHED, data=told)
    uow.emit(SlaBreached(entity_id=conversation.id, target=clock.target, due_at=clock.due_at))


def _keep(uow: UnitOfWork, conversation: Conversation, clocks: Clocks) -> None:
    for clock in clocks.clocks:
        uow.add(clock)
    conversation.sla_due_at = clocks.due_at


async def _resume_or_apply(uow: UnitOfWork, event: ConversationQueued | ConversationAssigned) -> None:
    """A transfer or requeue changes nothing: the targets are those that were applied first (D22, D25)."""
    conversation = await _conversation(uow, event)
    before = event.changes["status"]["from"]
    if clocks := await _lapsed(uow, conversation):
        clocks.resumed(uow.now())
    elif isinstance(event, ConversationQueued) or before is not ConversationStatus.QUEUED:
        clocks = await _apply(uow, conversation, is_new=before is None)
    if clocks:
        _keep(uow, conversation, clocks)


async def _apply(uow: UnitOfWork, conversation: Conversation, *, is_new: bool) -> Clocks | None:
    """The targets of the first queue that has any, as they stand now."""
    queue = await _queue(uow, conversation)
    targets = (
        (queue.first_response_minutes, queue.next_response_minutes, queue.resolution_minutes) if queue else (None,)
    )
    if queue is None or not any(targets):
        return None
    organization = await organizations.current(uow.session, uow.organization_id)
    policy = SlaPolicy(
        id=conversation.id,
        first_response_minutes=queue.first_response_minutes,
        next_response_minutes=queue.next_response_minutes,
        resolution_minutes=queue.resolution_minutes,
        opening_hours=queue.opening_hours,
        timezone=organization.timezone,
        holiday_region=organization.holiday_region,
        applied_at=uow.now(),
    )
    conversation.has_sla = True
    clocks, unanswered = Clocks(policy), None
    if not is_new:
        policy.responded_at, unanswered = await _spoken(uow, conversation)
    uow.add(policy)
    clocks.begin(uow.now(), began_at=conversation.created_at)
    if unanswered is not None:
        clocks.contact_spoke(unanswered)
    return clocks


async def _queue(uow: UnitOfWork, conversation: Conversation) -> Queue | None:
    if conversation.queue_id is None:
        return None
    return await uow.session.get(Queue, (uow.organization_id, conversation.queue_id))


async def _spoken(uow: UnitOfWork, conversation: Conversation) -> tuple[datetime | None, datetime | None]:
    """When a member first spoke to the contact, and the contact's first message since a member last did."""
    by_member = sa.and_(
        col(Message.conversation_id) == conversation.id,
        col(Message.author_kind) == AuthorKind.MEMBER,
        sa.not_(col(Message.is_note)),
    )
    spoke = sa.select(sa.func.min(Message.created_at), sa.func.max(Message.seq)).select_from(Message).where(by_member)
    responded_at, last_seq = (await uow.session.execute(spoke)).one()
    unanswered = select(sa.func.min(Message.created_at)).where(
        Message.conversation_id == conversation.id,
        Message.direction == MessageDirection.INBOUND,
        col(Message.seq) > (last_seq or 0),
    )
    return responded_at, await uow.session.scalar(unanswered)
