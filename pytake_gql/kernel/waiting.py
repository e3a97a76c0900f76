"""A gate and a queue for tasks that wait: as asyncio's, without the deques that those keep for each socket (4 kB)."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Gate:
    """An event: whoever waits goes on once it is set."""

    __slots__ = ("_is_open", "_opening")

    def __init__(self, *, is_open: bool = False) -> None:
        self._is_open = is_open
        self._opening: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        return self._is_open

    def set(self) -> None:
        self._is_open = True
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(None)
        self._opening = None

    def clear(self) -> None:
        self._is_open = False

    async def wait(self) -> bool:
        if not self._is_open:
            if self._opening is None:
                self._opening = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._opening)
        return True


class Inbox(Generic[T]):
    """A queue that one task reads."""

    __slots__ = ("_arrival", "_items")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._arrival: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._items

    def put_nowait(self, item: T) -> None:
        self._items.append(item)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def get(self) -> T:
        while not self._items:
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        return self._items.pop(0)
