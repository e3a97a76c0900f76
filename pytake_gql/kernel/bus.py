"""Live wake-ups between processes, over Redis pub/sub: one connection a process, topics counted by reference.

A wake-up says "look at X" and nothing more: who wakes reads PostgreSQL. Losing one is healed by each
subscriber's slow poll; losing the connection wakes everybody once it is back (house.md §4).
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from pytake_gql.kernel import metrics, tasks

log = logging.getLogger(__name__)

_PREFIX = "pytake:"
_BACKLOG = 1000


class Wake(NamedTuple):
    """What a subscriber is told. `topic` None: continuity is in doubt, look at everything again."""

    topic: str | None
    data: str | int | None = None


GAP = Wake(None)


class Subscription:
    """The wake-ups of one subscriber. A reader that falls behind gets one gap instead of a growing backlog."""

    def __init__(self) -> None:
        self._wakes: asyncio.Queue[Wake] = asyncio.Queue(_BACKLOG)

    def put(self, wake: Wake) -> None:
        if self._wakes.full():
            while not self._wakes.empty():
                self._wakes.get_nowait()
            wake = GAP
        if wake == GAP:
            metrics.resume_gaps.inc()
        self._wakes.put_nowait(wake)

    async def next(self, timeout_seconds: float) -> Wake | None:
        """The next wake-up, or None when none came in time: then poll."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                return await self._wakes.get()
        return None

    def drain(self) -> list[Wake]:
        """Whatever else has come by now, so that a burst costs one read."""
        return [self._wakes.get_nowait() for _ in range(self._wakes.qsize())]


class Bus:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pubsub: PubSub | None = None
        self._subscribers: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None

    async def publish(self, wakes: Iterable[Wake]) -> None:
        """Best effort: the rows are committed, and a poll finds what no wake-up told."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for topic, data in wakes:
                    pipeline.publish(f"{_PREFIX}{topic}", orjson.dumps(data))
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("wake-ups were not published: %s", error)

    async def is_reachable(self) -> bool:
        """Whether Redis answers; without it live updates are slow, and nothing is lost."""
        try:
            async with asyncio.timeout(2):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return True

    @contextlib.asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Subscription]:
        """Registered when the block is entered: what is committed from then on is heard, or a gap is."""
        subscription = Subscription()
        fresh = [topic for topic in topics if not self._subscribers[topic]]
        for topic in topics:
            self._subscribers[topic].add(subscription)
        await self._listen(fresh)
        try:
            yield subscription
        finally:
            await self._forget(subscription, topics)

    async def _listen(self, topics: list[str]) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_forever(), name="bus")
        if self._pubsub is not None and topics:
            # Without Redis the reader subscribes to everything once it is back, and tells the gap.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._pubsub.subscribe(*(f"{_PREFIX}{topic}" for topic in topics))

    async def _forget(self, subscription: Subscription, topics: Iterable[str]) -> None:
        left = []
        for topic in topics:
            self._subscribers[topic].discard(subscription)
            if not self._subscribers[topic]:
                del self._subscribers[topic]
                left.append(topic)
        if left and self._pubsub is not None:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._pubsub.unsubscribe(*(f"{_PREFIX}{topic}" for topic in left))

    async def _read_forever(self) -> None:
        pause = 0.05
        while True:
            try:
                await self._read()
                pause = 0.05
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("the bus lost Redis, trying again in %.2f s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    async def _read(self) -> None:
        pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            channels = [f"{_PREFIX}{topic}" for topic in self._subscribers]
            await pubsub.subscribe(f"{_PREFIX}", *channels)
            self._pubsub = pubsub
            # Whoever subscribed while there was no connection, or lost one, cannot know what was missed.
            await pubsub.subscribe(*(f"{_PREFIX}{topic}" for topic in self._subscribers), f"{_PREFIX}")
            for subscription in {s for group in self._subscribers.values() for s in group}:
                subscription.put(GAP)
            while True:
                message = await pubsub.get_message(timeout=5.0)
                if message is not None:
                    if message["type"] == "message":  # else the answer to a ping
                        self._dispatch(message["channel"], message["data"])
                elif not await self._is_alive(pubsub):
                    raise ConnectionError("no answer to a ping")
        finally:
            self._pubsub = None
            # A close that times out must not take the place of our own cancellation.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    @staticmethod
    async def _is_alive(pubsub: PubSub) -> bool:
        await pubsub.ping()  # the answer is read by get_message, and dropped
        return True

    def _dispatch(self, channel: bytes, data: bytes) -> None:
        topic = channel.decode().removeprefix(_PREFIX)
        subscribers = self._subscribers.get(topic)
        if subscribers and isinstance(data, bytes):
            wake = Wake(topic, orjson.loads(data))
            for subscription in tuple(subscribers):
                subscription.put(wake)

    async def close(self) -> None:
        if self._reader is not None:
            await tasks.end([self._reader])
