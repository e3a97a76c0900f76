"""Who is how good at what. The rows of `member_skills` are written here and nowhere else."""

from uuid import UUID

from sqlmodel import col, delete

from pytake_gql.desk.skills import service
from pytake_gql.desk.skills.events import MemberSkillsChanged
from pytake_gql.desk.skills.models import MemberSkill
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.events import MemberSkillsSet


async def replace_skills(uow: UnitOfWork, event: MemberSkillsSet) -> None:
    """From now on the member has these levels, and no others."""
    if len(event.skills) > service.MOST:
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", "skills", most=service.MOST)
    await service.require_fit(uow, event.skills, "level", "skills")
    before = (await service.levels_of(uow.session, [event.entity_id]))[event.entity_id]
    wanted = dict(event.skills)
    if before == wanted:
        return
    outdated = [skill_id for skill_id, level in before.items() if wanted.get(skill_id) != level]
    theirs = delete(MemberSkill).where(col(MemberSkill.member_id) == event.entity_id)
    await uow.session.execute(theirs.where(col(MemberSkill.skill_id).in_(outdated)))
    for skill_id in sorted(wanted):
        if before.get(skill_id) != wanted[skill_id]:
            uow.add(MemberSkill(member_id=event.entity_id, skill_id=skill_id, level=wanted[skill_id]))
    told = {"from": _told(before), "to": _told(wanted)}
    uow.emit(MemberSkillsChanged(entity_id=event.entity_id, changes={"skills": told}))


def _told(levels: dict[UUID, int]) -> list[dict[str, UUID | int]]:
    return [{"skill_id": skill_id, "level": levels[skill_id]} for skill_id in sorted(levels)]
