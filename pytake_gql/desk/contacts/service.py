from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.attributes import service as custom_fields
from pytake_gql.desk.attributes import values as custom
from pytake_gql.desk.contacts import details, identities, phones
from pytake_gql.desk.contacts.events import ContactCreated, ContactUpdated
from pytake_gql.desk.contacts.models import Contact, ContactIdentity, ContactRedirect, ContactTag
from pytake_gql.desk.tags import service as tags
from pytake_gql.desk.tags.links import Links
from pytake_gql.desk.tags.models import Tag
from pytake_gql.kernel import search
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations.models import Organization

DEFAULT_COUNTRY = "BR"
_FEW = 500
LINKS = Links(ContactTag, "contact_id")
_NEWEST_FIRST = (Key(Contact.created_at, is_descending=True), Key(Contact.id, is_descending=True))


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which contacts a list shows; what is None does not matter."""

    search: str | None = None
    tag_ids: Sequence[UUID] | None = None
    """With all of these."""
    attributes: Mapping[str, Any] | None = None
    """Equal in each of these."""
    is_blocked: bool | None = None
    opted_out: bool | None = None


async def create(
    uow: UnitOfWork,
    *,
    name: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    attributes: Any = None,
    tag_ids: Sequence[UUID] = (),
) -> Contact:
    """Attributes are JSON from outside, checked here. TAKEN where another contact has the phone."""
    if phone:
        await one_at_a_time(uow, identities.WHO_IS_WHO)
    given = {"name": name, "phone": phone, "email": email, "attributes": {} if attributes is None else attributes}
    values = await _checked(uow, {**given, "tag_ids": tag_ids})
    contact = Contact(**values, created_at=uow.now())
    uow.add(contact)
    known = {key: {"from": None, "to": value} for key, value in values.items() if value}
    known |= await LINKS.replace(uow, contact.id, tag_ids)
    uow.emit(ContactCreated(entity_id=contact.id, changes=details.told(known)))
    return contact


async def update(uow: UnitOfWork, contact_id: UUID, changes: Changes) -> Contact:
    """`opted_out` stands for the instant: true keeps the first one, false forgets it."""
    if changes.get("phone"):
        await one_at_a_time(uow, identities.WHO_IS_WHO)
    contact = await get(uow, contact_id)
    values = await _checked(uow, changes, contact)
    for name in {"is_blocked", "opted_out"} & values.keys():
        if values[name] is None:
            refuse(UserErrorCode.REQUIRED, "This is required.", name)
    if "opted_out" in values:
        values["opted_out_at"] = (contact.opted_out_at or uow.now()) if values.pop("opted_out") else None
    changed = await LINKS.replace(uow, contact.id, changes["tag_ids"]) if "tag_ids" in changes else {}
    _change(uow, contact, values, changed)
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
    proven_phone: str | None = None,
) -> tuple[ContactIdentity, Contact]:
    """Whoever this is on that channel, made when it is the first time; what is given is taken over.

    However many ask at once, one contact and one identity come out (G6, D26). Attributes are added to those
    that the contact has, as far as they are what the organization's custom fields say.

    `proven_phone` is one that the channel's provider vouches for, in E.164 or as WhatsApp writes it: the first time,
    the contact is the one that has this number (D30). Then what is given only fills what is not known yet. A `phone`
    that somebody claims finds nobody. Call it with one before any row is locked.
    """
    given = {"name": name, "email": email, "phone": phone, "attributes": attributes}
    values = details.checked({key: value for key, value in given.items() if value}, await country(uow), {})
    if "attributes" in values:
        values["attributes"] = custom.fitting(values["attributes"], await custom_fields.definitions(uow.session))
    identity, contact = await identities.find_or_make(uow, channel_id, external_id, values, proven_phone)
    return identity, await _learn(uow, identity, contact, values, is_proven=proven_phone is not None)


async def _learn(
    uow: UnitOfWork, identity: ContactIdentity, contact: Contact, values: Changes, *, is_proven: bool
) -> Contact:
    """Takes over what the contact, or its provider, tells; a phone that somebody vouches for is not claimed anew."""
    if values.get("name"):
        identity.display_name = values["name"]
    if is_proven:
        values = {key: value for key, value in values.items() if key == "attributes" or not getattr(contact, key)}
    elif contact.phone_key is not None:
        values = {key: value for key, value in values.items() if key != "phone"}
    if any(getattr(contact, key) != value for key, value in _merged(contact, values).items()):
        contact = await get(uow, contact.id)
        _change(uow, contact, _merged(contact, values))
    return contact


def _merged(contact: Contact, values: Changes) -> Changes:
    """With the attributes that the contact has besides."""
    if "attributes" not in values:
        return values
    return {**values, "attributes": {**contact.attributes, **values["attributes"]}}


async def get(uow: UnitOfWork, contact_id: UUID, *path: str) -> Contact:
    """The row, locked, or that of the contact it was merged into; or the refusal NOT_FOUND under that path.

    The path is `id` by default. It is locked FOR NO KEY UPDATE: whoever has one of its conversations may change that
    row twice, and then its foreign keys are checked under a lock that a plain FOR UPDATE would hold up.
    """
    at: UUID | None = contact_id
    while at is not None:
        statement = select(Contact).where(Contact.id == at).with_for_update(key_share=True)
        found = await uow.session.execute(statement, execution_options={"populate_existing": True})
        contact = found.scalar_one_or_none()
        if contact is not None and contact.erased_at is None:
            return contact
        led = select(ContactRedirect.contact_id).where(ContactRedirect.id == at)
        at = (await uow.session.execute(led)).scalar_one_or_none()
    raise not_found(*(path or ("id",)))


async def current(uow: UnitOfWork, contact_id: UUID) -> Contact | None:
    """The contact as it is now, or the one it was merged into; None once it is erased. Not locked."""
    led = select(ContactRedirect.contact_id).where(ContactRedirect.id == contact_id)
    is_asked = sa.or_(col(Contact.id) == contact_id, col(Contact.id).in_(led))
    found = await uow.session.execute(
        select(Contact).where(is_asked, col(Contact.erased_at).is_(None)),
        execution_options={"populate_existing": True},
    )
    return found.scalar_one_or_none()


async def hold(uow: UnitOfWork, contact_id: UUID) -> bool:
    """Whether the contact is there; if so, it is neither merged nor erased until the commit."""
    statement = select(Contact.id).where(Contact.id == contact_id, col(Contact.erased_at).is_(None))
    held = await uow.session.execute(statement.with_for_update(read=True))
    return held.first() is not None


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Contact]:
    """By the ids that are asked for: one that was merged leads to the contact kept (D30). Erased ones are there."""
    found = await _rows(session, ids)
    if missing := [id_ for id_ in ids if id_ not in found]:
        statement = select(ContactRedirect).where(col(ContactRedirect.id).in_(missing))
        redirects = (await session.execute(statement)).scalars().all()
        kept = await _rows(session, [redirect.contact_id for redirect in redirects])
        found |= {redirect.id: kept[redirect.contact_id] for redirect in redirects}
    return found


async def _rows(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Contact]:
    rows = await session.execute(select(Contact).where(col(Contact.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def tags_of(session: AsyncSession, contact_ids: Sequence[UUID]) -> dict[UUID, list[Tag]]:
    """Each contact's tags, in alphabetical order."""
    return await LINKS.tags_of(session, contact_ids)


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
    statement: sa.Select[Any] = sa.select(Contact).where(*await conditions(session, criteria))
    return await fetch_page(session, statement, _NEWEST_FIRST, wanted)


