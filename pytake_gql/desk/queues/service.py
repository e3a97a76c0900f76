from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.queues.models import Queue, QueueMember
from pytake_gql.kernel.errors import not_found
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.models import Member


async def get(uow: UnitOfWork, queue_id: UUID, *path: str) -> Queue:
    """The row, locked; or the refusal NOT_FOUND under that path (`id` by default)."""
    statement = select(Queue).where(Queue.id == queue_id).with_for_update()
    found = await uow.session.execute(statement, execution_options={"populate_existing": True})
    queue = found.scalar_one_or_none()
    if queue is None:
        raise not_found(*(path or ("id",)))
    return queue


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Queue]:
    rows = await session.execute(select(Queue).where(col(Queue.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_all(session: AsyncSession, department_id: UUID | None = None) -> Sequence[Queue]:
    """In alphabetical order."""
    statement = select(Queue).order_by(func.lower(Queue.name), col(Queue.id))
    if department_id is not None:
        statement = statement.where(Queue.department_id == department_id)
    return (await session.execute(statement)).scalars().all()


async def queues_of_departments(session: AsyncSession, department_ids: Sequence[UUID]) -> dict[UUID, list[Queue]]:
    """Each department's queues, in alphabetical order."""
    theirs = col(Queue.department_id).in_(department_ids)
    statement = select(Queue).where(theirs).order_by(func.lower(Queue.name), col(Queue.id))
    found: dict[UUID, list[Queue]] = {id_: [] for id_ in department_ids}
    for queue in (await session.execute(statement)).scalars():
        found[queue.department_id].append(queue)
    return found


async def queues_of_members(session: AsyncSession, member_ids: Sequence[UUID]) -> dict[UUID, list[Queue]]:
    """The queues that each member serves, in alphabetical order."""
    statement = (
        select(QueueMember.member_id, Queue)
        .join(Queue, col(Queue.id) == QueueMember.queue_id)
        .where(col(QueueMember.member_id).in_(member_ids))
        .order_by(func.lower(Queue.name), col(Queue.id))
    )
    found: dict[UUID, list[Queue]] = {id_: [] for id_ in member_ids}
    for member_id, queue in await session.execute(statement):
        found[member_id].append(queue)
    return found


async def members_of(session: AsyncSession, queue_ids: Sequence[UUID]) -> dict[UUID, list[Member]]:
    """The members who serve each queue, in alphabetical order."""
    statement = (
        select(QueueMember.queue_id, Member)
        .join(Member, col(Member.id) == QueueMember.member_id)
        .where(col(QueueMember.queue_id).in_(queue_ids), col(Member.removed_at).is_(None))
        .order_by(func.lower(Member.name), col(Member.id))
    )
    found: dict[UUID, list[Member]] = {id_: [] for id_ in queue_ids}
    for queue_id, member in await session.execute(statement):
        found[queue_id].append(member)
    return found


async def queue_ids_of(session: AsyncSession, member_id: UUID) -> set[UUID]:
    """The queues that the member serves."""
    statement = select(QueueMember.queue_id).where(QueueMember.member_id == member_id)
    return set((await session.execute(statement)).scalars())


async def is_member(session: AsyncSession, queue_id: UUID, member_id: UUID) -> bool:
    """Whether the member serves the queue."""
    statement = select(QueueMember.id).where(QueueMember.queue_id == queue_id, QueueMember.member_id == member_id)
    return (await session.execute(statement)).first() is not None
