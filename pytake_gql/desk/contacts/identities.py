"""Who somebody is on a channel: found, or made together with the contact. `service.identify` is the verb."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.contacts import details, phones
from pytake_gql.desk.contacts.events import ContactCreated, ContactUpdated
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork

WHO_IS_WHO = "contacts"
"""The turn of who says which contact a phone or an id leads to: taken before any row is locked."""


async def find_or_make(
    uow: UnitOfWork, channel_id: UUID, external_id: str, known: Changes, proven_phone: str | None
) -> tuple[ContactIdentity, Contact]:
    """Whoever this is; the first time, the contact that has the proven phone, or a new one."""
    found = await find(uow.session, channel_id, external_id)
    if found is None and proven_phone is not None:
        return await make_by_phone(uow, channel_id, external_id, f"+{proven_phone.removeprefix('+')}", known)
    if found is None:
        await make(uow, channel_id, external_id, known)
        found = await find(uow.session, channel_id, external_id)
    if found is None:
        raise RuntimeError("an identity was neither made nor found")
    return found


async def find(session: AsyncSession, channel_id: UUID, external_id: str) -> tuple[ContactIdentity, Contact] | None:
    statement = (
        select(ContactIdentity, Contact)
        .join(Contact, col(Contact.id) == ContactIdentity.contact_id)
        .where(ContactIdentity.channel_id == channel_id, ContactIdentity.external_id == external_id)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row[0], row[1]) if row else None


async def make(uow: UnitOfWork, channel_id: UUID, external_id: str, known: Changes) -> None:
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
        uow.emit(ContactCreated(entity_id=contact_id, changes=details.told(changes)))


async def reach_by_phone(uow: UnitOfWork, contact: Contact, channel_id: UUID) -> bool:
    """Gives the contact an identity on a channel whose ids are phones; False where somebody else has it."""
    if contact.phone is None:
        return False
    external_id = contact.phone.removeprefix("+")
    values = {
        "id": uuid7(),
        "contact_id": contact.id,
        "channel_id": channel_id,
        "external_id": external_id,
        "created_at": uow.now(),
    }
    unique = ["organization_id", "channel_id", "external_id"]
    await uow.session.execute(uow.insert(ContactIdentity, values).on_conflict_do_nothing(index_elements=unique))
    found = await find(uow.session, channel_id, external_id)
    return found is not None and found[1].id == contact.id


async def make_by_phone(
    uow: UnitOfWork, channel_id: UUID, external_id: str, phone: str, known: Changes
) -> tuple[ContactIdentity, Contact]:
    """Gives the new identity to the contact that has this number, or makes both."""
    await one_at_a_time(uow, WHO_IS_WHO)
    if found := await find(uow.session, channel_id, external_id):
        return found
    key = phones.canonical_key(phone)
    theirs = select(Contact).where(Contact.phone_key == key).with_for_update()
    contact = (await uow.session.execute(theirs)).scalar_one_or_none()
    is_new = contact is None
    if contact is None:
        values = {**known, "phone": phone, "phone_key": key}
        contact = Contact(**values, created_at=uow.now())
        uow.add(contact)
        changes = {name: {"from": None, "to": value} for name, value in values.items()}
        uow.emit(ContactCreated(entity_id=contact.id, changes=details.told(changes)))
        await uow.session.flush()
    identity = ContactIdentity(
        contact_id=contact.id,
        channel_id=channel_id,
        external_id=external_id,
        display_name=known.get("name"),
        created_at=uow.now(),
    )
    uow.add(identity)
    await uow.session.flush()
    if not is_new:
        # At once: its listeners lock the contact's conversations, before the one that this is about is.
        changes = {"identities": {"from": False, "to": True}}
        await uow.announce(ContactUpdated(entity_id=contact.id, changes=changes))
    return identity, contact
