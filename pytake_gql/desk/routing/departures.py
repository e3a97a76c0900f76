"""What becomes of conversations when a member, a queue or a channel goes; each listens inside that transaction."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.desk.channels.events import ChannelDeleted
from pytake_gql.desk.conversations import departed, service
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, MoveReason, TimelineKind
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.desk.queues.events import QueueDeleted
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import slots
from pytake_gql.tenancy.members.events import MemberAvailabilityChanged, MemberDeactivated, MemberRemoved

_SERVED = (ConversationStatus.ACTIVE, ConversationStatus.SNOOZED)


async def on_member_removed(uow: UnitOfWork, event: MemberRemoved) -> None:
    """All that the member had goes to the successor, else back to its queue with its place kept (D6, D20)."""
    held = await _held(uow, event.entity_id, ConversationStatus.ACTIVE, ConversationStatus.SNOOZED)
    for conversation in held:
        heir_id = event.reassign_to_id
        if heir_id is not None and (heir := await slots.take_slot(uow, heir_id, force=True)):
            await service.release(uow, conversation)
            service.give(uow, conversation, heir, reason=MoveReason.AGENT_LOST)
        else:
            await departed.send_back(uow, conversation)


async def on_availability_changed(uow: UnitOfWork, event: MemberAvailabilityChanged) -> None:
    if event.is_offline:
        await _send_back_who_waits(uow, event.entity_id)


async def on_member_deactivated(uow: UnitOfWork, event: MemberDeactivated) -> None:
    await _send_back_who_waits(uow, event.entity_id)


async def on_queue_deleted(uow: UnitOfWork, event: QueueDeleted) -> None:
    """Moves what waits there; refuses while any waits and no queue is named. What is served goes on without a queue."""
    waiting = (
        select(Conversation)
        .where(Conversation.queue_id == event.entity_id, Conversation.status == ConversationStatus.QUEUED)
        .order_by(col(Conversation.id))
        .with_for_update()
    )
    for conversation in (await uow.session.execute(waiting)).scalars().all():
        if event.move_to_queue_id is None:
            refuse(
                UserErrorCode.REQUIRED,
                "Conversations wait in this queue: say where they are to go.",
                "move_to_queue_id",
            )
        await service.transfer(uow, conversation, event.move_to_queue_id, keeps_place=True)
    served = (
        select(Conversation)
        .where(Conversation.queue_id == event.entity_id, col(Conversation.status).in_(_SERVED))
        .order_by(col(Conversation.id))
        .with_for_update()
    )
    for conversation in (await uow.session.execute(served)).scalars().all():
        conversation.queue_id = None
        record(uow, conversation, TimelineKind.CHANGED)


async def on_channel_deleted(uow: UnitOfWork, event: ChannelDeleted) -> None:
    """Refuses while it has conversations: their history would lose where it took place."""
    found = select(Conversation.id).where(Conversation.channel_id == event.entity_id).limit(1)
    if (await uow.session.execute(found)).first():
        refuse(UserErrorCode.WRONG_STATE, "There are conversations on this channel.", "id")


async def _send_back_who_waits(uow: UnitOfWork, member_id: UUID) -> None:
    """Whoever waits for the member waits in the queue from now on; the others do once they write again (D20)."""
    for conversation in await _held(uow, member_id, ConversationStatus.ACTIVE):
        if await departed.waits_for_its_agent(uow.session, conversation.id):
            await departed.send_back(uow, conversation)


async def _held(uow: UnitOfWork, member_id: UUID, *statuses: ConversationStatus) -> Sequence[Conversation]:
    """The member's conversations, all locked: a contact who writes now writes before this or after it.

    The member's row is locked already, by whoever says that it goes: always in the order agent, conversation (D11).
    """
    held = (
        select(Conversation)
        .where(Conversation.assignee_id == member_id, col(Conversation.status).in_(statuses))
        .order_by(col(Conversation.id))
        .with_for_update()
    )
    locked = await uow.session.execute(held, execution_options={"populate_existing": True})
    return locked.scalars().all()
