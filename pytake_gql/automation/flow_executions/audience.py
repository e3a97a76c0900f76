"""Who an audience is, at the instant at which it is asked (S25)."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func

from pytake_gql.automation.flow_executions.models import ExecutionRecipient, FlowExecution, RecipientStatus
from pytake_gql.automation.flow_executions.snapshots import Audience
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact, ContactRedirect
from pytake_gql.kernel.unit_of_work import UnitOfWork

_PATIENCE = sa.text("SET LOCAL statement_timeout = '50s'")
"""A million recipients take longer to write than anybody's request may."""
# A UUIDv7 as the application makes them: rows of one moment lie side by side.
_UUID7 = sa.text(
    "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'"
    " || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid"
)


async def count(session: AsyncSession, audience: Audience) -> int:
    """How many contacts it would reach now."""
    statement = sa.select(func.count()).select_from(Contact).where(*await _reachable(session, audience))
    found: int = (await session.execute(statement)).scalar_one()
    return found


async def resolve(uow: UnitOfWork, execution: FlowExecution, audience: Audience) -> None:
    """Makes its recipients, in one statement; those that are there stay as they are."""
    await uow.session.execute(_PATIENCE)
    row: dict[str, Any] = {
        "execution_id": sa.literal(execution.id, sa.Uuid()),
        "status": sa.literal(RecipientStatus.PENDING.value),
        "attempts": sa.literal(0),
        "epoch": sa.literal(0),
        "variables": sa.literal({}, JSONB),
        "due_at": sa.literal(uow.now(), sa.DateTime(timezone=True)),
        "updated_at": sa.literal(uow.now(), sa.DateTime(timezone=True)),
    }
    # An INSERT is not confined by the session: it says the organization itself.
    theirs = sa.select(
        col(Contact.organization_id), _UUID7, col(Contact.id), *(value.label(name) for name, value in row.items())
    ).where(col(Contact.organization_id) == uow.organization_id, *await _reachable(uow.session, audience))
    names = ["organization_id", "id", "contact_id", *row]
    statement = insert(ExecutionRecipient).from_select(names, theirs, include_defaults=False)
    unique = ["organization_id", "execution_id", "contact_id"]
    await uow.session.execute(statement.on_conflict_do_nothing(index_elements=unique))


async def _reachable(session: AsyncSession, audience: Audience) -> list[sa.ColumnElement[bool]]:
    """Never those who opted out, are blocked, or were erased; a contact that was merged is the one kept (D30)."""
    found = await contacts.conditions(session, audience.criteria or contacts.Criteria())
    found += [col(Contact.opted_out_at).is_(None), sa.not_(col(Contact.is_blocked))]
    if audience.contact_ids is not None:
        named: Any = sa.any_(sa.literal(list(audience.contact_ids), ARRAY(sa.Uuid())))
        led = sa.select(col(ContactRedirect.contact_id)).where(col(ContactRedirect.id) == named)
        found.append(sa.or_(col(Contact.id) == named, col(Contact.id).in_(led)))
    return found


async def still_reachable(session: AsyncSession, contact_ids: list[UUID]) -> set[UUID]:
    """Those of them who have not opted out, nor been blocked or erased, since they were resolved."""
    wanted = Audience(contact_ids=tuple(contact_ids))
    found = await session.execute(sa.select(col(Contact.id)).where(*await _reachable(session, wanted)))
    return set(found.scalars())
