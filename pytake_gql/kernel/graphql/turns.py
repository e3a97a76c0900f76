"""How a subscription follows topics: turn by turn, with rights renewed before each, and saying where it stands."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, nullcontext
from typing import Generic, Self, TypeVar

from pytake_gql.kernel.bus import GAP, Subscription, Wake, around
from pytake_gql.kernel.graphql.context import Context

P = TypeVar("P", bound=Hashable)

POLL_SECONDS = 4.0
"""How long a lost wake-up, or a lost place in a queue, goes unnoticed: with what varies less than five (G11)."""


class Turns(Generic[P]):
    """`async for heard in turns`: each turn reads what is new, pushes it, and moves `at`.

    The first turn comes at once and has heard `GAP`; later ones come with what was heard, or with nothing as the slow
    poll that heals lost wake-ups. They end when the caller's rights have ended.

    `at` says where the subscription stands: with the push that follows, or without one, everything up to there is
    told. Two runs of equal operations that stand at the same place go on as one (`shared_streams`), so `at` holds
    whatever the next turn depends on.
    """

    def __init__(self, context: Context, wakes: Subscription, at: P) -> None:
        self._context = context
        self._wakes = wakes
        self.at = at
        self._next_within: float | None = None
        self._has_begun = False

    def come_back(self, seconds: float | None) -> None:
        """The next turn comes so soon, whether or not something is heard: there is more to push. None: there is not."""
        self._next_within = seconds

    def nudge(self) -> None:
        """Look again: something may have changed that no wake-up tells."""
        self._wakes.put(GAP)

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was heard has had its turn."""
        return self._wakes.is_empty

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Wake]:
        heard = await self._wait() if self._has_begun else [GAP]
        self._has_begun, self._next_within = True, None
        if not await self._context.renew():
            raise StopAsyncIteration
        self._context.forget()
        return heard

    async def _wait(self) -> list[Wake]:
        run, seconds = self._context.run, self._next_within
        with nullcontext() if run is None else run.standing(is_done=seconds is None):
            wake = await self._wakes.next(around(POLL_SECONDS) if seconds is None else seconds)
        return [wake, *self._wakes.drain()] if wake else []


@asynccontextmanager
async def follow(context: Context, *topics: str, at: P) -> AsyncIterator[Turns[P]]:
    """Registered when the block is entered: what is committed from then on has its turn."""
    async with context.ports.bus.subscribe(*topics) as wakes:
        turns = Turns(context, wakes, at)
        if context.run is not None:
            context.run.turns = turns
        yield turns
