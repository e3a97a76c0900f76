import unicodedata
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.tags.events import TagCreated, TagDeleted, TagUpdated
from pytake_gql.desk.tags.models import Tag
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 500
LONGEST_NAME = 60
_SUBJECT = "tags"


def name_key(name: str) -> str:
    """Equal for names that differ in case only."""
    return unicodedata.normalize("NFC", name).casefold()


async def create(uow: UnitOfWork, *, name: str, color: str | None = None) -> Tag:
    await one_at_a_time(uow, _SUBJECT)
    values = await _checked(uow, {"name": name, **({"color": color} if color is not None else {})})
    if await uow.session.scalar(select(func.count()).select_from(Tag)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    tag = Tag(**values)
    uow.add(tag)
    uow.emit(TagCreated(entity_id=tag.id, changes={"name": {"from": None, "to": tag.name}}))
    return tag


async def update(uow: UnitOfWork, tag_id: UUID, changes: Changes) -> Tag:
    await one_at_a_time(uow, _SUBJECT)
    tag = await get(uow, tag_id)
    values = await _checked(uow, changes, besides=tag_id)
    key = values.pop("name_key")
    if changed := change(tag, values):
        tag.name_key = key
        uow.emit(TagUpdated(entity_id=tag_id, changes=changed))
    return tag


async def delete(uow: UnitOfWork, tag_id: UUID) -> Tag:
    """Deletes it, and takes it off everything that had it."""
    tag = await get(uow, tag_id)
    await uow.announce(TagDeleted(entity_id=tag_id, changes={"name": {"from": tag.name, "to": None}}))
    await uow.session.delete(tag)
    return tag


async def get(uow: UnitOfWork, tag_id: UUID) -> Tag:
    """The row, locked; or the refusal NOT_FOUND."""
    tag = (await uow.session.execute(select(Tag).where(Tag.id == tag_id).with_for_update())).scalar_one_or_none()
    if tag is None:
        raise not_found("id")
    return tag


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Tag]:
    rows = await session.execute(select(Tag).where(col(Tag.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_all(session: AsyncSession) -> Sequence[Tag]:
    """In alphabetical order."""
    return (await session.execute(select(Tag).order_by(col(Tag.name_key)))).scalars().all()


async def named(uow: UnitOfWork, names: Iterable[str]) -> dict[str, Tag]:
    """The tags of these names by `name_key`, made where there are none; fewer once the organization has too many.

    The names must be fit to be names. Nobody else makes tags until the commit.
    """
    wanted: dict[str, str] = {}
    for name in names:
        wanted.setdefault(name_key(name), name)
    if not wanted:
        return {}
    await one_at_a_time(uow, _SUBJECT)
    known = {tag.name_key: tag for tag in await list_all(uow.session)}
    missing = [key for key in wanted if key not in known][: MOST - len(known)]
    for key in missing:
        tag = known[key] = Tag(name=wanted[key], name_key=key)
        uow.add(tag)
        uow.emit(TagCreated(entity_id=tag.id, changes={"name": {"from": None, "to": tag.name}}))
    return {key: known[key] for key in wanted if key in known}


async def require(uow: UnitOfWork, tag_ids: Sequence[UUID] | None, *path: str) -> None:
    """Refuses null, and ids that lead to no tag, under the path and the index; keeps the others until the commit."""
    if tag_ids is None:
        refuse(UserErrorCode.REQUIRED, "This is required.", *path)
    kept = select(Tag.id).where(col(Tag.id).in_(tag_ids)).order_by(col(Tag.id))
    found = set((await uow.session.execute(kept.with_for_update(read=True, key_share=True))).scalars())
    problems = Problems()
    for index, tag_id in enumerate(tag_ids):
        if tag_id not in found:
            problems.add(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", *path, str(index))
    problems.raise_if_any()


async def _checked(uow: UnitOfWork, changes: Changes, besides: UUID | None = None) -> Changes:
    """The values as they are stored, or a refusal that names all that is wrong."""
    problems, values = Problems(), dict(changes)
    with problems.gather():
        values["name"] = text.line(changes["name"], "name", longest=LONGEST_NAME)
        values["name_key"] = name_key(values["name"])
        await _refuse_taken(uow, values["name_key"], besides)
    if "color" in changes:
        with problems.gather():
            values["color"] = text.color(changes["color"] or "", "color")
    problems.raise_if_any()
    return values


async def _refuse_taken(uow: UnitOfWork, key: str, besides: UUID | None) -> None:
    same = select(Tag.id).where(Tag.name_key == key, Tag.id != besides)
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "Another one has this name.", "name")
