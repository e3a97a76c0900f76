"""How late a thousand schedules fire that are due at the same second: a worker's tick, Celery beat, APScheduler."""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson

from benchmarks import automations
from benchmarks.harness import Limits, Result, Run, compare
from benchmarks.processes import background
from benchmarks.stage import Stage

COUNT = 1000
_AHEAD = timedelta(seconds=6)
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.004
_FIRED = "SELECT count(DISTINCT automation_id) FROM flow_executions WHERE scheduled_for = $1"


class NotFired(Exception):
    """Not all of them, or not each once."""


async def against_beat(stage: Stage, limits: Limits) -> Result:
    return await _against(stage, limits, "beat")


async def against_apscheduler(stage: Stage, limits: Limits) -> Result:
    return await _against(stage, limits, "apscheduler")


async def _against(stage: Stage, limits: Limits, name: str) -> Result:
    await automations.seed_automations(stage, COUNT)
    return await compare(
        f"lateness of {COUNT} due at once",
        limits,
        partial(_product, stage),
        partial(_peer, stage, name),
        floor_name=name,
        answer="each once",
    )


async def _product(stage: Stage) -> Run:
    """Fired is what is committed; whoever looks every few milliseconds adds as much."""
    run = Run()
    async with background(stage.environment, sys.executable, "-m", "pytake_gql", "worker"), stage.database() as looking:
        await automations.make_due_once(stage, 1, datetime.now(UTC))
        while not await looking.fetchval("SELECT count(*) FROM flow_executions"):  # noqa: ASYNC110 - until it works
            await asyncio.sleep(0.05)
        at = _soon()
        await automations.make_due_once(stage, COUNT, at)
        while len(run.latencies) < COUNT:
            found = await looking.fetchval(_FIRED, at)
            late = time.time() - at.timestamp()
            if late > _PATIENCE_SECONDS:
                raise NotFired(found)
            run.latencies += [late] * (found - len(run.latencies))
            await asyncio.sleep(_LOOK_SECONDS)
    run.seconds, run.answered = max(run.latencies), COUNT
    return run


async def _peer(stage: Stage, name: str) -> Run:
    at = _soon()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.late_peers", name, str(at.timestamp()), str(COUNT)),
        env=dict(stage.environment),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await asyncio.wait_for(process.communicate(), _PATIENCE_SECONDS + _AHEAD.total_seconds())
    latencies = orjson.loads(told)
    if len(latencies) != COUNT:
        raise NotFired(len(latencies))
    return Run(seconds=max(latencies), latencies=latencies, answered=COUNT)


def _soon() -> datetime:
    return (datetime.now(UTC) + _AHEAD).replace(microsecond=0)
