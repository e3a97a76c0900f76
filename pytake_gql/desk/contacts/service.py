from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.contacts import details
from pytake_gql.desk.contacts.events import ContactCreated, ContactUpdated
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.kernel import search
from pytake_gql.kernel.errors import UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations.models import Organization

DEFAULT_COUNTRY = "BR"
_NEWEST_FIRST = (Key(Contact.created_at, is_descending=True), Key(Contact.id, is_descending=True))


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which contacts a list shows; what is None does not matter."""

    search: str | None = None
    is_blocked: bool | None = None
    opted_out: bool | None = None


async def create(
    uow: UnitOfWork,
    *,
    name: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    attributes: Any = None,
) -> Contact:
    """Attributes are JSON from outside, checked here."""
    given = {"name": name, "phone": phone, "email": email, "attributes": {} if attributes is None else attributes}
    values = details.checked(given, await _country(uow))
    contact = Contact(**values, created_at=uow.now())
    uow.add(contact)
    known = {key: {"from": None, "to": value} for key, value in values.items() if value}
    uow.emit(ContactCreated(entity_id=contact.id, changes=known))
    return contact


async def update(uow: UnitOfWork, contact_id: UUID, changes: Changes) -> Contact:
    """`opted_out` stands for the instant: true keeps the first one, false forgets it."""
    contact = await get(uow, contact_id)
    values = details.checked(changes, await _country(uow))
    for name in {"is_blocked", "opted_out"} & values.keys():
        if values[name] is None:
            refuse(UserErrorCode.REQUIRED, "This is required.", name)
    if "opted_out" in values:
        values["opted_out_at"] = (contact.opted_out_at or uow.now()) if values.pop("opted_out") else None
    _change(uow, contact, values)
    return contact


async def identify(
    uow: UnitOfWork,
    channel_id: UUID,
    external_id: str,
    *,
    name: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> tuple[ContactIdentity, Contact]:
    """Whoever this is on that channel, made when it is the first time; what is given is taken over.

    However many ask at once, one contact and one identity come out (G6, D26). Attributes are added to those
    that the contact has.
    """
    given = {"name": name, "email": email, "phone": phone, "attributes": attributes}
    values = details.checked({key: value for key, value in given.items() if value}, await _country(uow))
    found = await _identified(uow.session, channel_id, external_id)
    if found is None:
        await _make_identified(uow, channel_id, external_id, values)
        found = await _identified(uow.session, channel_id, external_id)
    if found is None:
        raise RuntimeError("an identity was neither made nor found")
    identity, contact = found
    if "attributes" in values:
        values["attributes"] = {**contact.attributes, **values["attributes"]}
    if any(getattr(contact, key) != value for key, value in values.items()):
        contact = await get(uow, contact.id)
        if "attributes" in values:
            values["attributes"] = {**contact.attributes, **values["attributes"]}
        _change(uow, contact, values)
    if values.get("name"):
        identity.display_name = values["name"]
    return identity, contact


async def get(uow: UnitOfWork, contact_id: UUID, *path: str) -> Contact:
    """The row, locked; or the refusal NOT_FOUND under that path (`id` by default)."""
    statement = select(Contact).where(Contact.id == contact_id).with_for_update()
    found = await uow.session.execute(statement, execution_options={"populate_existing": True})
    contact = found.scalar_one_or_none()
    if contact is None:
        raise not_found(*(path or ("id",)))
    return contact


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Contact]:
    rows = await session.execute(select(Contact).where(col(Contact.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def identities_of(session: AsyncSession, contact_ids: Sequence[UUID]) -> dict[UUID, list[ContactIdentity]]:
    """Each contact's identities, the oldest first."""
    theirs = col(ContactIdentity.contact_id).in_(contact_ids)
    statement = select(ContactIdentity).where(theirs).order_by(col(ContactIdentity.id))
    found: dict[UUID, list[ContactIdentity]] = {id_: [] for id_ in contact_ids}
    for identity in (await session.execute(statement)).scalars():
        found[identity.contact_id].append(identity)
    return found


async def list_page(session: AsyncSession, criteria: Criteria, wanted: Window) -> Page[Contact]:
    """The newest first."""
    statement: sa.Select[Any] = sa.select(Contact).where(*_conditions(criteria))
    return await fetch_page(session, statement, _NEWEST_FIRST, wanted)


async def count(session: AsyncSession, criteria: Criteria) -> int:
    statement = select(func.count()).select_from(Contact).where(*_conditions(criteria))
    return (await session.execute(statement)).scalar_one()


def _conditions(criteria: Criteria) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if criteria.is_blocked is not None:
        conditions.append(col(Contact.is_blocked).is_(criteria.is_blocked))
    if criteria.opted_out is not None:
        conditions.append(col(Contact.opted_out_at).is_not(None).is_(criteria.opted_out))
    if criteria.search and criteria.search.strip():
        found = func.engine_found_contacts(search.words_of_somebody(criteria.search)).table_valued("id")
        conditions.append(col(Contact.id).in_(sa.select(found.render_derived().c.id)))
    return conditions


async def _identified(
    session: AsyncSession, channel_id: UUID, external_id: str
) -> tuple[ContactIdentity, Contact] | None:
    statement = (
        select(ContactIdentity, Contact)
        .join(Contact, col(Contact.id) == ContactIdentity.contact_id)
        .where(ContactIdentity.channel_id == channel_id, ContactIdentity.external_id == external_id)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None


async def _make_identified(uow: UnitOfWork, channel_id: UUID, external_id: str, known: Changes) -> None:
    """Identity and contact in one statement, so that who comes second leaves no contact behind."""
    contact_id = uuid7()
    identity = {
        "id": uuid7(),
        "contact_id": contact_id,
        "channel_id": channel_id,
        "external_id": external_id,
        "display_name": known.get("name"),
        "created_at": uow.now(),
    }
    unique = ["organization_id", "channel_id", "external_id"]
    made = (
        uow.insert(ContactIdentity, identity)
        .on_conflict_do_nothing(index_elements=unique)
        .returning(col(ContactIdentity.organization_id), col(ContactIdentity.contact_id))
        .cte("made")
    )
    contact = {
        "is_blocked": False,
        "created_at": uow.now(),
        "name": known.get("name"),
        "phone": known.get("phone"),
        "email": known.get("email"),
        "attributes": known.get("attributes", {}),
    }
    columns = sa.inspect(Contact).columns
    values = [sa.literal(value, columns[key].type).label(key) for key, value in contact.items()]
    statement = insert(Contact).from_select(
        ["organization_id", "id", *contact], sa.select(made.c.organization_id, made.c.contact_id, *values)
    )
    if (await uow.session.execute(statement.returning(col(Contact.id)))).first():
        changes = {key: {"from": None, "to": value} for key, value in known.items()}
        uow.emit(ContactCreated(entity_id=contact_id, changes=changes))


def _change(uow: UnitOfWork, contact: Contact, values: Changes) -> None:
    changed = change(contact, values)
    if changed:
        uow.emit(ContactUpdated(entity_id=contact.id, changes=changed))


async def _country(uow: UnitOfWork) -> str:
    """The country that a phone without a country code is read in."""
    statement = select(Organization.holiday_region).where(Organization.id == uow.organization_id)
    region = (await uow.session.execute(statement)).scalar_one_or_none()
    return region.partition("-")[0] if region else DEFAULT_COUNTRY
