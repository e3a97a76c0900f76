"""Contacts of another system, many at once: a few statements, however many rows there are."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlmodel import col, select

from pytake_gql.desk.attributes import service as custom_fields
from pytake_gql.desk.contacts import service, sheets
from pytake_gql.desk.contacts.events import ContactsImported
from pytake_gql.desk.contacts.identities import WHO_IS_WHO
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.contacts.sheets import Draft, Rejected
from pytake_gql.desk.tags import service as tags
from pytake_gql.kernel.db import unnested
from pytake_gql.kernel.errors import Problem, UserErrorCode
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Imported:
    """How many contacts are new, how many were known before, and which lines were left out."""

    created: int
    updated: int
    rejected: Sequence[Rejected]


async def import_csv(uow: UnitOfWork, table: str) -> Imported:
    """Makes the contacts of a table, or updates those that have the phone or the e-mail address of their line.

    What a line says replaces what was known, tags and attributes are added, and an empty cell changes nothing. A tag
    that there is not yet is made.
    """
    definitions = await custom_fields.definitions(uow.session)
    country = await service.country(uow)
    # It takes its time, and others are served meanwhile.
    sheet = await asyncio.to_thread(sheets.read, table, country, definitions)
    await one_at_a_time(uow, WHO_IS_WHO)
    rejected = list(sheet.rejected)
    known, new = await _match(uow, sheet.drafts, rejected)
    hung = await _known_tags(uow, known, new, rejected)
    await _update(uow, known)
    await _insert(uow, new)
    await service.LINKS.add(
        uow, [(id_, hung[tags.name_key(name)]) for id_, d in (known | new).items() for name in d.tags]
    )
    counts = {"created": len(new), "updated": len(known), "rejected": len(rejected)}
    told = {name: {"from": None, "to": count} for name, count in counts.items()}
    uow.emit(ContactsImported(entity_id=uow.organization_id, changes=told, updated_ids=list(known)))
    return Imported(len(new), len(known), sorted(rejected, key=lambda one: one.line))


async def _match(
    uow: UnitOfWork, drafts: Sequence[Draft], rejected: list[Rejected]
) -> tuple[dict[UUID, Draft], dict[UUID, Draft]]:
    """By contact: the drafts of those that are known, and of new ones. Others are rejected."""
    by_phone = await _ids_by(uow, Contact.phone_key, [draft.phone_key for draft in drafts if draft.phone_key])
    by_email = await _ids_by(uow, Contact.email, [draft.values.get("email") for draft in drafts])
    known, new = dict[UUID, Draft](), dict[UUID, Draft]()
    for draft in drafts:
        of_phone = by_phone.get(draft.phone_key, [])
        of_email = by_email.get(draft.values.get("email"), [])
        found = of_phone or of_email
        problem = _objection(of_phone, of_email, known)
        if problem is not None:
            rejected.append(Rejected(draft.line, [problem]))
        elif found:
            known[found[0]] = draft
        else:
            new[uuid7()] = draft
    return known, new


def _objection(of_phone: Sequence[UUID], of_email: Sequence[UUID], known: dict[UUID, Draft]) -> Problem | None:
    """Why it cannot be told which contact the draft is of, or None."""
    found = of_phone or of_email
    if of_phone and of_email and of_phone[0] not in of_email:
        template = "The phone is one contact's and the e-mail address another's: merge them first."
        return Problem(UserErrorCode.CONFLICT, template)
    if len(found) > 1:
        return Problem(UserErrorCode.CONFLICT, "Several contacts have this e-mail address.")
    if found and found[0] in known:
        values = {"line": known[found[0]].line}
        return Problem(UserErrorCode.TAKEN, "Line {line} is the same contact.", values=values)
    return None


async def _ids_by(uow: UnitOfWork, column: Any, values: Sequence[str | None]) -> dict[str | None, list[UUID]]:
    """The contacts that have one of these values, the oldest first."""
    wanted = sa.any_(sa.cast([value for value in values if value], ARRAY(sa.Text)))
    statement = select(column, Contact.id).where(col(column) == wanted).order_by(col(Contact.id))
    found: dict[str | None, list[UUID]] = {}
    for value, contact_id in await uow.session.execute(statement):
        found.setdefault(value, []).append(contact_id)
    return found


async def _known_tags(
    uow: UnitOfWork, known: dict[UUID, Draft], new: dict[UUID, Draft], rejected: list[Rejected]
) -> dict[str, UUID]:
    """The tags of the drafts by key; drafts whose tags would be too many are taken out, and rejected."""
    names = [name for draft in (*known.values(), *new.values()) for name in draft.tags]
    found = await tags.named(uow, names)
    for drafts in (known, new):
        for id_, draft in list(drafts.items()):
            if any(tags.name_key(name) not in found for name in draft.tags):
                template = "There are {most} tags already: no more are made."
                problem = Problem(UserErrorCode.LIMIT_REACHED, template, ("tags",), {"most": tags.MOST})
                rejected.append(Rejected(draft.line, [problem]))
                del drafts[id_]
    return {key: tag.id for key, tag in found.items()}


async def _update(uow: UnitOfWork, drafts: dict[UUID, Draft]) -> None:
    if not drafts:
        return
    given = _rows(drafts)
    values = {name: sa.func.coalesce(given.c[name], getattr(Contact, name)) for name in _TEXTS}
    merged = col(Contact.attributes).op("||")(sa.cast(given.c.attributes, JSONB))
    statement = sa.update(Contact).where(col(Contact.id) == given.c.id).values(**values, attributes=merged)
    await uow.session.execute(statement.execution_options(synchronize_session=False))


async def _insert(uow: UnitOfWork, drafts: dict[UUID, Draft]) -> None:
    if not drafts:
        return
    given = _rows(drafts)
    columns = {
        "organization_id": sa.literal(uow.organization_id, sa.Uuid()),
        "id": given.c.id,
        **{name: given.c[name] for name in _TEXTS},
        "attributes": sa.cast(given.c.attributes, JSONB),
        "is_blocked": sa.false(),
        "created_at": sa.literal(uow.now(), sa.DateTime(timezone=True)),
    }
    rows = sa.select(*(value.label(name) for name, value in columns.items()))
    await uow.session.execute(insert(Contact).from_select(list(columns), rows))


_TEXTS = ("name", "phone", "phone_key", "email")


def _rows(drafts: dict[UUID, Draft]) -> Any:
    """The drafts as a table; what one does not say is null."""
    said = [{**draft.values, "phone_key": draft.phone_key} for draft in drafts.values()]
    texts = {name: (sa.Text(), [values.get(name) for values in said]) for name in _TEXTS}
    attributes = [orjson.dumps(values.get("attributes", {})).decode() for values in said]
    return unnested(id=(sa.Uuid(), list(drafts)), **texts, attributes=(sa.Text(), attributes))