async def count(session: AsyncSession, criteria: Criteria) -> int:
    statement = select(func.count()).select_from(Contact).where(*await conditions(session, criteria))
    return (await session.execute(statement)).scalar_one()


async def conditions(session: AsyncSession, criteria: Criteria) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [col(Contact.erased_at).is_(None)]
    conditions += LINKS.with_all(col(Contact.id), criteria.tag_ids or ())
    if criteria.attributes:
        conditions.append(await _equal_in(session, criteria.attributes))
    if criteria.is_blocked is not None:
        conditions.append(col(Contact.is_blocked).is_(criteria.is_blocked))
    if criteria.opted_out is not None:
        conditions.append(col(Contact.opted_out_at).is_not(None).is_(criteria.opted_out))
    if criteria.search and criteria.search.strip():
        found = func.engine_found_contacts(search.words_of_somebody(criteria.search)).table_valued("id")
        conditions.append(col(Contact.id).in_(sa.select(found.render_derived().c.id)))
    return conditions


async def _checked(uow: UnitOfWork, changes: Changes, contact: Contact | None = None) -> Changes:
    """The values of the row, or a refusal that names all that is wrong."""
    problems, values = Problems(), Changes()
    given = {name: value for name, value in changes.items() if name != "tag_ids"}
    with problems.gather():
        known = await custom_fields.definitions(uow.session) if given.get("attributes") else {}
        values = details.checked(given, await country(uow), known)
    if "phone" in values:
        with problems.gather():
            values["phone_key"] = await _free_key(uow, values["phone"], contact)
    if "tag_ids" in changes:
        with problems.gather():
            await tags.require(uow, changes["tag_ids"], "tag_ids")
    problems.raise_if_any()
    return values


async def _free_key(uow: UnitOfWork, phone: str | None, contact: Contact | None) -> str | None:
    """The phone's key, which no other contact has; refuses it as TAKEN."""
    if phone is None:
        return None
    key = phones.canonical_key(phone)
    owner = (await uow.session.execute(select(Contact.id).where(Contact.phone_key == key))).scalar_one_or_none()
    if owner is not None and (contact is None or owner != contact.id):
        refuse(UserErrorCode.TAKEN, "Another contact has this phone.", "phone")
    return key


async def _equal_in(session: AsyncSession, attributes: Mapping[str, Any]) -> Any:
    """The criterion that these attributes are equal: by the index where few have them, else while the list is walked.

    Row-level security keeps the index from a plain containment, and a list of which many rows fit is short to walk.
    """
    wanted = sa.literal(attributes, JSONB)
    asked = sa.select(sa.func.engine_contacts_with(wanted, _FEW + 1).column_valued("id"))
    found = (await session.execute(asked)).scalars().all()
    return col(Contact.id).in_(found) if len(found) <= _FEW else col(Contact.attributes).op("@>")(wanted)


def _change(uow: UnitOfWork, contact: Contact, values: Changes, others: Changes | None = None) -> None:
    """`others` is what changed beside the row."""
    changed = change(contact, values) | (others or {})
    if changed:
        uow.emit(ContactUpdated(entity_id=contact.id, changes=details.told(changed)))


async def country(uow: UnitOfWork) -> str:
    """The country that a phone without a country code is read in."""
    statement = select(Organization.holiday_region).where(Organization.id == uow.organization_id)
    region = (await uow.session.execute(statement)).scalar_one_or_none()
    return region.partition("-")[0] if region else DEFAULT_COUNTRY
