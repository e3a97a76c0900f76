"""What changes without pause is told five times a second, and its newest state is never left out."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BETWEEN_SECONDS = 0.2


class Paced(Generic[K, V]):
    """Of each key the newest value waits for its turn; the turns of all keys together are `BETWEEN_SECONDS` apart."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[K, V] = {}
        self._next_at = float("-inf")

    def put(self, key: K, value: V) -> None:
        self._waiting[key] = value

    def take(self) -> V | None:
        """The value whose turn it is now, or None."""
        now = self._clock()
        if not self._waiting or now < self._next_at:
            return None
        self._next_at = now + BETWEEN_SECONDS
        return self._waiting.pop(next(iter(self._waiting)))

    @property
    def wait_seconds(self) -> float | None:
        """How long until the next turn; None when nothing waits."""
        return max(0.0, self._next_at - self._clock()) if self._waiting else None
