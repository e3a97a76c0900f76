"""Recipients of a campaign a second, on a channel that answers at once: one worker against arq's and Celery's.

PyTake writes for each a conversation, a run of the flow with its path, the message, the timeline that subscribers
hear, and the recipient. The others write the message's row and the recipient's status (`benchmarks.peers`), into the
same tables, of conversations that are there already.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from arq.connections import RedisSettings, create_pool

from benchmarks import campaigns
from benchmarks.campaigns import ORGANIZATION_ID, Outcome
from benchmarks.harness import Limits, Result, Run, compare, measured
from benchmarks.processes import background
from benchmarks.stage import Stage

COUNT = 3000
_PATIENCE_SECONDS = 60.0
_ARQ = (sys.executable, "-m", "arq", "benchmarks.peers.ArqWorker")
_CELERY = (sys.executable, "-m", "celery", "-A", "benchmarks.celery_peer", "worker", "--pool=solo", "--loglevel=ERROR")
_WAITING = (
    """INSERT INTO conversations (organization_id, id, number, status, priority, channel_id, contact_id, last_seq,
           last_activity_at, unread_count, read_seq, contact_read_seq, has_sla, is_sla_breached, created_at, updated_at)
       SELECT organization_id, id, row_number() OVER (), 'CLOSED', 'NORMAL', organization_id, id, 0,
              now(), 0, 0, 0, false, false, now(), now()
       FROM contacts WHERE organization_id = $1""",
    """INSERT INTO flow_executions (organization_id, id, automation_id, trigger, scheduled_for, status, is_dry_run,
           version_id, channel_id, snapshot, is_paused, created_at)
       VALUES ($1, $1, $1, 'MANUAL', now(), 'CANCELLED', false, $1, $1, '{}', false, now())""",
    """INSERT INTO execution_recipients (organization_id, id, execution_id, contact_id, status, attempts,
           conversation_id, variables, epoch, updated_at)
       SELECT organization_id, id, $1, id, 'PENDING', 0, id, '{}', 0, now() FROM contacts WHERE organization_id = $1""",
)


async def against_arq(stage: Stage, limits: Limits) -> Result:
    return await _against(stage, limits, "arq, one job each", _ARQ, _by_arq)


async def against_celery(stage: Stage, limits: Limits) -> Result:
    return await _against(stage, limits, "Celery, one task each", _CELERY, _by_celery)


async def _against(
    stage: Stage,
    limits: Limits,
    name: str,
    worker: tuple[str, ...],
    enqueue: Callable[[Stage, list[str]], Awaitable[None]],
) -> Result:
    count = COUNT if limits.seconds >= 2 else 300
    await campaigns.prepare(stage, count)
    return await compare(
        f"recipients of a campaign, {count}",
        limits,
        partial(_product, stage, count),
        partial(_peer, stage, count, worker, enqueue),
        floor_name=name,
        answer="each told once",
    )


async def _product(stage: Stage, count: int) -> Run:
    await campaigns.prepare(stage, count)
    async with background(stage.environment, sys.executable, "-m", "pytake_gql", "worker"):
        async with measured(None, stage.postmaster) as run:
            await campaigns.fire(stage, count)
            outcome = await campaigns.done(stage, count, _PATIENCE_SECONDS)
            run.seconds, run.answered = outcome.seconds, outcome.count
        await _require_told(stage, outcome, count)
    return run


async def _peer(
    stage: Stage, count: int, worker: tuple[str, ...], enqueue: Callable[[Stage, list[str]], Awaitable[None]]
) -> Run:
    """All is enqueued before the worker begins; the seconds count from the first recipient on."""
    await campaigns.prepare(stage, count)
    async with stage.database() as connection:
        for statement in _WAITING:
            await connection.execute(statement, ORGANIZATION_ID)
    await stage.tidy()
    await enqueue(stage, [str(campaigns.contact_id(number)) for number in range(count)])
    async with measured(None, stage.postmaster) as run, background(stage.environment, *worker):
        outcome = await campaigns.done(stage, count, _PATIENCE_SECONDS)
        run.seconds, run.answered = outcome.seconds, outcome.count
    await _require_told(stage, outcome, count)
    return run


async def _by_arq(stage: Stage, ids: list[str]) -> None:
    redis = await create_pool(RedisSettings.from_dsn(stage.environment["REDIS_URL"]))
    for id_ in ids:
        await redis.enqueue_job("send", str(ORGANIZATION_ID), id_)
    await redis.aclose()


async def _by_celery(stage: Stage, ids: list[str]) -> None:
    command = (sys.executable, "-m", "benchmarks.celery_peer", str(ORGANIZATION_ID), *ids)
    process = await asyncio.create_subprocess_exec(*command, env=dict(stage.environment))
    if await process.wait():
        raise campaigns.NotDone


async def _require_told(stage: Stage, outcome: Outcome, count: int) -> None:
    """Each got one message, and it was sent."""
    async with stage.database() as connection:
        [row] = await connection.fetch(
            """SELECT count(*), count(DISTINCT r.contact_id) FROM execution_recipients r
               JOIN messages m ON m.organization_id = r.organization_id AND m.id = r.message_id
               WHERE r.organization_id = $1 AND m.status = 'SENT' AND r.status = 'COMPLETED'""",
            ORGANIZATION_ID,
        )
    if tuple(row) != (outcome.count, outcome.count) or outcome.count != count:
        raise campaigns.NotDone(f"{tuple(row)} of {outcome.count}, {count}")
