"""Where a conversation waits that is meant for a queue which cannot take it (D9)."""

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import select

from pytake_gql.desk.conversations.locks import places
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues import hours
from pytake_gql.desk.queues.models import Queue
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST_HOPS = 5


async def way(uow: UnitOfWork, conversation_id: UUID, queue_id: UUID | None) -> list[UUID]:
    """The queues it passes, the one it was meant for first: it waits in the last.

    Only the first where no queue of its chain takes it; none at all for no queue, or one that is gone. The queues
    stay until the commit.
    """
    passed: list[UUID] = []
    at = queue_id
    while at is not None and at not in passed and len(passed) <= MOST_HOPS:
        queue = await find(uow, at)
        if queue is None:
            break
        passed.append(queue.id)
        if await _takes(uow, queue, conversation_id):
            return passed
        at = queue.overflow_queue_id
    return passed[:1]


async def find(uow: UnitOfWork, queue_id: UUID) -> Queue | None:
    """The queue as it is now; until the commit it is not deleted, but may be changed."""
    statement = select(Queue).where(Queue.id == queue_id).with_for_update(read=True, key_share=True)
    found = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return found.scalar_one_or_none()


async def _takes(uow: UnitOfWork, queue: Queue, conversation_id: UUID) -> bool:
    """Whether it is active, open, and has a place: the count is live, and holds until the commit."""
    if not queue.is_active or not await hours.is_open(uow.session, queue, uow.now()):
        return False
    if queue.max_size is None:
        return True
    await places(uow)
    others = select(Conversation.id).where(
        Conversation.queue_id == queue.id,
        Conversation.status == ConversationStatus.QUEUED,
        Conversation.id != conversation_id,
    )
    counted = sa.select(sa.func.count()).select_from(others.limit(queue.max_size).subquery())
    return int((await uow.session.execute(counted)).scalar_one()) < queue.max_size
