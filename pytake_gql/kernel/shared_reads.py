"""One read for all who ask the same at once: a wake-up that many hear costs the database one look, not one each."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class SharedReads:
    """Reads under way in this process, by what they ask.

    Nobody joins a read that has begun: it may have looked before the change that one has just heard of. Whoever comes
    meanwhile shares the next, so what is answered is never older than its question, and of each key at most one
    read runs and one waits. The key must say who asks: sharing across authorities is a leak. What is answered belongs
    to all: it is read, never changed.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def share(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` answers, called once for all who ask by this key before it begins."""
        task: asyncio.Task[T] | None = self._waiting.get(key)
        if task is None:
            task = self._waiting[key] = asyncio.create_task(self._read(key, read), name="shared read")
        return await asyncio.shield(task)

    async def _read(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        task = self._waiting[key]
        if (before := self._running.get(key)) is not None:
            await asyncio.wait([before])
        del self._waiting[key]
        self._running[key] = task
        try:
            return await read()
        finally:
            del self._running[key]
