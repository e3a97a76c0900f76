"""Fires what is due, once, with as many ticks as one likes and no leader among them (E1-E3).

A tick finds what is due by the database's clock, in the order of an index, with a share for each organization. Each
organization's are locked, fired and aimed at their next instant in one transaction; what another tick has locked is
left to it. A nominal instant that was fired is never fired again, whoever tries (S19).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.automation.flow_automations import claims, firings, queries
from pytake_gql.automation.flow_automations.claims import Aimed
from pytake_gql.automation.flow_automations.due import Due, due
from pytake_gql.automation.flow_automations.models import AutomationStatus
from pytake_gql.automation.flow_automations.queries import UnderWay
from pytake_gql.automation.flow_automations.schedule import Schedule, jitter_at
from pytake_gql.automation.flow_automations.settings import OverlapPolicy, Settings
from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.automation.flow_executions.models import ExecutionStatus
from pytake_gql.automation.flow_executions.service import Firing
from pytake_gql.automation.flows import versions
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations
from pytake_gql.tenancy.organizations.models import Organization

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Rows of one transaction."""
SIDE_BY_SIDE = 2
"""Transactions of one tick."""
LOOKED_AT = 1000
"""Rows that one look finds; when it finds as many, each organization gets its share of them (E3)."""
SHARE = 50
"""What each gets at least, however many they are; at most what one transaction takes."""
LONGEST_PAUSE = timedelta(milliseconds=500)
_AFTER_FAILURE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Ticked:
    """How many automations were fired, and how long nothing will be due."""

    fired: int
    pause: timedelta


async def keep_ticking(ports: Ports) -> None:
    """Until cancelled; sleeps until the earliest next, at most half a second (E1)."""
    while True:
        try:
            pause = (await tick(ports)).pause
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("a tick failed, the next one is in %.0f s: %s", _AFTER_FAILURE.total_seconds(), error)
            pause = _AFTER_FAILURE
        await asyncio.sleep(pause.total_seconds())


