"""Waking the workers: two arq queues, ids only, JSON (house.md §4, E11).

A job that is lost costs time, never work: what is due is a row, and the reconciler finds it again.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from arq.connections import ArqRedis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


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


class Jobs:
    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def enqueue(self, jobs: list[Job]) -> None:
        """Best effort, like a wake-up."""
        try:
            for job in jobs:
                later = job.delay_seconds or None
                await self._redis.enqueue_job(job.name, *job.arguments, _queue_name=job.queue.value, _defer_by=later)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("jobs were not enqueued, the reconciler will find their work: %s", error)
