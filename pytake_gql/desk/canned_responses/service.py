from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, or_, select

from pytake_gql.desk.canned_responses.events import (
    CannedResponseCreated,
    CannedResponseDeleted,
    CannedResponseUpdated,
)
from pytake_gql.desk.canned_responses.models import CannedResponse
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 500
LONGEST_SHORTCUT = 60
LONGEST_TEXT = 10_000


async def create(uow: UnitOfWork, shortcut: str, said: str) -> CannedResponse:
    await one_at_a_time(uow, "canned responses")
    row = CannedResponse(**await _checked(uow, shortcut, said))
    if await uow.session.scalar(select(func.count()).select_from(CannedResponse)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    uow.add(row)
    uow.emit(CannedResponseCreated(entity_id=row.id, changes={"shortcut": {"from": None, "to": row.shortcut}}))
    return row


async def update(uow: UnitOfWork, response_id: UUID, shortcut: str, said: str) -> CannedResponse:
    await one_at_a_time(uow, "canned responses")
    row = await get(uow, response_id)
    changed = change(row, await _checked(uow, shortcut, said, besides=response_id))
    changed.pop("shortcut_key", None)
    if changed:
        uow.emit(CannedResponseUpdated(entity_id=response_id, changes=changed))
    return row


async def delete(uow: UnitOfWork, response_id: UUID) -> CannedResponse:
    row = await get(uow, response_id)
    await uow.session.delete(row)
    uow.emit(CannedResponseDeleted(entity_id=response_id, changes={"shortcut": {"from": row.shortcut, "to": None}}))
    return row


async def get(uow: UnitOfWork, response_id: UUID) -> CannedResponse:
    """The row, locked; or the refusal NOT_FOUND."""
    statement = select(CannedResponse).where(CannedResponse.id == response_id).with_for_update()
    row = (await uow.session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise not_found("id")
    return row


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, CannedResponse]:
    rows = await session.execute(select(CannedResponse).where(col(CannedResponse.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_all(session: AsyncSession, search: str | None = None) -> Sequence[CannedResponse]:
    """By shortcut; of a search, first those whose shortcut begins so, then those that hold it anywhere."""
    key = col(CannedResponse.shortcut_key)
    statement = select(CannedResponse)
    if search and (words := search.strip()):
        begins = key.startswith(words.casefold(), autoescape=True)
        inside = col(CannedResponse.text).icontains(words, autoescape=True)
        holds = or_(key.contains(words.casefold(), autoescape=True), inside)
        statement = statement.where(holds).order_by(begins.desc())
    return (await session.execute(statement.order_by(key, col(CannedResponse.id)))).scalars().all()


async def _checked(uow: UnitOfWork, shortcut: str, said: str, besides: UUID | None = None) -> Changes:
    problems, values = Problems(), dict[str, str]()
    with problems.gather():
        values["shortcut"] = text.line(shortcut, "shortcut", longest=LONGEST_SHORTCUT)
        values["shortcut_key"] = values["shortcut"].casefold()
        if any(character.isspace() for character in values["shortcut"]):
            problems.add(UserErrorCode.INVALID, "A shortcut has no spaces.", "shortcut")
    with problems.gather():
        values["text"] = text.paragraph(said, "text", longest=LONGEST_TEXT) or ""
        if not values["text"]:
            problems.add(UserErrorCode.REQUIRED, "This is required.", "text")
    problems.raise_if_any()
    same = select(CannedResponse.id).where(
        CannedResponse.shortcut_key == values["shortcut_key"], CannedResponse.id != besides
    )
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "Another one has this shortcut.", "shortcut")
    return values
