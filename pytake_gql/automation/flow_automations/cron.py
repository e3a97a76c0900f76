"""Cron: five fields, parsed once into bit sets, stepped by them (S5, S10, S11). Pure."""

import calendar
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from croniter import croniter

from pytake_gql.automation.flow_automations.cron_fields import FIELDS, WEEKDAY
from pytake_gql.automation.flow_automations.local_time import LAST_DAY
from pytake_gql.automation.flow_automations.recurrences import HORIZON, Days
from pytake_gql.kernel.errors import UserErrorCode, refuse

LONGEST = 128
_BLANKS = re.compile(r"[ \t]+", re.ASCII)
_ALL_HOURS, _ALL_MONTH_DAYS, _ALL_WEEKDAYS = (1 << 24) - 1, (1 << 32) - 2, (1 << 7) - 1
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A bit for each value that a field holds: minutes from 0, month days and months from 1, Sunday is 0."""

    text: str
    """Normalized: one blank between fields, upper case."""
    minutes: int
    hours: int
    month_days: int
    months: int
    weekdays: int
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()
    """Weekday and which one of the month."""
    has_last_day: bool = False

    @property
    def walks_real_time(self) -> bool:
        """By value, not by spelling: every hour there is (S5)."""
        return self.hours == _ALL_HOURS

    @property
    def restricts_month_days(self) -> bool:
        return self.month_days != _ALL_MONTH_DAYS

    @property
    def restricts_weekdays(self) -> bool:
        return self.weekdays != _ALL_WEEKDAYS

    @property
    def takes_either_day(self) -> bool:
        """Whether a day fits by day of month OR by weekday (S11)."""
        return self.restricts_month_days and self.restricts_weekdays

    @property
    def times(self) -> tuple[dt.time, ...]:
        return _times(self.hours, self.minutes)

    def days(self, anchor: dt.date, first: dt.date) -> Days:  # noqa: ARG002 - cron counts from nowhere
        times, last_found = self.times, first
        for day in self._days(first):
            if day - last_found > HORIZON:
                return
            if self.fits(day):
                last_found = day
                yield day, times

    def _days(self, first: dt.date) -> Iterator[dt.date]:
        """Of the months that fit; and the first of those that do not, so that whoever counts time sees it pass."""
        day = first
        while day < LAST_DAY:
            yield day
            fits = self.months >> day.month & 1
            day = day + _DAY if fits else (day.replace(day=28) + 4 * _DAY).replace(day=1)

    def fits(self, day: dt.date) -> bool:
        if not self.months >> day.month & 1:
            return False
        by_month_day = self._fits_month_day(day)
        if self.takes_either_day:
            return by_month_day or self._fits_weekday(day)
        return by_month_day and self._fits_weekday(day)

    def _fits_month_day(self, day: dt.date) -> bool:
        if self.month_days >> day.day & 1:
            return True
        return self.has_last_day and day.day == calendar.monthrange(day.year, day.month)[1]

    def _fits_weekday(self, day: dt.date) -> bool:
        weekday = day.isoweekday() % 7
        return bool(self.weekdays >> weekday & 1) or (weekday, (day.day + 6) // 7) in self.nth_weekdays


@lru_cache(maxsize=1024)
def parse(expression: str) -> Cron:
    """Refuses with the reason, without a path."""
    text = _normalized(expression)
    parts = text.split(" ")
    if text.startswith("@"):
        refuse(UserErrorCode.INVALID, "Words such as @daily are not understood: write the five fields.")
    if len(parts) != len(FIELDS):
        template = "Five fields are needed (minute, hour, day of month, month, day of week), not {count}."
        refuse(UserErrorCode.INVALID, template, count=len(parts))
    terms = [part.split(",") for part in parts]
    nths = frozenset(WEEKDAY.nth(term) for term in terms[-1] if "#" in term)
    terms[-1] = [term for term in terms[-1] if "#" not in term]
    plain = [",".join(field.plain(term) for term in of) for field, of in zip(FIELDS, terms, strict=True)]
    return _expanded(text, plain, nths)


def _normalized(expression: str) -> str:
    trimmed = expression.strip()
    if not trimmed:
        refuse(UserErrorCode.REQUIRED, "This is required.")
    if len(trimmed) > LONGEST:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", longest=LONGEST)
    if not trimmed.isascii() or not trimmed.replace("\t", " ").isprintable():
        refuse(UserErrorCode.INVALID, "A cron text is of plain ASCII characters, on one line.")
    return _BLANKS.sub(" ", trimmed).upper()


def _expanded(text: str, plain: Sequence[str], nths: frozenset[tuple[int, int]]) -> Cron:
    """A weekday field of nothing but nth weekdays has no plain ones."""
    fields, _ = croniter.expand(" ".join([*plain[:-1], plain[-1] or "*"]))
    minutes, hours, month_days, months, weekdays = (
        _bits(values, field.least, min(field.greatest, 6) if field is WEEKDAY else field.greatest)
        for field, values in zip(FIELDS, fields, strict=True)
    )
    return Cron(
        text=text,
        minutes=minutes,
        hours=hours,
        month_days=month_days,
        months=months,
        weekdays=weekdays if plain[-1] else 0,
        nth_weekdays=nths,
        has_last_day="l" in fields[2],
    )


def _bits(values: Sequence[Any], least: int, greatest: int) -> int:
    numbers = range(least, greatest + 1) if "*" in values else [value for value in values if value != "l"]
    return sum(1 << value for value in set(numbers))


@lru_cache(maxsize=1024)
def _times(hours: int, minutes: int) -> tuple[dt.time, ...]:
    wanted = [minute for minute in range(60) if minutes >> minute & 1]
    return tuple(dt.time(hour, minute) for hour in range(24) if hours >> hour & 1 for minute in wanted)