async def tick(ports: Ports, now: datetime | None = None) -> Ticked:
    """`now` is the database's unless it is given."""
    async with ports.database.session(None) as session:
        now = now or (await session.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
        found = await _look(session, now)
        following = (await session.execute(sa.text("SELECT engine_next_firing()"))).scalar_one()
    batches = [(of, ids[start : start + AT_ONCE]) for of, ids in found.items() for start in range(0, len(ids), AT_ONCE)]
    fired = await _fire_all(ports, batches, now)
    if fired or following is None:
        return Ticked(fired, timedelta() if fired else LONGEST_PAUSE)
    return Ticked(0, min(max(following - now, timedelta(milliseconds=20)), LONGEST_PAUSE))


async def _look(session: AsyncSession, now: datetime) -> Mapping[UUID, Sequence[UUID]]:
    """What is due of each organization, as much as one tick fires."""
    statement = "SELECT organization_id, automation_id FROM engine_due_automations(:now, :at_most)"
    rows = (await session.execute(sa.text(statement), {"now": now, "at_most": LOOKED_AT})).all()
    if is_crowded := len(rows) == LOOKED_AT:
        statement = "SELECT organization_id, automation_id FROM engine_due_automations_fairly(:now, :of_each)"
        rows = (await session.execute(sa.text(statement), {"now": now, "of_each": AT_ONCE})).all()
    found: dict[UUID, list[UUID]] = {}
    for organization_id, automation_id in rows:
        found.setdefault(organization_id, []).append(automation_id)
    share = max(SHARE, LOOKED_AT // len(found)) if is_crowded else LOOKED_AT
    return {organization_id: ids[:share] for organization_id, ids in found.items()}


async def _fire_all(ports: Ports, batches: Sequence[tuple[UUID, Sequence[UUID]]], now: datetime) -> int:
    """In their order, a few at a time: what one works out, another has written meanwhile."""
    waiting = iter(batches)

    async def take() -> int:
        return sum([await _fire(ports, organization_id, ids, now) for organization_id, ids in waiting])

    return sum(await asyncio.gather(*(take() for _ in range(SIDE_BY_SIDE))))


async def _fire(ports: Ports, organization_id: UUID, ids: Sequence[UUID], now: datetime) -> int:
    try:
        async with ports.units.of_system(organization_id) as uow:
            return await fire(uow, ids, now)
    except DBAPIError as error:
        # Such as a deadlock with whoever ends an execution that is to be cancelled: it is due again at once.
        log.warning("automations were not fired, and are due again: %s", error)
        return 0


async def fire(uow: UnitOfWork, ids: Sequence[UUID], now: datetime) -> int:
    """Those of them that are still due and nobody else has locked."""
    rows = await claims.claim(uow, ids, now)
    if not rows:
        return 0
    claimed = [row.id for row in rows]
    organization = await organizations.current(uow.session, uow.organization_id)
    specials = await queries.specials_of(uow.session, claimed)
    published = await versions.published(uow.session, {row.flow_id for row in rows})
    busy = await queries.under_way(uow.session, claimed)
    wanted: list[Firing] = []
    aimed: list[Aimed] = []
    for row in rows:
        settings, version, at = queries.settings_of(row, specials), published.get(row.flow_id), Aimed.at_nothing(row)
        aimed.append(at)
        if settings is not None and version is not None:
            wanted += await _fired(uow, row, at, settings, version, organization, busy[row.id], now)
    await executions.create_all(uow, wanted)
    await claims.aim(uow, aimed)
    return len(rows)


async def _fired(
    uow: UnitOfWork,
    row: Any,
    at: Aimed,
    settings: Settings,
    version: FlowVersion,
    organization: Organization,
    busy: UnderWay,
    now: datetime,
) -> list[Firing]:
    """What becomes of all that is due of one automation; it is aimed at what follows."""
    schedule = queries.schedule_of(row, settings, organization.holiday_region)
    found = due(schedule, row.id, _since(row, schedule), now, settings.catch_up, settings.catch_up_seconds)
    made = [firings.scheduled(row, version, schedule, firing, now) for firing in found.run]
    if made and busy.count and settings.overlap is OverlapPolicy.CANCEL_OTHER:
        reason = translate("The next one began.", organization.locale)
        await executions.cancel_of(uow, row.id, reason)
    late = translate("Nobody was there to run it in time.", organization.locale)
    missed = [firings.scheduled(row, version, schedule, firing, now) for firing in found.missed]
    _note(at, found, now)
    return [
        *(replace(firing, status=ExecutionStatus.MISSED, reason=late) for firing in missed),
        *_overlapping(made, settings.overlap, busy, translate("The one before still ran.", organization.locale)),
    ]


def _overlapping(made: Sequence[Firing], policy: OverlapPolicy, busy: UnderWay, reason: str) -> list[Firing]:
    """What each becomes while others are under way, those before it in the list among them (S17)."""
    if policy is OverlapPolicy.ALLOW or not made:
        return list(made)

    def left_out(firing: Firing) -> Firing:
        return replace(firing, status=ExecutionStatus.SKIPPED, reason=reason)

    if policy is OverlapPolicy.CANCEL_OTHER:
        return [*map(left_out, made[:-1]), made[-1]]
    running, held, found = busy.count > busy.held, bool(busy.held), list[Firing]()
    for firing in made:
        if not running and not held:
            found.append(firing)
            running = True
        elif policy is OverlapPolicy.BUFFER_ONE and not held:
            found.append(replace(firing, is_held=True))
            held = True
        else:
            found.append(left_out(firing))
    return found


def _since(row: Any, schedule: Schedule) -> datetime:
    """When the next firing was due before its jitter."""
    if row.next_nominal_at is None:
        raise LookupError("what is claimed is due")
    firing_at: datetime = row.next_firing_at
    return firing_at - jitter_at(schedule, row.id, row.next_nominal_at)


def _note(at: Aimed, found: Due, now: datetime) -> None:
    dealt_with = [*found.run, *found.missed]
    if dealt_with:
        at.last_nominal_at = max(firing.occurrence.nominal.at for firing in dealt_with)
    if found.run:
        at.last_fired_at = now
    if found.following is None:
        at.status, at.updated_at = AutomationStatus.COMPLETED, now
    else:
        at.next_firing_at, at.next_nominal_at = found.following.starts_at, found.following.occurrence.nominal.at
