"""Contacts that stop being what they were: merged into another (D30), or erased."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.contacts import details, phones, service
from pytake_gql.desk.contacts.events import ContactErased, ContactMerged
from pytake_gql.desk.contacts.identities import WHO_IS_WHO
from pytake_gql.desk.contacts.models import Contact, ContactIdentity, ContactRedirect, ContactTag
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def merge(uow: UnitOfWork, keep_id: UUID, merge_id: UUID) -> Contact:
    """Gives all that the one has to the other, whose empty fields it fills; from then on its id leads there.

    Whether the contact is blocked is said by the one kept. Locks in one order: the turn, both contacts by id, then
    what the event's listeners hold.
    """
    await one_at_a_time(uow, WHO_IS_WHO)
    kept, merged = await _both(uow, keep_id, merge_id)
    filled = _filled(kept, merged)
    changes = {name: {"from": getattr(kept, name), "to": value} for name, value in filled.items()}
    told = {**details.told(changes), "merged_id": {"from": None, "to": merged.id}}
    name = filled.get("name", kept.name)
    await uow.announce(ContactMerged(entity_id=kept.id, merged_id=merged.id, name=name, changes=told))
    await uow.session.flush()
    for model in (ContactIdentity, ContactRedirect):
        theirs = sa.update(model).where(col(model.contact_id) == merged.id)
        await uow.session.execute(theirs.values(contact_id=kept.id))
    await service.LINKS.hand_over(uow, merged.id, kept.id)
    await uow.session.execute(sa.delete(Contact).where(col(Contact.id) == merged.id))
    uow.add(ContactRedirect(id=merged.id, contact_id=kept.id))
    change(kept, filled)
    return kept


async def erase(uow: UnitOfWork, contact_id: UUID) -> Contact:
    """Forgets all that is known of the contact, and what was said with it; answers what it was.

    An empty row stays, to which only its conversations lead. The audit log tells that it was erased, and by whom.
    """
    await one_at_a_time(uow, WHO_IS_WHO)
    contact = await service.get(uow, contact_id)
    was = Contact(**contact.model_dump())
    await uow.announce(ContactErased(entity_id=contact.id))
    for model in (ContactIdentity, ContactTag, ContactRedirect):
        await uow.session.execute(sa.delete(model).where(col(model.contact_id) == contact.id))
    gone: Changes = dict.fromkeys(("name", "phone", "phone_key", "email"))
    change(contact, {**gone, "attributes": {}, "erased_at": uow.now()})
    return was


async def _both(uow: UnitOfWork, keep_id: UUID, merge_id: UUID) -> tuple[Contact, Contact]:
    """Both rows, locked; nobody else merges or erases until the commit."""
    problems, ids = Problems(), list[UUID]()
    for asked, field in ((keep_id, "keep_id"), (merge_id, "merge_id")):
        with problems.gather():
            contact = await service.current(uow, asked)
            if contact is None:
                raise not_found(field)
            ids.append(contact.id)
    problems.raise_if_any()
    if ids[0] == ids[1]:
        refuse(UserErrorCode.INVALID, "A contact is not merged with itself.", "merge_id")
    statement = select(Contact).where(col(Contact.id).in_(ids)).order_by(col(Contact.id))
    statement = statement.with_for_update(key_share=True)
    locked = await uow.session.execute(statement, execution_options={"populate_existing": True})
    rows = {row.id: row for row in locked.scalars()}
    return rows[ids[0]], rows[ids[1]]


def _filled(kept: Contact, merged: Contact) -> dict[str, Any]:
    """What the one kept lacks and the other has; a phone that the kept one only claims is vouched for by the other."""
    names = ["name", "email", "opted_out_at"]
    if kept.phone is None:
        names += ["phone", "phone_key"]
    elif merged.phone_key == phones.canonical_key(kept.phone):
        names.append("phone_key")
    filled = {name: value for name in names if getattr(kept, name) is None and (value := getattr(merged, name))}
    attributes = {**merged.attributes, **kept.attributes}
    return filled if attributes == kept.attributes else {**filled, "attributes": attributes}
