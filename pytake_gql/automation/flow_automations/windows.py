"""The hours of a day in which an automation may fire (S16). Pure."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class WindowPolicy(StrEnum):
    """What becomes of a firing outside: moved to the next opening, or dropped."""

    DEFER = "DEFER"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Window:
    """[opens_at, closes_at) by the wall clock; it crosses midnight when it closes before it opens."""

    opens_at: dt.time
    closes_at: dt.time
    policy: WindowPolicy = WindowPolicy.DEFER

    def holds(self, time: dt.time) -> bool:
        if self.opens_at < self.closes_at:
            return self.opens_at <= time < self.closes_at
        return time >= self.opens_at or time < self.closes_at
