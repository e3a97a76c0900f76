"""A queue that assigns by itself: how many a second, and how soon after a slot is free."""

import asyncio
import os
import sys
import time
from uuid import UUID

import asyncpg
import orjson

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, measured
from benchmarks.http_client import Connection
from benchmarks.pgbench import Pgbench
from benchmarks.processes import background
from benchmarks.pull import restock
from benchmarks.stage import Stage
from pytake_gql.desk.routing import engine
from pytake_gql.kernel.ids import global_id

CAPACITY = 5
FREED = 300
_WARM_UP = 10
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.004
"""Whoever looks more often takes the time that is to be measured from those who route."""

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
CLOSE = """mutation Close($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"""
_STRATEGY = """UPDATE queues SET routing_strategy = $2::text, auto_assign = $2::text <> 'MANUAL' WHERE id = $1"""
_TEAM = """UPDATE members SET load = 0, capacity = $1, last_seen_at = now() + interval '1 hour',
    availability = CASE WHEN id < $2 THEN 'ONLINE' ELSE 'OFFLINE' END"""
_CLOSED = (
    "UPDATE conversations SET status = 'CLOSED', closed_at = now() WHERE queue_id = $1 AND status = 'ACTIVE'",
    "UPDATE members SET load = 0 WHERE $1::uuid IS NOT NULL",
)
_UNLIMITED = 1_000_000


class UnfairlyAssigned(Exception):
    """The agents' counts differ by more than one (D12)."""


class NotAssigned(Exception):
    """Nobody routed in time."""


async def route(stage: Stage, limits: Limits) -> Result:
    """All that waits to 100 agents of five slots each, which are closed whenever all are taken.

    ROUND_ROBIN, in passes as the worker makes them; CPU is that of the process that routes. The closing is not timed.
    """
    waiting = seed.WAITING if limits.seconds >= 2 else seed.WAITING // 20

    async def product() -> Run:
        await _prepare(stage, "ROUND_ROBIN", capacity=CAPACITY)
        seconds = 0.0
        async with measured(os.getpid(), stage.postmaster) as run:
            while run.answered < waiting:
                started = time.perf_counter()
                run.answered += await engine.route_queue(stage.ports, seed.ORGANIZATION_ID, seed.WAITING_ID)
                seconds += time.perf_counter() - started
                await _close_all(stage)
            run.seconds = seconds
        await _require_fair(stage, run.answered)
        await _prepare(stage, "MANUAL")
        return run

    async def floor() -> Run:
        await _prepare(stage, "MANUAL")
        return await Pgbench(CLAIM, 1, waiting // 4).run(stage, limits)

    return await compare(
        f"assign {waiting} by routing, {seed.AGENTS} agents",
        limits,
        product,
        floor,
        floor_name="pgbench, bare two-row claim",
        answer="each once, counts differ by one",
    )


async def freed(stage: Stage, limits: Limits) -> Result:
    """One agent with one slot closes, again and again: from the answer to the next one being assigned.

    By the process that closed, right after its commit; a worker runs beside it. The first few fill what is kept.
    """
    count = FREED if limits.seconds >= 2 else 10
    await _prepare(stage, "ROUND_ROBIN", agents=1, capacity=1)
    async with (
        background(stage.environment, sys.executable, "-m", "pytake_gql", "worker"),
        Connection(stage.product, "/graphql", stage.agents[0].token) as agent,
        stage.database() as watched,
        measured(stage.product_pid, stage.postmaster) as run,
    ):
        held = await _next(watched, None)
        for turn in range(-_WARM_UP, count):
            asked = {"query": CLOSE, "variables": {"id": global_id("Conversation", held)}}
            await agent.post(orjson.dumps(asked))
            started = time.perf_counter()
            held = await _next(watched, held)
            if turn >= 0:
                run.latencies.append(time.perf_counter() - started)
            await asyncio.sleep(0.05)
        run.seconds = sum(run.latencies)
    await _prepare(stage, "MANUAL")
    return Result("freed slot → next assignment, unloaded", run.numbers, f"{count}, each assigned once")


async def _next(watched: asyncpg.Connection, held: UUID | None) -> UUID:
    """The agent's conversation once it is another than that."""
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        found: UUID | None = await watched.fetchval(
            "SELECT id FROM conversations WHERE queue_id = $1 AND status = 'ACTIVE'", seed.WAITING_ID
        )
        if found is not None and found != held:
            return found
        await asyncio.sleep(_LOOK_SECONDS)
    raise NotAssigned


async def _prepare(stage: Stage, strategy: str, *, agents: int = seed.AGENTS, capacity: int = _UNLIMITED) -> None:
    async with stage.database() as connection:
        await connection.execute(_STRATEGY, seed.WAITING_ID, strategy)
        await connection.execute(_TEAM, capacity, seed.numbered(6, agents))
    await restock(stage)


async def _close_all(stage: Stage) -> None:
    async with stage.database() as connection:
        for statement in _CLOSED:
            await connection.execute(statement, seed.WAITING_ID)


async def _require_fair(stage: Stage, assigned: int) -> None:
    async with stage.database() as connection:
        rows = await connection.fetch(
            """SELECT count(*) FROM conversations WHERE queue_id = $1 AND status <> 'QUEUED' GROUP BY assignee_id""",
            seed.WAITING_ID,
        )
    counts = [row["count"] for row in rows]
    if sum(counts) != assigned or max(counts) - min(counts) > 1:
        raise UnfairlyAssigned(counts)
