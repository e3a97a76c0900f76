from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, false
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.departments import service as departments
from pytake_gql.desk.departments.events import DepartmentDeleted
from pytake_gql.desk.queues import details, membership, requirements
from pytake_gql.desk.queues.events import QueueCreated, QueueDeleted, QueueUpdated
from pytake_gql.desk.queues.models import Queue, QueueMember, QueueSkill
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.desk.skills.models import Skill
from pytake_gql.kernel import text
from pytake_gql.kernel.db import confined
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.models import Member
from pytake_gql.tenancy.organizations import calendar
from pytake_gql.tenancy.organizations import service as organizations

MOST = 500
_SUBJECT = "queues"
"""Queues of an organization are set up one at a time: names, slugs and overflows concern them all."""


async def create(uow: UnitOfWork, given: Changes) -> Queue:
    """`given` is as for `update`; department and name are among it, and what is absent gets its default."""
    await one_at_a_time(uow, _SUBJECT)
    queue = Queue(department_id=given["department_id"], name=given["name"], slug="", created_at=uow.now())
    values = await _checked(uow, given, queue)
    member_ids, wanted = values.pop("member_ids", ()), values.pop("required_skills", ())
    if await uow.session.scalar(select(func.count()).select_from(Queue)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    values.setdefault("slug", await _free_slug(uow, values["name"]))
    change(queue, values)
    uow.add(queue)
    await uow.session.flush()
    changes = {"name": {"from": None, "to": queue.name}} | await membership.set_members(uow, queue.id, member_ids)
    changes |= await requirements.set_skills(uow, queue.id, wanted)
    uow.emit(QueueCreated(entity_id=queue.id, changes=changes))
    return queue


async def update(uow: UnitOfWork, queue_id: UUID, changes: Changes) -> Queue:
    await one_at_a_time(uow, _SUBJECT)
    queue = await get(uow, queue_id)
    values = await _checked(uow, changes, queue)
    member_ids, wanted = values.pop("member_ids", None), values.pop("required_skills", None)
    changed = change(queue, values)
    if wanted is not None:
        changed |= await requirements.set_skills(uow, queue_id, wanted)
    if member_ids is not None:
        changed |= await membership.set_members(uow, queue_id, member_ids)
    if changed:
        uow.emit(QueueUpdated(entity_id=queue_id, changes=changed))
    return queue


async def delete(uow: UnitOfWork, queue_id: UUID, move_to_queue_id: UUID | None) -> Queue:
    """Deletes it; no queue overflows into it any more, and the event's listeners move what waits in it, or refuse."""
    await one_at_a_time(uow, _SUBJECT)
    queue = await get(uow, queue_id)
    if move_to_queue_id == queue_id:
        refuse(UserErrorCode.INVALID, "This is the queue itself.", "move_to_queue_id")
    if move_to_queue_id is not None:
        await get(uow, move_to_queue_id, "move_to_queue_id")
    overflowing = select(Queue).where(Queue.overflow_queue_id == queue_id).with_for_update()
    for other in (await uow.session.execute(overflowing)).scalars():
        uow.emit(QueueUpdated(entity_id=other.id, changes=change(other, {"overflow_queue_id": None})))
    await uow.session.flush()
    changes = {"name": {"from": queue.name, "to": None}}
    await uow.announce(QueueDeleted(entity_id=queue_id, changes=changes, move_to_queue_id=move_to_queue_id))
    await uow.session.flush()
    await uow.session.delete(queue)
    return queue


async def refuse_while_queues_stand(uow: UnitOfWork, event: DepartmentDeleted) -> None:
    """A department with queues is not deleted."""
    if (await queues_of_departments(uow.session, [event.entity_id]))[event.entity_id]:
        refuse(UserErrorCode.WRONG_STATE, "Delete or move its queues first.", "id")


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


async def requirements_of(session: AsyncSession, queue_ids: Sequence[UUID]) -> dict[UUID, list[Requirement]]:
    """The skills that each queue asks for: mandatory ones first, then in alphabetical order."""
    found: dict[UUID, list[Requirement]] = {id_: [] for id_ in queue_ids}
    for row in await _requirements().rows(session, {"queue_ids": list(queue_ids)}):
        found[row.queue_id].append(Requirement(row.skill_id, row.name, row.min_level, row.is_mandatory))
    return found


_REQUIRED: tuple[Any, ...] = (
    QueueSkill.queue_id,
    QueueSkill.skill_id,
    Skill.name,
    QueueSkill.min_level,
    QueueSkill.is_mandatory,
)


@cache
def _requirements() -> Frozen:
    return Frozen(
        confined(
            sa.select(*_REQUIRED)
            .join(Skill, col(Skill.id) == QueueSkill.skill_id)
            .where(col(QueueSkill.queue_id) == sa.any_(sa.bindparam("queue_ids", type_=ARRAY(sa.Uuid()))))
            .order_by(col(QueueSkill.is_mandatory).desc(), func.lower(Skill.name), col(Skill.id))
        )
    )


async def queue_ids_of(session: AsyncSession, member_id: UUID) -> set[UUID]:
    """The queues that the member serves."""
    statement = select(QueueMember.queue_id).where(QueueMember.member_id == member_id)
    return set((await session.execute(statement)).scalars())


async def is_member(session: AsyncSession, queue_id: UUID, member_id: UUID) -> bool:
    """Whether the member serves the queue."""
    statement = select(QueueMember.id).where(QueueMember.queue_id == queue_id, QueueMember.member_id == member_id)
    return (await session.execute(statement)).first() is not None


def serving(queue_id: UUID | None) -> ColumnElement[bool]:
    """The condition on members that they serve the queue; nobody serves None."""
    if queue_id is None:
        return false()
    return col(Member.id).in_(select(QueueMember.member_id).where(QueueMember.queue_id == queue_id))


async def _checked(uow: UnitOfWork, changes: Changes, queue: Queue) -> Changes:
    """The values as they are stored, or a refusal that names all that is wrong."""
    values, problems = details.checked(changes)
    if "department_id" in values:
        with problems.gather():
            await departments.get(uow, values["department_id"], "department_id")
    if values.get("overflow_queue_id") is not None:
        with problems.gather():
            await _check_overflow(uow, queue.id, values["overflow_queue_id"])
    if "member_ids" in values:
        with problems.gather():
            await membership.require_fit(uow, values["member_ids"], "member_ids")
    if "required_skills" in values:
        with problems.gather():
            await requirements.require_fit(uow, values["required_skills"])
    problems.raise_if_any()
    if "opening_hours" in values:
        await _require_opening(uow, values["opening_hours"])
    await _refuse_taken(uow, values, queue.id)
    return values


async def _check_overflow(uow: UnitOfWork, queue_id: UUID, overflow_queue_id: UUID) -> None:
    """It is there, and the chain that begins with it never comes back (D9)."""
    rows = (await uow.session.execute(select(Queue.id, Queue.overflow_queue_id))).all()
    if overflow_queue_id not in {row.id for row in rows}:
        raise not_found("overflow_queue_id")
    overflows = {row.id: row.overflow_queue_id for row in rows if row.overflow_queue_id}
    if details.leads_back(queue_id, overflow_queue_id, overflows):
        refuse(UserErrorCode.INVALID, "Conversations would come back to this queue.", "overflow_queue_id")


async def _require_opening(uow: UnitOfWork, hours: list[dict[str, Any]]) -> None:
    """The calendar opens at some time (D23)."""
    organization = await organizations.current(uow.session, uow.organization_id)
    calendar.require_opening(organizations.calendar_of(organization, hours), uow.now(), "opening_hours")


async def _refuse_taken(uow: UnitOfWork, values: Changes, besides: UUID) -> None:
    """Names all that another queue has already."""
    problems = Problems()
    for name, template in (("name", "Another one has this name."), ("slug", "Another one has this slug.")):
        if name in values:
            same = select(Queue.id).where(getattr(Queue, name) == values[name], Queue.id != besides)
            if (await uow.session.execute(same)).first():
                problems.add(UserErrorCode.TAKEN, template, name)
    problems.raise_if_any()


async def _free_slug(uow: UnitOfWork, name: str) -> str:
    """What the name suggests, with the first number that makes it unique."""
    slug = text.slug_from(name, longest=55) or "queue"
    taken = set((await uow.session.execute(select(Queue.slug))).scalars())
    candidates = (slug if number == 1 else f"{slug}-{number}" for number in range(1, MOST + 2))
    return next(candidate for candidate in candidates if candidate not in taken)
