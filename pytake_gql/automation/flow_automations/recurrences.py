"""On which days, and when on them, a rule comes round: civil time alone, no zone (S7, S8). Pure.

Each rule's `days` begins at `first` and goes on, in order, until the calendar ends or eight years hold no day (S12).
"""

import calendar
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from pytake_gql.automation.flow_automations.local_time import LAST_DAY

HORIZON = dt.timedelta(days=8 * 366)
HORIZON_MONTHS = 8 * 12 + 1
_DAY = dt.timedelta(days=1)
_WEEK = dt.timedelta(days=7)

Days: TypeAlias = Iterator[tuple[dt.date, Sequence[dt.time]]]


class MissingDayPolicy(StrEnum):
    """In a month without day 29, 30 or 31: its last day, or none."""

    CLAMP = "CLAMP"
    SKIP = "SKIP"


class Recurrence(Protocol):
    @property
    def walks_real_time(self) -> bool:
        """Whether both passes of a fold count and what a gap skips does not (S5)."""
        ...

    def days(self, anchor: dt.date, first: dt.date) -> Days:
        """The days from `first` on, each with its times in order; `anchor` is where intervals are counted from."""
        ...


@dataclass(frozen=True, slots=True)
class Dates:
    """Single moments; `once` is the list of one."""

    at: tuple[dt.datetime, ...]
    """In order, each once."""
    is_once: bool = False

    walks_real_time = False

    def days(self, anchor: dt.date, first: dt.date) -> Days:  # noqa: ARG002 - nothing is counted
        by_day: dict[dt.date, list[dt.time]] = {}
        for moment in self.at:
            if moment.date() >= first:
                by_day.setdefault(moment.date(), []).append(moment.time())
        yield from by_day.items()


@dataclass(frozen=True, slots=True)
class Daily:
    interval: int
    times: tuple[dt.time, ...]

    walks_real_time = False

    def days(self, anchor: dt.date, first: dt.date) -> Days:
        day = first + _DAY * (-(first - anchor).days % self.interval)
        while day <= LAST_DAY:
            yield day, self.times
            day = _later(day, self.interval)


@dataclass(frozen=True, slots=True)
class Weekly:
    interval: int
    weekdays: tuple[int, ...]
    """In order, Monday is 0."""
    times: tuple[dt.time, ...]

    walks_real_time = False

    def days(self, anchor: dt.date, first: dt.date) -> Days:
        monday = _monday(first)
        monday += _WEEK * (-((monday - _monday(anchor)) // _WEEK) % self.interval)
        while monday <= LAST_DAY:
            for weekday in self.weekdays:
                if (day := monday + _DAY * weekday) >= first:
                    yield day, self.times
            monday = _later(monday, 7 * self.interval)


@dataclass(frozen=True, slots=True)
class Nth:
    """1 to 5, or -1 for the month's last such weekday; Monday is 0."""

    nth: int
    weekday: int

    def day(self, weekday_of_first: int, length: int) -> int | None:
        earliest = 1 + (self.weekday - weekday_of_first) % 7
        if self.nth == -1:
            return earliest + (length - earliest) // 7 * 7
        day = earliest + 7 * (self.nth - 1)
        return day if day <= length else None


@dataclass(frozen=True, slots=True)
class Monthly:
    interval: int
    month_days: tuple[int, ...]
    """1 to 31, -1 is the last."""
    nth_weekdays: tuple[Nth, ...]
    times: tuple[dt.time, ...]
    missing_day: MissingDayPolicy = MissingDayPolicy.CLAMP

    walks_real_time = False

    def days(self, anchor: dt.date, first: dt.date) -> Days:
        month = _month(first) + -(_month(first) - _month(anchor)) % self.interval
        last_found = month
        while month <= _month(LAST_DAY) and month - last_found <= HORIZON_MONTHS:
            year, index = divmod(month, 12)
            for number in self._in_month(year, index + 1):
                day = dt.date(year, index + 1, number)
                if first <= day <= LAST_DAY:
                    last_found = month
                    yield day, self.times
            month += self.interval

    def _in_month(self, year: int, month: int) -> list[int]:
        weekday_of_first, length = calendar.monthrange(year, month)
        found = {length if day == -1 else day for day in self.month_days if day <= length}
        if self.missing_day is MissingDayPolicy.CLAMP and any(day > length for day in self.month_days):
            found.add(length)
        found |= {day for nth in self.nth_weekdays if (day := nth.day(weekday_of_first, length)) is not None}
        return sorted(found)


def _monday(day: dt.date) -> dt.date:
    return day - _DAY * day.weekday()


def _month(day: dt.date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month - 1


def _later(day: dt.date, days: int) -> dt.date:
    """Never beyond the calendar's own end."""
    return day + _DAY * min(days, (dt.date.max - day).days)
