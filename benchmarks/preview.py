"""A preview of a hundred occurrences, and croniter stepping the same hundred: computing only, no server."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.stage import Stage
from pytake_gql.automation.flow_automations import cron, previews
from pytake_gql.automation.flow_automations.nominals import Rule
from pytake_gql.automation.flow_automations.schedule import Schedule

COUNT = 100
EXPRESSION, ZONE = "30 9 * * 1-5", "America/New_York"
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)


class Differs(Exception):
    """The two do not say the same."""


async def preview(_: Stage, limits: Limits) -> Result:
    """Every weekday at 9:30 over two clock changes; no gap and no fold is met, where croniter is right."""
    if ours() != theirs():
        raise Differs
    return await compare(
        f"preview of {COUNT} occurrences",
        limits,
        lambda: _timed(ours, limits),
        lambda: _timed(theirs, limits),
        floor_name="croniter, get_next",
        answer="same instants",
    )


def ours() -> list[datetime]:
    schedule = Schedule(Rule(ZONE, cron.parse(EXPRESSION), _SINCE))
    return [occurrence.nominal.at for occurrence in previews.preview(schedule, _SINCE, None, COUNT)]


def theirs() -> list[datetime]:
    steps = croniter(EXPRESSION, _SINCE.astimezone(ZoneInfo(ZONE)))
    return [steps.get_next(datetime).astimezone(UTC) for _ in range(COUNT)]


async def _timed(compute: Callable[[], list[datetime]], limits: Limits) -> Run:
    async def once() -> None:
        compute()

    async with measured(os.getpid(), None) as run:
        run.latencies = await drive([once], limits)
    return run
