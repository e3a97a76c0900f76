"""Which skills a queue asks for. The rows of `queue_skills` are written here and nowhere else."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlmodel import col, delete, select

from pytake_gql.desk.queues.models import QueueSkill
from pytake_gql.desk.skills import service as skills
from pytake_gql.desk.skills.events import SkillDeleted
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 20


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """A skill that a queue is to ask for."""

    skill_id: UUID
    min_level: int
    is_mandatory: bool


@dataclass(frozen=True, slots=True)
class Requirement:
    """A skill that a queue asks for, at `min_level` of 1 to 5; mandatory, or else preferred."""

    skill_id: UUID
    name: str
    min_level: int
    is_mandatory: bool


async def require_fit(uow: UnitOfWork, wanted: Sequence[Wanted]) -> None:
    """Refuses too many, levels that are none, and skills that are not there or named twice."""
    if len(wanted) > MOST:
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", "required_skills", most=MOST)
    levels = [(item.skill_id, item.min_level) for item in wanted]
    await skills.require_fit(uow, levels, "min_level", "required_skills")


async def set_skills(uow: UnitOfWork, queue_id: UUID, wanted: Iterable[Wanted]) -> Changes:
    """From now on the queue asks for these, and no others; tells what changed, for the audit log."""
    statement = select(QueueSkill).where(QueueSkill.queue_id == queue_id)
    rows = (await uow.session.execute(statement)).scalars()
    before = {Wanted(row.skill_id, row.min_level, row.is_mandatory) for row in rows}
    now = set(wanted)
    if before == now:
        return {}
    outdated = [item.skill_id for item in before - now]
    of_queue = delete(QueueSkill).where(col(QueueSkill.queue_id) == queue_id)
    await uow.session.execute(of_queue.where(col(QueueSkill.skill_id).in_(outdated)))
    for item in sorted(now - before):
        uow.add(QueueSkill(queue_id=queue_id, **asdict(item)))
    return {"required_skills": {"from": _told(before), "to": _told(now)}}


async def refuse_while_required(uow: UnitOfWork, event: SkillDeleted) -> None:
    """A skill that a queue asks for is not deleted: nobody is routed by accident to who lacks it."""
    required = select(QueueSkill.id).where(QueueSkill.skill_id == event.entity_id)
    if (await uow.session.execute(required)).first():
        refuse(UserErrorCode.WRONG_STATE, "Queues ask for this skill: change them first.", "id")


def _told(wanted: Iterable[Wanted]) -> list[dict[str, Any]]:
    return [asdict(item) for item in sorted(wanted)]
