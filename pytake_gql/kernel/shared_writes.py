"""One transaction for all who ask the same kind of thing at once: what many wait for is committed once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(slots=True)
class _Line:
    """Those who wait for the next write of one kind, and the write that runs."""

    waiting: list[tuple[Any, asyncio.Future[Any]]] = field(default_factory=list)
    running: asyncio.Task[None] | None = None


class SharedWrites:
    """Requests of this process, by what they ask for.

    Whoever asks in the same turn of the loop, or while a write of that kind runs, is served by the next one together
    with all others who wait, at most `at_once` of them. Nobody waits for company: the first one begins at once.
    Who leaves takes nobody along, and what was asked is done all the same.
    """

    def __init__(self, at_once: int = 50) -> None:
        self._at_once = at_once
        self._lines: dict[Hashable, _Line] = {}

    async def ask(
        self, key: Hashable, request: Q, write: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]]
    ) -> A:
        """The answer to this request; `write` gives one for each, in their order, and an exception is raised here."""
        line = self._lines.setdefault(key, _Line())
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        line.waiting.append((request, answer))
        if line.running is None:
            line.running = asyncio.create_task(self._serve(key, line, write), name="shared writes")
        return await answer

    async def _serve(
        self, key: Hashable, line: _Line, write: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
    ) -> None:
        while line.waiting:
            served, line.waiting = line.waiting[: self._at_once], line.waiting[self._at_once :]
            try:
                answers = await write([request for request, _ in served])
            except Exception as error:  # noqa: BLE001 - told to all who asked
                answers = [error] * len(served)
            for (_, future), answer in zip(served, answers, strict=True):
                if not future.done():
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
        del self._lines[key]
