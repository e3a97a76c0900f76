"""When routing runs (D16): each thing that may let a waiting conversation go wakes it, after its commit.

Nothing depends on it: a sweep finds every queue in which something waits while somebody is free.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.desk.conversations.events import ConversationMoved
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues import turns
from pytake_gql.desk.queues.events import QueueMembersChanged, QueueUpdated
from pytake_gql.desk.queues.models import QueueMember
from pytake_gql.desk.routing.strategies import returning_cursor
from pytake_gql.kernel.events import Event
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.events import MemberAvailabilityChanged
from pytake_gql.tenancy.members.models import Availability, Member


async def on_conversation_moved(uow: UnitOfWork, event: ConversationMoved) -> None:
    """Something waits in a queue, or somebody's slot is free."""
    freed = event.changes.get("assignee_id", {}).get("from")
    if event.changes["status"]["to"] is ConversationStatus.ACTIVE:
        if freed is not None:
            wake_member(uow, freed)
        return
    conversation = await uow.session.get(Conversation, (uow.organization_id, event.entity_id))
    if conversation is not None and conversation.queue_id is not None and conversation.assignee_id is None:
        wake_queue(uow, conversation.queue_id)
    freed = freed or _put_down_by(conversation)
    if freed is not None:
        wake_member(uow, freed)


async def on_member_changed(uow: UnitOfWork, event: Event) -> None:
    """A capacity, a role or skills became others."""
    wake_member(uow, event.entity_id)


async def on_availability_changed(uow: UnitOfWork, event: MemberAvailabilityChanged) -> None:
    """A member who comes back is at most as far behind as the median of those who stayed (D12)."""
    member = await uow.session.get(Member, (uow.organization_id, event.entity_id))
    if member is None or member.availability is not Availability.ONLINE:
        return
    served = select(QueueMember.queue_id).where(QueueMember.member_id == member.id)
    for queue_id in (await uow.session.execute(served)).scalars().all():
        await _catch_up(uow, queue_id, member.id)
    wake_member(uow, member.id)


async def on_queue_members_changed(uow: UnitOfWork, event: QueueMembersChanged) -> None:
    for member_id in sorted(event.added):
        await _catch_up(uow, event.entity_id, member_id)
    wake_queue(uow, event.entity_id)


async def on_queue_updated(uow: UnitOfWork, event: QueueUpdated) -> None:
    wake_queue(uow, event.entity_id)


def wake_queue(uow: UnitOfWork, queue_id: UUID) -> None:
    uow.enqueue(Job("route_queue", (str(uow.organization_id), str(queue_id))))


def wake_member(uow: UnitOfWork, member_id: UUID) -> None:
    uow.enqueue(Job("route_member", (str(uow.organization_id), str(member_id))))


async def _catch_up(uow: UnitOfWork, queue_id: UUID, member_id: UUID) -> None:
    await uow.session.flush()
    places = (
        select(QueueMember.member_id, QueueMember.last_assigned_at, Member.availability)
        .join(Member, col(Member.id) == QueueMember.member_id)
        .where(QueueMember.queue_id == queue_id)
    )
    rows = (await uow.session.execute(places)).all()
    own: datetime | None = next((row.last_assigned_at for row in rows if row.member_id == member_id), None)
    online = [
        row.last_assigned_at for row in rows if row.member_id != member_id and row.availability is Availability.ONLINE
    ]
    cursor = returning_cursor(own, online)
    if cursor != own:
        await turns.remember(uow, queue_id, member_id, cursor)


def _put_down_by(conversation: Any) -> UUID | None:
    """A closed or snoozed conversation keeps its assignee; the slot is free all the same."""
    if conversation is not None and conversation.status in {ConversationStatus.CLOSED, ConversationStatus.SNOOZED}:
        freed: UUID | None = conversation.assignee_id
        return freed
    return None
