from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from pytake_gql.insight.audit.models import ActorKind, AuditEntry
from pytake_gql.kernel.events import Event
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork

_NEWEST_FIRST = (Key(AuditEntry.at, is_descending=True), Key(AuditEntry.id, is_descending=True))


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which entries a list shows: [since, until); what is None does not matter."""

    entity_type: str | None = None
    entity_id: UUID | None = None
    actor_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


async def record(uow: UnitOfWork, event: Event) -> None:
    """Writes the entry in the transaction of what it tells (G23)."""
    if not event.is_audited:
        return
    kind, name = _actor(uow)
    member_id = uow.principal.member_id if isinstance(uow.principal, MemberPrincipal) else None
    entry = {
        "at": uow.now(),
        "actor_kind": kind,
        "actor_id": member_id,
        "actor_name": name,
        "action": event.action(),
        "entity_type": event.entity,
        "entity_id": event.entity_id,
        "changes": event.changes,
        "ip_address": uow.ip_address,
    }
    uow.append(AuditEntry, entry)


async def list_page(session: AsyncSession, criteria: Criteria, wanted: Window) -> Page[AuditEntry]:
    """The newest first."""
    return await fetch_page(session, _matching(sa.select(AuditEntry), criteria), _NEWEST_FIRST, wanted)


async def count(session: AsyncSession, criteria: Criteria) -> int:
    statement = _matching(sa.select(sa.func.count()).select_from(AuditEntry), criteria)
    found: int = (await session.execute(statement)).scalar_one()
    return found


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, AuditEntry]:
    rows = await session.execute(sa.select(AuditEntry).where(col(AuditEntry.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


def _matching(statement: sa.Select[Any], criteria: Criteria) -> sa.Select[Any]:
    equal = (
        (col(AuditEntry.entity_type), criteria.entity_type),
        (col(AuditEntry.entity_id), criteria.entity_id),
        (col(AuditEntry.actor_id), criteria.actor_id),
    )
    statement = statement.where(*(column == value for column, value in equal if value is not None))
    if criteria.since is not None:
        statement = statement.where(col(AuditEntry.at) >= criteria.since)
    if criteria.until is not None:
        statement = statement.where(col(AuditEntry.at) < criteria.until)
    return statement


def _actor(uow: UnitOfWork) -> tuple[ActorKind, str]:
    """A super admin is told as such wherever it is not at home."""
    by = uow.principal
    if isinstance(by, MemberPrincipal):
        is_at_home = uow.organization_id == by.home_organization_id
        return (ActorKind.MEMBER if is_at_home else ActorKind.SUPER_ADMIN), by.name
    return ActorKind.SYSTEM, "PyTake"
