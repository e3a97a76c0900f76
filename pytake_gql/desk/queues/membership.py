"""Who serves which queue. The rows of `queue_members` are written here and nowhere else."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from sqlmodel import col, delete, select

from pytake_gql.desk.queues.events import QueueMembersChanged
from pytake_gql.desk.queues.models import Queue, QueueMember
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.ports import AUTHORITY_TOPIC
from pytake_gql.kernel.principal import Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.events import MemberInvited, MemberJoined, MemberQueuesSet, MemberRemoved
from pytake_gql.tenancy.members.models import Member

SERVING_ROLES = frozenset({Role.AGENT, Role.ORG_ADMIN})
"""Who may serve a queue (D10)."""


async def require_fit(uow: UnitOfWork, member_ids: Sequence[UUID], *path: str) -> None:
    """Refuses members who are not there, and those who cannot serve; the path ends with the index."""
    statement = (
        select(Member)
        .where(col(Member.id).in_(member_ids), col(Member.removed_at).is_(None))
        .order_by(col(Member.id))
        .with_for_update(read=True, key_share=True)
    )
    found = {member.id: member for member in (await uow.session.execute(statement)).scalars()}
    problems = Problems()
    for index, id_ in enumerate(member_ids):
        member = found.get(id_)
        if member is None:
            problems.add(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", *path, str(index))
        elif not member.is_active or member.role not in SERVING_ROLES:
            problems.add(UserErrorCode.INVALID, "Only active agents and admins serve queues.", *path, str(index))
    problems.raise_if_any()


async def set_members(uow: UnitOfWork, queue_id: UUID, member_ids: Iterable[UUID]) -> Changes:
    """From now on these serve the queue, and no others; tells what changed, for the audit log."""
    statement = select(QueueMember.member_id).where(QueueMember.queue_id == queue_id)
    before, wanted = set((await uow.session.execute(statement)).scalars()), set(member_ids)
    if before == wanted:
        return {}
    await _write(uow, queue_id, added=wanted - before, removed=before - wanted)
    return {"member_ids": {"from": sorted(before), "to": sorted(wanted)}}


async def set_queues(uow: UnitOfWork, member_id: UUID, queue_ids: Iterable[UUID]) -> None:
    """From now on the member serves these queues, and no others."""
    statement = select(QueueMember.queue_id).where(QueueMember.member_id == member_id)
    before, wanted = set((await uow.session.execute(statement)).scalars()), set(queue_ids)
    for queue_id in sorted(before ^ wanted):
        if queue_id in wanted:
            await _write(uow, queue_id, added={member_id})
        else:
            await _write(uow, queue_id, removed={member_id})


async def refuse_unknown_queues(uow: UnitOfWork, event: MemberInvited) -> None:
    """An invitation names queues that are there."""
    await _require_queues(uow, event.queue_ids)


async def give_queues(uow: UnitOfWork, event: MemberJoined) -> None:
    """Those of the invitation that are still there, if the new member's role may serve any."""
    member = await _member(uow, event.entity_id)
    if member.role in SERVING_ROLES:
        found = await uow.session.execute(select(Queue.id).where(col(Queue.id).in_(event.queue_ids)))
        await set_queues(uow, event.entity_id, found.scalars())


async def replace_queues(uow: UnitOfWork, event: MemberQueuesSet) -> None:
    """Refuses queues that are not there, and a member who cannot serve any."""
    await _require_queues(uow, event.queue_ids)
    member = await _member(uow, event.entity_id)
    if event.queue_ids and member.role not in SERVING_ROLES:
        refuse(UserErrorCode.INVALID, "Only agents and admins serve queues.", "queue_ids")
    await set_queues(uow, event.entity_id, event.queue_ids)


async def take_queues(uow: UnitOfWork, event: MemberRemoved) -> None:
    """Who is gone serves nothing."""
    await set_queues(uow, event.entity_id, ())


async def _require_queues(uow: UnitOfWork, queue_ids: Sequence[UUID]) -> None:
    """Refuses ids that lead to no queue, and keeps the others until the commit."""
    statement = select(Queue.id).where(col(Queue.id).in_(queue_ids)).with_for_update(read=True, key_share=True)
    found = set((await uow.session.execute(statement)).scalars())
    problems = Problems()
    for index, id_ in enumerate(queue_ids):
        if id_ not in found:
            problems.add(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", "queue_ids", str(index))
    problems.raise_if_any()


async def _member(uow: UnitOfWork, member_id: UUID) -> Member:
    return (await uow.session.execute(select(Member).where(Member.id == member_id))).scalar_one()


async def _write(
    uow: UnitOfWork, queue_id: UUID, *, added: Collection[UUID] = (), removed: Collection[UUID] = ()
) -> None:
    for member_id in sorted(added):
        row = uow.insert(QueueMember, {"id": uuid7(), "queue_id": queue_id, "member_id": member_id})
        await uow.session.execute(row.on_conflict_do_nothing())
    if removed:
        of_queue = delete(QueueMember).where(col(QueueMember.queue_id) == queue_id)
        await uow.session.execute(of_queue.where(col(QueueMember.member_id).in_(removed)))
    for member_id in (*added, *removed):
        # What they see is another now (D21): their open streams look at once.
        uow.wake(AUTHORITY_TOPIC, str(member_id))
    uow.emit(QueueMembersChanged(entity_id=queue_id, added=frozenset(added), removed=frozenset(removed)))
