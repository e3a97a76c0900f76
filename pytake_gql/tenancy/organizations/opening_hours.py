"""When an organization or a queue is open: weekly spans of wall-clock time. Pure."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytake_gql.kernel.errors import Problems, UserErrorCode

MOST_SPANS = 50
_DAY_SECONDS = 24 * 60 * 60
_WEEK_SECONDS = 7 * _DAY_SECONDS


class Weekday(StrEnum):
    """A day of the week, Monday first (ISO 8601)."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


_DAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class OpeningSpan:
    """[opens_at, closes_at), beginning on this weekday; closing at or before opening is on the next day."""

    weekday: Weekday
    opens_at: dt.time
    closes_at: dt.time

    @property
    def start(self) -> int:
        """Seconds since Monday 00:00, by the wall clock."""
        return _DAYS.index(self.weekday) * _DAY_SECONDS + _seconds(self.opens_at)

    @property
    def end(self) -> int:
        """Up to a day beyond the week's end, for a span that begins on Sunday."""
        return self.start + ((_seconds(self.closes_at) - _seconds(self.opens_at)) % _DAY_SECONDS or _DAY_SECONDS)


def checked(spans: Sequence[OpeningSpan], *path: str) -> list[OpeningSpan]:
    """The spans in the week's order, or a refusal: too many, or some that overlap."""
    problems = Problems()
    if len(spans) > MOST_SPANS:
        problems.add(UserErrorCode.TOO_MANY, "At most {most} of these.", *path, most=MOST_SPANS)
        problems.raise_if_any()
    order = sorted(range(len(spans)), key=lambda index: (spans[index].start, spans[index].end))
    reached = max((span.end for span in spans), default=0) - _WEEK_SECONDS
    for index in order:
        if spans[index].start < reached:
            problems.add(UserErrorCode.INVALID, "This overlaps another span.", *path, str(index))
        reached = max(reached, spans[index].end)
    problems.raise_if_any()
    return [spans[index] for index in order]


def to_json(spans: Iterable[OpeningSpan]) -> list[dict[str, Any]]:
    """As the tables hold them."""
    return [
        {
            "weekday": span.weekday.value,
            "opens_at": span.opens_at.isoformat(),
            "closes_at": span.closes_at.isoformat(),
        }
        for span in spans
    ]


def from_json(stored: Iterable[dict[str, Any]]) -> list[OpeningSpan]:
    return [
        OpeningSpan(
            Weekday(item["weekday"]),
            dt.time.fromisoformat(item["opens_at"]),
            dt.time.fromisoformat(item["closes_at"]),
        )
        for item in stored
    ]


def _seconds(time: dt.time) -> int:
    return time.hour * 3600 + time.minute * 60 + time.second
