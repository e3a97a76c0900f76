"""Edit, pause, resume and delete against the tick: S19-S23 hold whoever comes first."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from uuid import UUID

from sqlmodel import col

from pytake_gql.automation.flow_automations import service, tick
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation
from pytake_gql.automation.flow_automations.settings import from_json
from pytake_gql.automation.flow_executions.models import ExecutionStatus, FlowExecution
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.unit_of_work import UnitOfWork
from tests.automation.flow_automations.automations import Automations
from tests.conftest import TravellingClock

EVERY_HOUR = {"timezone": "UTC", "recurrence": {"cron": {"expression": "0 * * * *"}}, "overlap": "ALLOW"}
JITTERS = cycle(range(1, 60))
"""Each edit changes something."""
UNDER_WAY = {ExecutionStatus.QUEUED, ExecutionStatus.RUNNING, ExecutionStatus.WAITING_WINDOW}


async def edit(uow: UnitOfWork, row: FlowAutomation) -> None:
    assert row.schedule is not None
    changed = from_json({**row.schedule, "jitter_seconds": next(JITTERS)}, ())
    await service.update(uow, row.id, {"schedule": changed}, None)


async def pause(uow: UnitOfWork, row: FlowAutomation) -> None:
    await service.set_status(uow, row.id, AutomationStatus.PAUSED)


async def resume(uow: UnitOfWork, row: FlowAutomation) -> None:
    await service.set_status(uow, row.id, AutomationStatus.ACTIVE)


async def delete(uow: UnitOfWork, row: FlowAutomation) -> None:
    await service.delete(uow, row.id)


async def attempt(automations: Automations, verb: Any, row: FlowAutomation) -> None:
    """A verb in its own transaction, a moment later or not."""
    await asyncio.sleep(random.random() * 0.02)
    try:
        async with automations.desk.make.ports.units.of_system(automations.organization_id) as uow:
            await verb(uow, row)
    except Refusal:
        pass  # such as pausing what is deleted: nothing changed


async def test_s20_s21_s22_s23_no_race_fires_twice_or_by_half(
    automations: Automations, clock: TravellingClock, *, is_long: bool
) -> None:
    now = clock.now()
    begin = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    clock.advance(seconds=(begin - now).total_seconds() - 1)
    await automations.later(clock)
    for round_ in range(2500 if is_long else 12):
        made = await automations.create(schedule=EVERY_HOUR, activate=True)
        row = await automations.row(made["id"])
        assert row.next_firing_at is not None
        moment = row.next_firing_at + timedelta(seconds=1)
        verbs = [edit, pause, resume, delete]
        chosen = [verbs[round_ % 4], random.choice(verbs)]
        ids = [row.id]
        await asyncio.gather(
            *(fire(automations, ids, moment) for _ in range(3)), *(attempt(automations, verb, row) for verb in chosen)
        )
        await check(automations, row.id, chosen)


async def fire(automations: Automations, ids: list[UUID], now: datetime) -> None:
    await asyncio.sleep(random.random() * 0.02)
    await tick._fire(automations.desk.make.ports, automations.organization_id, ids, now)


async def check(automations: Automations, id_: UUID, chosen: list[Any]) -> None:
    (row,) = await automations.rows(FlowAutomation, col(FlowAutomation.id) == id_)
    fired = await automations.rows(FlowExecution, col(FlowExecution.automation_id) == id_)
    assert len({execution.scheduled_for for execution in fired}) == len(fired) <= 1
    if row.deleted_at is not None:
        assert row.next_firing_at is None
        assert not [execution for execution in fired if execution.status in UNDER_WAY]
    elif row.status is AutomationStatus.PAUSED:
        assert row.next_firing_at is None
        assert all(execution.is_paused for execution in fired if execution.status in UNDER_WAY)
    else:
        assert row.next_firing_at is not None
    if chosen == [edit, edit]:
        assert row.revision == 3
