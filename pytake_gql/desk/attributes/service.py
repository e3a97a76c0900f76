from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.attributes.events import (
    ContactAttributeCreated,
    ContactAttributeDeleted,
    ContactAttributeUpdated,
)
from pytake_gql.desk.attributes.models import ContactAttribute, ContactAttributeKind
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 100
"""As many as a contact has attributes."""
MOST_CHOICES = 100
LONGEST_KEY = 60
_SUBJECT = "contact attributes"


async def create(
    uow: UnitOfWork, *, key: str, name: str, kind: ContactAttributeKind, choices: Sequence[str] | None
) -> ContactAttribute:
    await one_at_a_time(uow, _SUBJECT)
    problems = Problems()
    with problems.gather():
        key = text.line(key, "key", longest=LONGEST_KEY)
        if (await uow.session.execute(select(ContactAttribute.id).where(ContactAttribute.key == key))).first():
            refuse(UserErrorCode.TAKEN, "Another one has this key.", "key")
    values: Changes = {}
    with problems.gather():
        values = _checked(kind, name, choices)
    problems.raise_if_any()
    if await uow.session.scalar(select(func.count()).select_from(ContactAttribute)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    row = ContactAttribute(key=key, kind=kind, **values)
    uow.add(row)
    told = {"key": {"from": None, "to": key}, "kind": {"from": None, "to": kind}}
    uow.emit(ContactAttributeCreated(entity_id=row.id, changes=told))
    return row


async def update(
    uow: UnitOfWork,
    attribute_id: UUID,
    *,
    key: str,
    name: str,
    kind: ContactAttributeKind,
    choices: Sequence[str] | None,
) -> ContactAttribute:
    """Changes name and choices, which without any given stay; key and kind stay as they were made."""
    row = await get(uow, attribute_id)
    problems = Problems()
    if key.strip() != row.key:
        problems.add(UserErrorCode.INVALID, "This stays as it was made.", "key")
    if kind is not row.kind:
        problems.add(UserErrorCode.INVALID, "This stays as it was made.", "kind")
    values: Changes = {}
    with problems.gather():
        values = _checked(row.kind, name, row.choices if choices is None else choices)
    problems.raise_if_any()
    if changed := change(row, values):
        uow.emit(ContactAttributeUpdated(entity_id=row.id, changes=changed))
    return row


async def delete(uow: UnitOfWork, attribute_id: UUID) -> ContactAttribute:
    """Deletes the definition; contacts keep their values."""
    row = await get(uow, attribute_id)
    await uow.announce(ContactAttributeDeleted(entity_id=row.id, changes={"key": {"from": row.key, "to": None}}))
    await uow.session.delete(row)
    return row


async def get(uow: UnitOfWork, attribute_id: UUID) -> ContactAttribute:
    """The row, locked; or the refusal NOT_FOUND."""
    statement = select(ContactAttribute).where(ContactAttribute.id == attribute_id).with_for_update()
    row = (await uow.session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise not_found("id")
    return row


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, ContactAttribute]:
    rows = await session.execute(select(ContactAttribute).where(col(ContactAttribute.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_all(session: AsyncSession) -> Sequence[ContactAttribute]:
    """In alphabetical order."""
    statement = select(ContactAttribute).order_by(func.lower(ContactAttribute.name), col(ContactAttribute.id))
    return (await session.execute(statement)).scalars().all()


async def definitions(session: AsyncSession) -> dict[str, ContactAttribute]:
    """All of them by their keys: what values are held against."""
    return {row.key: row for row in await list_all(session)}


def _checked(kind: ContactAttributeKind, name: str, choices: Sequence[str] | None) -> Changes:
    problems, values = Problems(), Changes()
    with problems.gather():
        values["name"] = text.line(name, "name")
    with problems.gather():
        values["choices"] = _choices(kind, choices or [])
    problems.raise_if_any()
    return values


def _choices(kind: ContactAttributeKind, given: Sequence[str]) -> list[str]:
    if kind is not ContactAttributeKind.CHOICE:
        if given:
            refuse(UserErrorCode.INVALID, "Only a CHOICE has choices.", "choices")
        return []
    if not given:
        refuse(UserErrorCode.REQUIRED, "A CHOICE needs choices.", "choices")
    if len(given) > MOST_CHOICES:
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", "choices", most=MOST_CHOICES)
    problems, choices = Problems(), list[str]()
    for index, choice in enumerate(given):
        with problems.gather():
            choices.append(text.line(choice, "choices", str(index)))
            if choices[-1] in choices[:-1]:
                refuse(UserErrorCode.INVALID, "Each choice is named once.", "choices", str(index))
    problems.raise_if_any()
    return choices
