"""What is read of automations: pages, their exceptions, and what of theirs is under way."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.automation.flow_automations import settings as stored
from pytake_gql.automation.flow_automations.exceptions import SpecialDays
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation, ScheduleException
from pytake_gql.automation.flow_automations.schedule import Schedule
from pytake_gql.automation.flow_automations.settings import Settings
from pytake_gql.automation.flow_executions import statuses
from pytake_gql.automation.flow_executions.models import FlowExecution
from pytake_gql.kernel.db import one_of
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page

_NEWEST_FIRST = (Key(FlowAutomation.created_at, is_descending=True), Key(FlowAutomation.id, is_descending=True))


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which automations a list shows; what is None does not matter."""

    search: str | None = None
    statuses: Collection[AutomationStatus] | None = None
    flow_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What of an automation has begun or is to begin."""

    count: int = 0
    held: int = 0
    """Those of them that wait for the one before to end (BUFFER_ONE)."""


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, FlowAutomation]:
    """Deleted ones too: their executions show them."""
    rows = await session.execute(select(FlowAutomation).where(one_of(col(FlowAutomation.id), ids)))
    return {row.id: row for row in rows.scalars()}


async def list_page(session: AsyncSession, criteria: Criteria, wanted: Window) -> Page[FlowAutomation]:
    """The newest first."""
    statement: sa.Select[Any] = sa.select(FlowAutomation).where(*_conditions(criteria))
    return await fetch_page(session, statement, _NEWEST_FIRST, wanted)


async def count(session: AsyncSession, criteria: Criteria) -> int:
    statement = select(func.count()).select_from(FlowAutomation).where(*_conditions(criteria))
    return (await session.execute(statement)).scalar_one()


def _conditions(criteria: Criteria) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [col(FlowAutomation.deleted_at).is_(None)]
    if criteria.search and criteria.search.strip():
        words = criteria.search.strip()
        texts = (col(FlowAutomation.name), col(FlowAutomation.description))
        conditions.append(sa.or_(*(text.icontains(words, autoescape=True) for text in texts)))
    if criteria.statuses is not None:
        conditions.append(col(FlowAutomation.status).in_(criteria.statuses))
    if criteria.flow_id is not None:
        conditions.append(col(FlowAutomation.flow_id) == criteria.flow_id)
    return conditions


async def specials_of(session: AsyncSession, automation_ids: Sequence[UUID]) -> dict[UUID, tuple[SpecialDays, ...]]:
    """Each schedule's exceptions, in order."""
    theirs = one_of(col(ScheduleException.automation_id), automation_ids)
    statement = select(ScheduleException).where(theirs).order_by(col(ScheduleException.starts_on))
    found: dict[UUID, list[SpecialDays]] = {id_: [] for id_ in automation_ids}
    for row in (await session.execute(statement)).scalars():
        special = stored.special_from_json(row.kind, row.starts_on, row.ends_on, row.details)
        found[row.automation_id].append(special)
    return {id_: tuple(specials) for id_, specials in found.items()}


def settings_of(row: FlowAutomation, specials: Mapping[UUID, tuple[SpecialDays, ...]]) -> Settings | None:
    return stored.from_json(row.schedule, specials[row.id]) if row.schedule is not None else None


async def settings_by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Settings]:
    """The schedule of each that has one."""
    rows, specials = await by_ids(session, ids), await specials_of(session, ids)
    return {id_: found for id_, row in rows.items() if (found := settings_of(row, specials)) is not None}


async def under_way(session: AsyncSession, automation_ids: Sequence[UUID]) -> dict[UUID, UnderWay]:
    """Of each automation (S17)."""
    is_held = sa.and_(col(FlowExecution.due_at).is_(None), col(FlowExecution.started_at).is_(None))
    statement = (
        sa.select(col(FlowExecution.automation_id), func.count(), func.count().filter(is_held))
        .where(
            one_of(col(FlowExecution.automation_id), automation_ids),
            col(FlowExecution.status).in_(statuses.UNDER_WAY),
        )
        .group_by(col(FlowExecution.automation_id))
    )
    found = {id_: UnderWay() for id_ in automation_ids}
    return found | {id_: UnderWay(number, held) for id_, number, held in await session.execute(statement)}


async def begun(session: AsyncSession, automation_id: UUID) -> bool:
    """Whether any of its executions runs, or is about to."""
    found = (await under_way(session, [automation_id]))[automation_id]
    return found.count > found.held


def schedule_of(row: FlowAutomation, settings: Settings, holiday_region: str | None) -> Schedule:
    """What the automation really does: from its activation on."""
    return settings.schedule(row.anchored_at or row.created_at, holiday_region, row.active_since)
