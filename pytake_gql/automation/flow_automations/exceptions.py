"""Days on which a schedule does otherwise (S14). Pure."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytake_gql.automation.flow_automations.windows import Window


class ExceptionKind(StrEnum):
    """What becomes of the firings on certain days: dropped, moved to one instant, or changed in time or limits."""

    SKIP = "SKIP"
    RESCHEDULE = "RESCHEDULE"
    MODIFY = "MODIFY"


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast and how often an execution sends; None leaves what the automation says."""

    max_concurrent: int | None = None
    rate_per_minute: int | None = None
    max_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class SpecialDays:
    """One exception: for the nominal local dates from `first` to `last`, both included."""

    kind: ExceptionKind
    first: dt.date
    last: dt.date
    reason: str | None = None
    reschedule_to: dt.datetime | None = None
    """Local; of RESCHEDULE."""
    time: dt.time | None = None
    window: Window | None = None
    limits: Limits | None = None


def on(exceptions: Sequence[SpecialDays], day: dt.date) -> SpecialDays | None:
    """The one for that day, of exceptions in order without overlaps."""
    index = bisect_right(exceptions, day, key=lambda days: days.first) - 1
    return exceptions[index] if index >= 0 and day <= exceptions[index].last else None
