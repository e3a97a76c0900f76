"""Schedules: how many are fired a second among a million that are not due, and pgbench's loop of the same claim."""

import os
import time
from datetime import datetime, timedelta

from benchmarks.automations import DUE, ORGANIZATIONS, make_due, seed_automations
from benchmarks.harness import Limits, Result, Run, compare, measured
from benchmarks.pgbench import Pgbench
from benchmarks.stage import Stage
from pytake_gql.automation.flow_automations import tick

_CLAIMS = """
BEGIN;
SET LOCAL enable_sort = off;
WITH due AS MATERIALIZED (
  SELECT organization_id, id, flow_id, channel_id, next_nominal_at FROM flow_automations
  WHERE next_firing_at <= clock_timestamp() ORDER BY next_firing_at, id LIMIT {at_once}
  FOR NO KEY UPDATE SKIP LOCKED),
aimed AS (
  UPDATE flow_automations a
  SET next_firing_at = a.next_firing_at + interval '1 day', next_nominal_at = a.next_nominal_at + interval '1 day',
      last_nominal_at = a.next_nominal_at, last_fired_at = now()
  FROM due WHERE a.organization_id = due.organization_id AND a.id = due.id)
INSERT INTO flow_executions (organization_id, id, automation_id, trigger, scheduled_for, status, is_dry_run, version_id,
                             channel_id, snapshot, is_paused, due_at, created_at)
SELECT due.organization_id, gen_random_uuid(), due.id, 'SCHEDULE', due.next_nominal_at, 'QUEUED', false, v.id,
       due.channel_id, '{snapshot}', false, now(), now()
FROM due JOIN flow_versions v ON v.organization_id = due.organization_id AND v.flow_id = due.flow_id
ON CONFLICT DO NOTHING;
END;
"""
_SNAPSHOT = (
    '{"spans": null, "limits": {"max_attempts": 3, "max_concurrent": 100, "rate_per_minute": 600}, '
    '"audience": {"criteria": null, "contact_ids": null}, "variables": {}}'
)


class WronglyFired(Exception):
    """Twice, not at all, or aimed at the wrong instant."""


async def fire(stage: Stage, limits: Limits) -> Result:
    """Ticks of one process, as many as fit into a round, and one client of pgbench, which computes no schedule.

    The claim is the same: 200 rows in the order of the index, locked, an execution for each, the next instant written.
    A tick also works out that instant, and what each takes along, and wakes workers; none runs here.
    """
    await seed_automations(stage)

    async def product() -> Run:
        nominal = await make_due(stage)
        started = time.perf_counter()
        async with measured(os.getpid(), stage.postmaster) as run:
            while run.answered < DUE and time.perf_counter() - started < limits.seconds:
                run.answered += (await tick.tick(stage.ports)).fired
        await _require_fired(stage, nominal, run.answered)
        return run

    async def floor() -> Run:
        nominal = await make_due(stage)
        batches = max(5, int(DUE / tick.AT_ONCE * min(1.0, limits.seconds / 12)))
        script = _CLAIMS.format(at_once=tick.AT_ONCE, snapshot=_SNAPSHOT)
        run = await Pgbench(script, 1, batches).run(stage, limits)
        run.answered *= tick.AT_ONCE
        await _require_fired(stage, nominal, run.answered)
        return run

    return await compare(
        f"fire, {DUE:,} due of a million, {len(ORGANIZATIONS)} organizations",
        limits,
        product,
        floor,
        floor_name=f"pgbench, the same claim of {tick.AT_ONCE}",
        answer="each once, aimed at its next",
    )


async def _require_fired(stage: Stage, nominal: datetime, fired: int) -> None:
    async with stage.database() as connection:
        [row] = await connection.fetch(
            """SELECT count(*), count(DISTINCT e.automation_id),
                      count(*) FILTER (WHERE a.next_firing_at = $1 AND a.last_nominal_at = $2)
               FROM flow_executions e JOIN flow_automations a ON a.id = e.automation_id
               WHERE e.scheduled_for = $2 AND e.status = 'QUEUED'""",
            nominal + timedelta(days=1),
            nominal,
        )
    if tuple(row) != (fired, fired, fired):
        raise WronglyFired(f"{tuple(row)} of {fired}")
