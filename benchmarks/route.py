"""A queue that assigns by itself, and the bare claim of an agent's and a conversation's row, one after the other."""

import os

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, measured
from benchmarks.pgbench import Pgbench
from benchmarks.pull import restock
from benchmarks.stage import Stage
from pytake_gql.desk.routing import engine

CLAIM = f"""
BEGIN;
UPDATE members SET load = load + 1, last_assigned_at = now()
WHERE organization_id = '{seed.ORGANIZATION_ID}' AND id = (
  SELECT id FROM members WHERE organization_id = '{seed.ORGANIZATION_ID}' AND load < capacity
  ORDER BY last_assigned_at, id LIMIT 1 FOR UPDATE SKIP LOCKED);
UPDATE conversations SET status = 'ACTIVE', assignee_id = '{seed.numbered(6)}', assigned_at = now(),
       updated_at = now(), waiting_rank = NULL, last_seq = last_seq + 1
WHERE organization_id = '{seed.ORGANIZATION_ID}' AND id = (
  SELECT id FROM conversations
  WHERE organization_id = '{seed.ORGANIZATION_ID}' AND queue_id = '{seed.WAITING_ID}' AND status = 'QUEUED'
  ORDER BY waiting_rank, sla_due_at, eligible_since, id LIMIT 1 FOR UPDATE SKIP LOCKED);
END;
"""  # noqa: S608 - ids of ours
_STRATEGY = """UPDATE queues SET routing_strategy = $2::text, auto_assign = $2::text <> 'MANUAL' WHERE id = $1"""
_PRESENT = """UPDATE members SET availability = 'ONLINE', last_seen_at = now() + interval '1 hour'"""


class UnfairlyAssigned(Exception):
    """The agents' counts differ by more than one (D12)."""


async def route(stage: Stage, limits: Limits) -> Result:
    """ROUND_ROBIN over all agents, in passes as the worker makes them; CPU is that of the process that routes."""
    passes = 20 if limits.seconds >= 2 else 2

    async def product() -> Run:
        await _prepare(stage, "ROUND_ROBIN")
        async with measured(os.getpid(), stage.postmaster) as run:
            for _ in range(passes):
                async with stage.ports.units.of_system(seed.ORGANIZATION_ID) as uow:
                    run.answered += await engine.route(uow, seed.WAITING_ID)
        await _require_fair(stage, run.answered)
        await _prepare(stage, "MANUAL")
        return run

    async def floor() -> Run:
        await _prepare(stage, "MANUAL")
        return await Pgbench(CLAIM, 1, passes * engine.AT_ONCE).run(stage, limits)

    return await compare(
        f"assign by routing, {seed.AGENTS} agents",
        limits,
        product,
        floor,
        floor_name="pgbench, bare two-row claim",
        answer="each once, counts differ by one",
    )


async def _prepare(stage: Stage, strategy: str) -> None:
    async with stage.database() as connection:
        await connection.execute(_STRATEGY, seed.WAITING_ID, strategy)
        await connection.execute(_PRESENT)
    await restock(stage)


async def _require_fair(stage: Stage, assigned: int) -> None:
    async with stage.database() as connection:
        rows = await connection.fetch(
            """SELECT count(*) FROM conversations WHERE queue_id = $1 AND status = 'ACTIVE' GROUP BY assignee_id""",
            seed.WAITING_ID,
        )
    counts = [row["count"] for row in rows]
    if sum(counts) != assigned or max(counts) - min(counts) > 1:
        raise UnfairlyAssigned(counts)
