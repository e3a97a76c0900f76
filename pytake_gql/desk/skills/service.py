from collections.abc import Sequence
from functools import cache
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.skills.events import SkillCreated, SkillDeleted, SkillUpdated
from pytake_gql.desk.skills.models import MemberSkill, Skill
from pytake_gql.kernel import text
from pytake_gql.kernel.db import confined
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 500
LOWEST_LEVEL, HIGHEST_LEVEL = 1, 5


async def create(uow: UnitOfWork, name: str) -> Skill:
    await one_at_a_time(uow, "skills")
    skill = Skill(name=await _checked_name(uow, name))
    if await uow.session.scalar(select(func.count()).select_from(Skill)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    uow.add(skill)
    uow.emit(SkillCreated(entity_id=skill.id, changes={"name": {"from": None, "to": skill.name}}))
    return skill


async def update(uow: UnitOfWork, skill_id: UUID, changes: Changes) -> Skill:
    await one_at_a_time(uow, "skills")
    skill = await get(uow, skill_id)
    values = dict(changes)
    if "name" in values:
        values["name"] = await _checked_name(uow, values["name"], besides=skill_id)
    if changed := change(skill, values):
        uow.emit(SkillUpdated(entity_id=skill_id, changes=changed))
    return skill


async def delete(uow: UnitOfWork, skill_id: UUID) -> Skill:
    """Deletes it with the members' levels; the event's listeners refuse while a queue asks for it."""
    skill = await get(uow, skill_id)
    await uow.announce(SkillDeleted(entity_id=skill_id, changes={"name": {"from": skill.name, "to": None}}))
    await uow.session.delete(skill)
    return skill


async def get(uow: UnitOfWork, skill_id: UUID) -> Skill:
    """The row, locked; or the refusal NOT_FOUND."""
    statement = select(Skill).where(Skill.id == skill_id).with_for_update()
    skill = (await uow.session.execute(statement)).scalar_one_or_none()
    if skill is None:
        raise not_found("id")
    return skill


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Skill]:
    rows = await session.execute(select(Skill).where(col(Skill.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_all(session: AsyncSession) -> Sequence[Skill]:
    """In alphabetical order."""
    return (await session.execute(select(Skill).order_by(func.lower(Skill.name), col(Skill.id)))).scalars().all()


async def skills_of(session: AsyncSession, member_ids: Sequence[UUID]) -> dict[UUID, list[tuple[Skill, int]]]:
    """What each member is good at, in alphabetical order, with the level."""
    statement = (
        select(MemberSkill.member_id, Skill, MemberSkill.level)
        .join(Skill, col(Skill.id) == MemberSkill.skill_id)
        .where(col(MemberSkill.member_id).in_(member_ids))
        .order_by(func.lower(Skill.name), col(Skill.id))
    )
    found: dict[UUID, list[tuple[Skill, int]]] = {id_: [] for id_ in member_ids}
    for member_id, skill, level in await session.execute(statement):
        found[member_id].append((skill, level))
    return found


async def levels_of(session: AsyncSession, member_ids: Sequence[UUID]) -> dict[UUID, dict[UUID, int]]:
    """Each member's level by skill: what routing compares."""
    found: dict[UUID, dict[UUID, int]] = {id_: {} for id_ in member_ids}
    for row in await _levels().rows(session, {"member_ids": list(member_ids)}):
        found[row.member_id][row.skill_id] = row.level
    return found


@cache
def _levels() -> Frozen:
    theirs = col(MemberSkill.member_id) == sa.any_(sa.bindparam("member_ids", type_=ARRAY(sa.Uuid())))
    return Frozen(confined(select(MemberSkill.member_id, MemberSkill.skill_id, MemberSkill.level).where(theirs)))


async def require_fit(uow: UnitOfWork, wanted: Sequence[tuple[UUID, int]], level: str, *path: str) -> None:
    """Refuses levels outside 1 to 5 under the name `level`, skills named twice, and those that are not there.

    The path ends with the index and the field; skills that are there stay until the commit.
    """
    ids = [skill_id for skill_id, _ in wanted]
    kept = select(Skill.id).where(col(Skill.id).in_(ids)).order_by(col(Skill.id))
    found = set((await uow.session.execute(kept.with_for_update(read=True, key_share=True))).scalars())
    problems = Problems()
    for index, (skill_id, given) in enumerate(wanted):
        here = (*path, str(index))
        if skill_id not in found:
            problems.add(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", *here, "skill_id")
        elif skill_id in ids[:index]:
            problems.add(UserErrorCode.INVALID, "Each skill is named once.", *here, "skill_id")
        if not LOWEST_LEVEL <= given <= HIGHEST_LEVEL:
            template = "A whole number from {least} to {greatest}."
            problems.add(UserErrorCode.INVALID, template, *here, level, least=LOWEST_LEVEL, greatest=HIGHEST_LEVEL)
    problems.raise_if_any()


async def _checked_name(uow: UnitOfWork, given: str | None, besides: UUID | None = None) -> str:
    name = text.line(given, "name")
    same = select(Skill.id).where(Skill.name == name, Skill.id != besides)
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "Another one has this name.", "name")
    return name
