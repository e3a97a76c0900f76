"""Live wake-ups between processes, over Redis pub/sub: one connection a process, topics counted by reference.

A wake-up says "look at X" and nothing more: who wakes reads PostgreSQL. Losing one is healed by each
subscriber's slow poll; losing the connection wakes everybody once it is back (house.md §4).
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from pytake_gql.kernel import metrics, tasks

log = logging.getLogger(__name__)

_PREFIX = "pytake:"
_BACKLOG = 1000
# All in one command and one argument: of many small ones the client's own work costs more than Redis's.
_PUBLISH = "for _, told in ipairs(cjson.decode(ARGV[1])) do redis.call('publish', told[1], told[2]) end"
_CONFIRMATION_SECONDS = 1.0
_PING_SECONDS = 2.0
_RETRY_SECONDS = 0.25
_FAREWELL_SECONDS = 1.0


class Wake(NamedTuple):
    """What a subscriber is told. `topic` None: continuity is in doubt, look at everything again."""

    topic: str | None
    data: str | int | None = None


GAP = Wake(None)


def around(seconds: float) -> float:
    """A fifth more or less, so that many who began together do not poll together."""
    return seconds * random.uniform(0.8, 1.2)


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

    @property
    def is_empty(self) -> bool:
        return self._wakes.empty()

    async def next(self, timeout_seconds: float) -> Wake | None:
        """The next wake-up, or None when none came in time: then poll."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                return await self._wakes.get()
        return None

    def drain(self) -> list[Wake]:
        """Whatever else has come by now, so that a burst costs one read."""
        return [self._wakes.get_nowait() for _ in range(self._wakes.qsize())]


@dataclass(slots=True)
class _Topic:
    """`has_gap`: something may have been told before Redis confirmed that we listen."""

    subscribers: set[Subscription] = field(default_factory=set)
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    has_gap: bool = False

    def put(self, wake: Wake) -> None:
        for subscription in tuple(self.subscribers):
            subscription.put(wake)


class Bus:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pubsub: PubSub | None = None
        self._topics: dict[str, _Topic] = {}
        self._reader: asyncio.Task[None] | None = None
        self._untold: dict[Wake, None] = {}
        self._publisher: asyncio.Task[None] | None = None

    def publish(self, wakes: Iterable[Wake]) -> None:
        """Tells them in this order, without keeping the caller: who wrote need not wait for Redis.

        Best effort: the rows are committed, and a poll finds what no wake-up told.
        """
        self._untold |= dict.fromkeys(wakes)
        if self._publisher is None or self._publisher.done():
            self._publisher = asyncio.create_task(self._publish(), name="wake-ups")

    async def _publish(self) -> None:
        """One command for all that were committed while the one before was on its way."""
        while self._untold:
            wakes, self._untold = self._untold, {}
            told = orjson.dumps([(f"{_PREFIX}{topic}", orjson.dumps(data).decode()) for topic, data in wakes])
            try:
                await self._redis.execute_command("EVAL", _PUBLISH, 0, told)  # type: ignore[no-untyped-call]
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
        fresh = [topic for topic in topics if topic not in self._topics]
        for topic in topics:
            self._topics.setdefault(topic, _Topic()).subscribers.add(subscription)
        try:
            await self._listen(fresh)
            await self._await_confirmation(topics)
            yield subscription
        finally:
            await self._forget(subscription, topics)

    async def _listen(self, topics: list[str]) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_forever(), name="bus")
        elif self._pubsub is not None and topics:
            # Without Redis the reader subscribes to everything once it is back.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._pubsub.subscribe(*(f"{_PREFIX}{topic}" for topic in topics))

    async def _await_confirmation(self, topics: Iterable[str]) -> None:
        """Until Redis says that it tells us; without Redis not for long: then the gap is told once it is back."""
        known = [self._topics[topic] for topic in topics]
        try:
            async with asyncio.timeout(_CONFIRMATION_SECONDS):
                for topic in known:
                    await topic.confirmed.wait()
        except TimeoutError:
            for topic in known:
                topic.has_gap = topic.has_gap or not topic.confirmed.is_set()

    async def _forget(self, subscription: Subscription, topics: Iterable[str]) -> None:
        left = []
        for name in topics:
            topic = self._topics[name]
            topic.subscribers.discard(subscription)
            if not topic.subscribers:
                del self._topics[name]
                left.append(name)
        if left and self._pubsub is not None:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._pubsub.unsubscribe(*(f"{_PREFIX}{name}" for name in left))

    async def _read_forever(self) -> None:
        while True:
            try:
                await self._read()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("the bus lost Redis, trying again in %.2f s: %s", _RETRY_SECONDS, error)
            for topic in self._topics.values():
                topic.has_gap = topic.has_gap or topic.confirmed.is_set()
                topic.confirmed.clear()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _read(self) -> None:
        """Until the connection is lost."""
        pubsub = self._redis.pubsub()
        try:
            # The bare prefix keeps the connection subscribed while nobody follows anything.
            await pubsub.subscribe(_PREFIX)
            asked: set[str] = set()
            while missing := self._topics.keys() - asked:
                await pubsub.subscribe(*(f"{_PREFIX}{name}" for name in missing))
                asked |= missing
            # From here on, without a pause since the last look, whoever comes asks for itself.
            self._pubsub = pubsub
            is_asked = False
            while True:
                message = await pubsub.get_message(timeout=_PING_SECONDS)
                if message is None and is_asked:
                    raise TimeoutError("Redis is silent")
                is_asked = message is None
                if message is None:
                    await pubsub.ping()
                elif message["type"] in {"subscribe", "message"}:
                    self._dispatch(message["type"], message["channel"].decode(), message["data"])
        finally:
            self._pubsub = None
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _dispatch(self, kind: str, channel: str, data: bytes) -> None:
        topic = self._topics.get(name := channel.removeprefix(_PREFIX))
        if topic is None:
            return
        if kind == "message":
            topic.put(Wake(name, orjson.loads(data)))
            return
        topic.confirmed.set()
        if topic.has_gap:
            topic.has_gap = False
            topic.put(GAP)

    async def close(self) -> None:
        if self._publisher is not None:
            await asyncio.wait([self._publisher], timeout=_FAREWELL_SECONDS)
        await tasks.end([it for it in (self._publisher, self._reader) if it is not None])
