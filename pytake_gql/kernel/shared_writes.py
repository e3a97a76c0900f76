"""One transaction for all who ask the same kind of thing at once: what many wait for is committed once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(slots=True)
class _Line:
    """Those who wait for a write of one kind, and the writes that run."""

    waiting: list[tuple[Any, asyncio.Future[Any]]] = field(default_factory=list)
    serving: int = 0
    writing: int = 0


class SharedWrites:
    """Requests of this process, by what they ask for.

    Whoever asks in the same turn of the loop, or while the writes of that kind run, is served together with others
    who wait, at most `at_once` of them. Nobody waits for company: the first one begins at once. Of each kind two
    writes run at a time, so that one is prepared while the database works on the other, and they share who waits
    evenly. Who leaves takes nobody along, and what was asked is done all the same.
    """

    def __init__(self, at_once: int = 50, lanes: int = 2) -> None:
        self._at_once = at_once
        self._lanes = lanes
        self._lines: dict[Hashable, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(
        self, key: Hashable, request: Q, write: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]]
    ) -> A:
        """The answer to this request; `write` gives one for each, in their order, and an exception is raised here."""
        line = self._lines.setdefault(key, _Line())
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        line.waiting.append((request, answer))
        if line.serving < self._lanes:
            line.serving += 1
            task = asyncio.create_task(self._serve(key, line, write), name="shared writes")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _serve(
        self, key: Hashable, line: _Line, write: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
    ) -> None:
        while line.waiting:
            share = -(-len(line.waiting) // (self._lanes - line.writing))
            count = min(self._at_once, share)
            served, line.waiting = line.waiting[:count], line.waiting[count:]
            line.writing += 1
            try:
                answers = await write([request for request, _ in served])
            except Exception as error:  # noqa: BLE001 - told to all who asked
                answers = [error] * len(served)
            finally:
                line.writing -= 1
            for (_, future), answer in zip(served, answers, strict=True):
                if not future.done():
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
        line.serving -= 1
        if not line.serving:
            del self._lines[key]
