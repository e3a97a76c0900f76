"""What becomes of conversations when a member, a queue or a channel goes; each listens inside that transaction."""

from uuid import UUID

from sqlmodel import col, select

from pytake_gql.desk.channels.events import ChannelDeleted
from pytake_gql.desk.conversations import service
from pytake_gql.desk.conversations.locks import lock
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, MoveReason
from pytake_gql.desk.queues.events import QueueDeleted
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import slots
from pytake_gql.tenancy.members.events import MemberDeactivated, MemberRemoved


async def on_member_removed(uow: UnitOfWork, event: MemberRemoved) -> None:
    await _give_up(uow, event.entity_id, event.reassign_to_id)


async def on_member_deactivated(uow: UnitOfWork, event: MemberDeactivated) -> None:
    await _give_up(uow, event.entity_id, None)


async def on_queue_deleted(uow: UnitOfWork, event: QueueDeleted) -> None:
    """Moves what waits there; refuses while any waits and no queue is named."""
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
        await service.enqueue(uow, conversation, event.move_to_queue_id, keeps_place=True)


async def on_channel_deleted(uow: UnitOfWork, event: ChannelDeleted) -> None:
    """Refuses while it has conversations: their history would lose where it took place."""
    found = select(Conversation.id).where(Conversation.channel_id == event.entity_id).limit(1)
    if (await uow.session.execute(found)).first():
        refuse(UserErrorCode.WRONG_STATE, "There are conversations on this channel.", "id")


async def _give_up(uow: UnitOfWork, member_id: UUID, successor_id: UUID | None) -> None:
    """What the member had open goes to the successor, else back to its queue with its place kept (D6, D20)."""
    held = select(Conversation.id).where(
        Conversation.assignee_id == member_id,
        col(Conversation.status).in_([ConversationStatus.ACTIVE, ConversationStatus.SNOOZED]),
    )
    for conversation_id in (await uow.session.execute(held.order_by(col(Conversation.id)))).scalars().all():
        conversation = await lock(uow, conversation_id, besides=successor_id)
        await service.release(uow, conversation)
        taken = await slots.take_slot(uow, successor_id, force=True) if successor_id else None
        if taken is not None:
            service.give(uow, conversation, taken, reason=MoveReason.AGENT_LOST)
        else:
            await service.enqueue(uow, conversation, conversation.queue_id, keeps_place=True)
