"""Waking the workers: two arq queues, ids only, JSON (house.md §4, E11).

A job that is lost costs time, never work: what is due is a row, and the reconciler finds it again.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import uuid4

import orjson
from arq.connections import ArqRedis
from arq.constants import expires_extra_ms, job_key_prefix
from arq.jobs import serialize_job
from arq.utils import timestamp_ms
from redis.exceptions import RedisError

from pytake_gql.kernel import tasks

log = logging.getLogger(__name__)

AT_ONCE_HERE = 4
# As arq's own `enqueue_job`, but all in one command: ours have ids of their own, so that none is to be looked for.
_ENQUEUE = """for i = 1, #ARGV, 6 do
    redis.call('psetex', ARGV[i + 1], ARGV[i + 4], ARGV[i + 5])
    redis.call('zadd', ARGV[i], ARGV[i + 3], ARGV[i + 2])
end"""
Work: TypeAlias = Callable[..., Awaitable[object]]


class JobQueue(StrEnum):
    """INTERACTIVE: somebody waits for it. BULK: campaigns; it never delays the other."""

    INTERACTIVE = "pytake:jobs:interactive"
    BULK = "pytake:jobs:bulk"


@dataclass(frozen=True, slots=True)
class Job:
    """`name` is that of a function that the worker registered; `arguments` are ids, as text."""

    name: str
    arguments: tuple[str, ...]
    queue: JobQueue = JobQueue.INTERACTIVE
    delay_seconds: float = 0.0
    """How long after the commit a worker is woken."""


def serialize(job: dict[str, Any]) -> bytes:
    """Arq's default is pickle: whoever writes to Redis would run code in the worker."""
    return orjson.dumps(job, default=str)


def deserialize(data: bytes) -> dict[str, Any]:
    job: dict[str, Any] = orjson.loads(data)
    return job


class Here:
    """Jobs of this process: a few at a time, and none beside itself. One that is asked for again runs once more."""

    def __init__(self, work: Mapping[str, Work] | None = None) -> None:
        self._work = work or {}
        self._running: dict[Job, asyncio.Task[None]] = {}
        self._asked_again: set[Job] = set()

    def take(self, job: Job) -> bool:
        """Whether it is done here."""
        if job.name not in self._work:
            return False
        if job in self._running:
            self._asked_again.add(job)
            return True
        if len(self._running) == AT_ONCE_HERE:
            return False
        self._running[job] = asyncio.create_task(self._run(job), name=job.name)
        return True

    async def close(self) -> None:
        await tasks.end(self._running.values())

    async def _run(self, job: Job) -> None:
        try:
            await self._work[job.name](*job.arguments)
            while job in self._asked_again:
                self._asked_again.discard(job)
                await self._work[job.name](*job.arguments)
        except Exception:
            log.exception("the job %s%s failed", job.name, job.arguments)
        finally:
            self._asked_again.discard(job)
            del self._running[job]


# For each job its id, the instant at which it is taken, how long it is kept, and the job itself.


class Jobs:
    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._here = Here()

    @contextlib.asynccontextmanager
    async def running_here(self, work: Mapping[str, Work]) -> AsyncIterator[None]:
        """Meanwhile the jobs that `work` names run in this process, right after the commit that asks for them.

        That spares whoever waits the way to a worker. What finds no place, or does not end with the block, is for
        the workers.
        """
        self._here = Here(work)
        try:
            yield
        finally:
            here, self._here = self._here, Here()
            await here.close()

    async def enqueue(self, jobs: list[Job]) -> None:
        """Best effort, like a wake-up."""
        told = [part for job in jobs if not self._here.take(job) for part in self._told(job)]
        if not told:
            return
        try:
            await self._redis.execute_command("EVAL", _ENQUEUE, 0, *told)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("jobs were not enqueued, the reconciler will find their work: %s", error)

    def _told(self, job: Job) -> tuple[str | bytes | int, ...]:
        """Queue, key, id, when, for how long, and the job as arq reads it."""
        now, later, id_ = timestamp_ms(), round(job.delay_seconds * 1000), uuid4().hex
        data = serialize_job(job.name, job.arguments, {}, None, now, serializer=serialize)
        return job.queue.value, job_key_prefix + id_, id_, now + later, later + expires_extra_ms, data
