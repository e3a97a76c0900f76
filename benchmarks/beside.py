"""An agent's message while a campaign of 100,000 runs, and the same without one (E11)."""

import asyncio
import sys
import time

import orjson

from benchmarks import campaigns
from benchmarks.harness import Limits, Result, Run, compare
from benchmarks.http_client import Connection
from benchmarks.processes import background
from benchmarks.send import CLIENTS, sending
from benchmarks.stage import Stage
from pytake_gql.kernel.ids import parse_global_id

COUNT = 100_000
MESSAGES = 150
MOST_MILLISECONDS = 50.0
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.002
_STATUS = "SELECT status FROM messages WHERE id = $1 AND organization_id = $2"


class NotSent(Exception):
    """Or the campaign did not run meanwhile."""


async def beside(stage: Stage, limits: Limits) -> Result:
    """From the request to the row that says SENT: API, queue, worker, channel. One worker does both."""
    count, each = (COUNT, MESSAGES) if limits.seconds >= 2 else (2000, 20)
    worker = (sys.executable, "-m", "pytake_gql", "worker")
    await campaigns.prepare(stage, count)

    async def alone() -> Run:
        await campaigns.prepare(stage, count)
        async with background(stage.environment, *worker):
            return await _messages(stage, each)

    async def during() -> Run:
        await campaigns.prepare(stage, count)
        async with background(stage.environment, *worker):
            await campaigns.fire(stage, count)
            await campaigns.done(stage, 1, _PATIENCE_SECONDS)
            run = await _messages(stage, each)
            if not (await campaigns.statuses(stage)).get("PENDING"):
                raise NotSent("the campaign had ended before")
        return run

    found = await compare(
        f"an agent's message, {count:,} recipients",
        limits,
        during,
        alone,
        floor_name="the same without a campaign",
        answer="each SENT",
    )
    later = (found.product.p99 or 0.0) - (found.floor.p99 if found.floor and found.floor.p99 else 0.0)
    return Result(
        found.title, found.product, f"each SENT, p99 {later:+.0f} ms of {MOST_MILLISECONDS:.0f} allowed",
        found.floor_name, found.floor, found.ratio,
    )  # fmt: skip


async def _messages(stage: Stage, count: int) -> Run:
    run = Run()
    async with Connection(stage.product, "/graphql", stage.agents[0].token) as agent, stage.database() as connection:
        for turn in range(-5, count):
            started = time.perf_counter()
            answer = orjson.loads(await agent.post(sending(turn % CLIENTS)))["data"]["sendMessage"]
            parsed = parse_global_id(answer["message"]["id"])
            while (
                parsed
                and await connection.fetchval(_STATUS, parsed[1], stage.agents[0].principal.organization_id) != "SENT"
            ):
                if time.perf_counter() - started > _PATIENCE_SECONDS:
                    raise NotSent
                await asyncio.sleep(_LOOK_SECONDS)
            if turn >= 0:
                run.latencies.append(time.perf_counter() - started)
            await asyncio.sleep(0.02)
    run.seconds, run.answered = sum(run.latencies), len(run.latencies)
    return run
