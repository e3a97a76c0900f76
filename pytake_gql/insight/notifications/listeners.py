"""Who is told of what: written in the transaction of what happened; of a message, in one statement."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.automation.flow_automations.events import FlowAutomationPaused
from pytake_gql.automation.flow_executions.events import FlowExecutionEnded
from pytake_gql.automation.flow_executions.models import ExecutionStatus
from pytake_gql.desk.channels.events import ChannelFailed
from pytake_gql.desk.conversations.events import ConversationAssigned, MessageReceived
from pytake_gql.desk.conversations.models import (
    Conversation,
    ConversationStatus,
    Message,
    MessageDirection,
    SlaTarget,
)
from pytake_gql.desk.conversations.timeline import actor_id
from pytake_gql.desk.routing.events import QueueUnroutable
from pytake_gql.desk.sla.events import SlaBreached
from pytake_gql.insight.notifications.models import Notification, NotificationKind
from pytake_gql.insight.notifications.service import topic
from pytake_gql.kernel.events import Event
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.principal import Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.models import Member

_NOTHING = dict.fromkeys(("conversation_id", "number", "target", "channel_id", "flow_automation_id", "reason"))
"""What a notification is not about: rows of one transaction are written together, so that all name the same columns."""


async def on_assigned(uow: UnitOfWork, event: ConversationAssigned) -> None:
    """The new assignee, unless they took it themselves.

    From a colleague's hands it is TRANSFERRED. One that comes back to who had it by the contact's own words is told
    by those (REPLIED).
    """
    changed = event.changes.get("assignee_id")
    if changed is not None:
        kind = NotificationKind.TRANSFERRED if changed["from"] else NotificationKind.ASSIGNED
        _tell(uow, changed["to"], kind, event.entity_id, event.number)
        return
    conversation = await _conversation(uow, event)
    if conversation.assignee_id is None or conversation.last_activity_at == uow.now():
        return
    _tell(uow, conversation.assignee_id, NotificationKind.ASSIGNED, event.entity_id, event.number)


async def on_message_received(uow: UnitOfWork, event: MessageReceived) -> None:
    """The assignee; once until they read that, or say something again."""
    conversation = await _conversation(uow, event)
    if conversation.assignee_id is None or conversation.status is ConversationStatus.CLOSED:
        return
    conversation_id, member_id = conversation.id, conversation.assignee_id
    said = (
        select(Message.created_at)
        .where(Message.conversation_id == conversation_id, Message.direction == MessageDirection.OUTBOUND)
        .order_by(col(Message.seq).desc())
        .limit(1)
        .scalar_subquery()
    )
    told = select(Notification.id).where(
        Notification.conversation_id == conversation_id,
        Notification.member_id == member_id,
        Notification.kind == NotificationKind.REPLIED,
        col(Notification.read_at).is_(None),
        sa.or_(said.is_(None), col(Notification.created_at) >= said),
    )
    written = _written(uow, member_id, NotificationKind.REPLIED, conversation_id, conversation.number)
    values = {"organization_id": uow.organization_id, "id": uuid7(), **written}
    columns = sa.inspect(Notification).columns
    once = sa.select(*(sa.literal(value, columns[name].type) for name, value in values.items())).where(~told.exists())
    await uow.session.execute(sa.insert(Notification).from_select(list(values), once))
    uow.wake(topic(member_id))


async def on_sla_breached(uow: UnitOfWork, event: SlaBreached) -> None:
    """The assignee; while nobody has it, the org admins."""
    conversation = await _conversation(uow, event)
    assignee_id = conversation.assignee_id
    for member_id in [assignee_id] if assignee_id is not None else await _admins(uow):
        _tell(uow, member_id, NotificationKind.SLA_BREACHED, conversation.id, conversation.number, target=event.target)


async def on_channel_failed(uow: UnitOfWork, event: ChannelFailed) -> None:
    """The org admins, whoever's act it was that showed it."""
    await _tell_admins(uow, NotificationKind.CHANNEL_FAILED, reason=event.reason, channel_id=event.entity_id)


