"""Time as opening hours count it: weekly spans by the wall clock of a zone, less public holidays. Pure (D23).

A span belongs to the day it starts on, also when it ends on the next one, and a holiday closes the spans that start
on it. Without spans a calendar is open at all times, holidays too: there is nothing that a holiday could close.
Whoever closes on holidays and never else says so with spans from 00:00 to 00:00.

A wall time names the first instant at which the clock shows it or has gone past it. So a span that begins in the hour
that a clock change skips begins at the change, one that ends in the hour that comes twice ends in the first of them,
spans that touch on paper touch in time, and a span's length is what really elapses.
"""

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from holidays import HolidayBase, country_holidays

from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.tenancy.organizations.opening_hours import OpeningSpan, Weekday, from_json

HORIZON = dt.timedelta(days=8 * 366)
"""How far a calendar looks: what is not found within eight years is as good as never."""
_DAY = dt.timedelta(days=1)
_DAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class Calendar:
    """All instants taken and given are aware; those given are in UTC."""

    spans: tuple[OpeningSpan, ...]
    """In the week's order, without overlaps, as `opening_hours.checked` answers them."""
    zone: str
    holiday_region: str | None = None

    @classmethod
    def of(cls, stored: Iterable[dict[str, Any]], zone: str, holiday_region: str | None) -> "Calendar":
        """From opening hours as the tables hold them."""
        return cls(tuple(from_json(stored)), zone, holiday_region)

    def is_open(self, at: dt.datetime) -> bool:
        return self.next_opening(at) == at

    def next_opening(self, at: dt.datetime) -> dt.datetime | None:
        """`at` itself while it is open; None when it does not open within the horizon."""
        return next((opens for opens, _ in self._intervals(at, at + HORIZON)), None)

    def add_open_seconds(self, start: dt.datetime, seconds: float) -> dt.datetime | None:
        """When that much opening time will have passed; None when it does not within the horizon.

        What is due when it closes is due then, not when it opens next.
        """
        left = dt.timedelta(seconds=seconds)
        for opens, closes in self._intervals(start, start + HORIZON):
            if closes - opens >= left:
                return opens + left
            left -= closes - opens
        return None

    def open_seconds_between(self, start: dt.datetime, end: dt.datetime) -> float:
        """Opening time in [start, end); 0 when the end is not after the start."""
        open_time = (closes - opens for opens, closes in self._intervals(start, end))
        return sum(open_time, dt.timedelta()).total_seconds()

    def _intervals(self, start: dt.datetime, end: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """What is open of [start, end), in order and without overlaps."""
        reached, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
        if not self.spans:
            if reached < end:
                yield reached, end
            return
        zone = ZoneInfo(self.zone)
        # A span of the day before may still be open.
        day = reached.astimezone(zone).date() - _DAY
        while _instant(dt.datetime.combine(day, dt.time()), zone) < end:
            for opens, closes in self._spans_of(day):
                opened, closed = max(_instant(opens, zone), reached), min(_instant(closes, zone), end)
                if opened < closed:
                    yield opened, closed
                    reached = closed
            day += _DAY

    def _spans_of(self, day: dt.date) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """The wall times between which it is open, of the spans that start on this day."""
        if self.holiday_region is not None and is_holiday(self.holiday_region, day):
            return
        weekday = _DAYS[day.weekday()]
        for span in self.spans:
            if span.weekday is weekday:
                opens = dt.datetime.combine(day, span.opens_at)
                yield opens, opens + dt.timedelta(seconds=span.end - span.start)


@lru_cache(maxsize=50_000)
def is_holiday(region: str, day: dt.date) -> bool:
    """Whether it is a public holiday of the region, such as BR or BR-SP."""
    return day in _holidays(region)


def holiday_name(region: str, day: dt.date) -> str | None:
    """What is celebrated there, in the country's own language; None on other days."""
    return _holidays(region).get(day)


def holidays_between(region: str, first: dt.date, last: dt.date) -> list[tuple[dt.date, str]]:
    """Both days included."""
    of = _holidays(region)
    days = (first + _DAY * index for index in range((last - first).days + 1))
    return [(day, name) for day in days if (name := of.get(day)) is not None]


def knows_region(region: str) -> bool:
    """Whether the holidays of its country are known."""
    try:
        _holidays(region)
    except NotImplementedError:
        return False
    return True


def require_opening(calendar: Calendar, at: dt.datetime, *path: str) -> None:
    """Refuses a calendar that never opens (D23)."""
    if calendar.next_opening(at) is None:
        refuse(UserErrorCode.INVALID, "With these opening hours it would never open.", *path)


@lru_cache(maxsize=512)
def _holidays(region: str) -> HolidayBase:
    """Of the country where the subdivision has none of its own. It learns a year when it is first asked about it.

    Raises `NotImplementedError` for an unknown country.
    """
    country, _, subdivision = region.partition("-")
    try:
        found = country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError:
        subdivision, found = "", country_holidays(country)
    # Else the names are in the language of the machine.
    return country_holidays(country, subdiv=subdivision or None, language=found.default_language)


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The first instant at which the zone's clock shows this time, or has gone past it."""
    instant = wall.replace(tzinfo=zone).astimezone(dt.UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # The clock jumped over it: the change lies between its readings by the offset after and by that before.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    seconds = range(int((instant - before).total_seconds()))

    def shown(after_seconds: int) -> dt.datetime:
        return (before + dt.timedelta(seconds=after_seconds)).astimezone(zone).replace(tzinfo=None)

    return before + dt.timedelta(seconds=bisect_left(seconds, wall, key=shown))