async def on_automation_paused(uow: UnitOfWork, event: FlowAutomationPaused) -> None:
    """The org admins: nothing is fired until one of them resumes it (S21)."""
    kind = NotificationKind.AUTOMATION_PAUSED
    await _tell_admins(uow, kind, reason=event.reason, flow_automation_id=event.entity_id)


async def on_execution_ended(uow: UnitOfWork, event: FlowExecutionEnded) -> None:
    """The org admins, of one that failed as a whole; what failed of the others is in its history."""
    if event.status is ExecutionStatus.FAILED:
        kind = NotificationKind.EXECUTION_FAILED
        await _tell_admins(uow, kind, reason=event.reason, flow_automation_id=event.automation_id)


async def on_queue_unroutable(uow: UnitOfWork, event: QueueUnroutable) -> None:
    """The org admins, each of one conversation of the queue at a time, and of each conversation once (D14)."""
    await one_at_a_time(uow, f"unroutable {event.entity_id}")
    waiting = select(Conversation).where(
        Conversation.queue_id == event.entity_id, Conversation.status == ConversationStatus.QUEUED
    )
    told = (
        select(Notification.member_id, Notification.conversation_id, col(Notification.read_at).is_(None))
        .join(Conversation, col(Conversation.id) == Notification.conversation_id)
        .where(
            Notification.kind == NotificationKind.UNROUTABLE,
            Conversation.queue_id == event.entity_id,
            Conversation.status == ConversationStatus.QUEUED,
        )
    )
    known = [(member, conversation, is_unread) for member, conversation, is_unread in await uow.session.execute(told)]
    newest = waiting.order_by(col(Conversation.queued_at).desc(), col(Conversation.id).desc()).limit(len(known) + 1)
    rows = (await uow.session.execute(newest)).scalars().all()
    for admin_id in await _admins(uow):
        theirs = {conversation: is_unread for member, conversation, is_unread in known if member == admin_id}
        new = next((row for row in rows if row.id not in theirs), None)
        if new is not None and not any(theirs.values()):
            _tell(uow, admin_id, NotificationKind.UNROUTABLE, new.id, new.number)


async def _conversation(uow: UnitOfWork, event: Event) -> Conversation:
    """The row as the transaction has changed it, at hand already."""
    return await uow.session.get_one(Conversation, (uow.organization_id, event.entity_id))


async def _admins(uow: UnitOfWork) -> Sequence[UUID]:
    statement = select(Member.id).where(
        col(Member.role).in_([Role.ORG_ADMIN, Role.SUPER_ADMIN]),
        col(Member.is_active),
        col(Member.removed_at).is_(None),
    )
    return (await uow.session.execute(statement.order_by(col(Member.id)))).scalars().all()


async def _tell_admins(uow: UnitOfWork, kind: NotificationKind, *, reason: str | None, **about: UUID) -> None:
    for admin_id in await _admins(uow):
        told = {"member_id": admin_id, "kind": kind, "reason": reason, "created_at": uow.now(), **about}
        uow.append(Notification, {**_NOTHING, **told})
        uow.wake(topic(admin_id))


def _tell(
    uow: UnitOfWork,
    member_id: UUID,
    kind: NotificationKind,
    conversation_id: UUID,
    number: int,
    *,
    target: SlaTarget | None = None,
) -> None:
    """Nobody is told of their own acts, or by what they did."""
    if member_id == actor_id(uow) and kind is not NotificationKind.SLA_BREACHED:
        return
    told = _written(uow, member_id, kind, conversation_id, number)
    uow.append(Notification, {**_NOTHING, **told, "target": target})
    uow.wake(topic(member_id))


def _written(
    uow: UnitOfWork, member_id: UUID, kind: NotificationKind, conversation_id: UUID, number: int
) -> dict[str, Any]:
    return {
        "member_id": member_id,
        "kind": kind,
        "conversation_id": conversation_id,
        "number": number,
        "created_at": uow.now(),
    }
