"""The slow, obvious answer: what the wall clock shows in each minute, by zoneinfo alone."""

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from pytake_gql.automation.flow_automations.cron import Cron
from pytake_gql.automation.flow_automations.nominals import Rule
from pytake_gql.automation.flow_automations.recurrences import Daily, MissingDayPolicy, Monthly, Recurrence, Weekly

MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Minute:
    """One minute that has passed: what the clock shows in it, and the local times that it is an answer to."""

    at: dt.datetime
    shown: dt.datetime
    stands_for: list[dt.datetime]


def minutes(zone: str, since: dt.datetime, until: dt.datetime) -> Iterator[Minute]:
    """Each minute of a span, walked one by one.

    A local time is answered by the first minute that shows it. Where the clock jumps over some, each is answered by
    the minute as far after the jump as it is itself after what was shown before it (S4).
    """
    clock, seen, owed = ZoneInfo(zone), set[dt.datetime](), dict[dt.datetime, list[dt.datetime]]()
    at = since - 2 * DAY
    before = at.astimezone(clock).replace(tzinfo=None) - MINUTE
    while at < until:
        shown = at.astimezone(clock).replace(tzinfo=None)
        skipped, late = before + MINUTE, at
        while skipped < shown and skipped not in seen:
            owed.setdefault(late, []).append(skipped)
            seen.add(skipped)
            skipped, late = skipped + MINUTE, late + MINUTE
        stands_for = owed.pop(at, [])
        if shown not in seen:
            seen.add(shown)
            stands_for = [*stands_for, shown]
        if at >= since:
            yield Minute(at, shown, sorted(stands_for))
        before, at = shown, at + MINUTE


def named(rule: Rule, local: dt.datetime) -> bool:
    """Whether the rule names this local minute."""
    if rule.starts_at is not None and local < rule.starts_at:
        return False
    if rule.ends_at is not None and local > rule.ends_at:
        return False
    zone = ZoneInfo(rule.zone)
    anchor = (rule.starts_at or rule.anchor.astimezone(zone)).date()
    return _fits(rule.recurrence, local, anchor)


def _fits(of: Recurrence, local: dt.datetime, anchor: dt.date) -> bool:
    day = local.date()
    if isinstance(of, Cron):
        return _fits_cron(of, local)
    assert isinstance(of, Daily | Weekly | Monthly)
    if local.time() not in of.times:
        return False
    if isinstance(of, Daily):
        return (day - anchor).days % of.interval == 0
    if isinstance(of, Weekly):
        monday, other = (one - DAY * one.weekday() for one in (day, anchor))
        return day.weekday() in of.weekdays and (monday - other).days // 7 % of.interval == 0
    return _fits_month(of, day, anchor)


def _fits_month(of: Monthly, day: dt.date, anchor: dt.date) -> bool:
    if ((day.year - anchor.year) * 12 + day.month - anchor.month) % of.interval:
        return False
    length = calendar.monthrange(day.year, day.month)[1]
    same = [n for n in range(1, length + 1) if dt.date(day.year, day.month, n).weekday() == day.weekday()]
    for nth in of.nth_weekdays:
        if nth.weekday == day.weekday() and (same[-1] if nth.nth == -1 else (same + [0] * 5)[nth.nth - 1]) == day.day:
            return True
    return any(
        day.day == (length if n == -1 or (n > length and of.missing_day is MissingDayPolicy.CLAMP) else n)
        for n in of.month_days
    )


def _fits_cron(of: Cron, local: dt.datetime) -> bool:
    """Read anew from the text: lists, ranges and steps of numbers, L and #."""
    minute, hour, month_day, month, weekday = of.text.split(" ")
    if local.minute not in _numbers(minute, 0, 59) or local.hour not in _numbers(hour, 0, 23):
        return False
    if local.month not in _numbers(month, 1, 12):
        return False
    length = calendar.monthrange(local.year, local.month)[1]
    days = _numbers(month_day.replace("L", str(length)), 1, 31)
    by_day = local.day in days
    plain = ",".join(item for item in weekday.split(",") if "#" not in item)
    weekdays = {number % 7 for number in _numbers(plain, 0, 6)} if plain else frozenset[int]()
    today = local.isoweekday() % 7
    nths = [item.split("#") for item in weekday.split(",") if "#" in item]
    by_weekday = today in weekdays or any(
        today == int(which) % 7 and (local.day - 1) // 7 + 1 == int(nth) for which, nth in nths
    )
    if len(_numbers(month_day.replace("L", "40"), 1, 31) & set(range(1, 32))) == 31 or len(weekdays) == 7:
        return by_day and by_weekday
    return by_day or by_weekday


@lru_cache(maxsize=10_000)
def _numbers(text: str, least: int, greatest: int) -> frozenset[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        low, _, high = span.partition("-")
        begins = least if low == "*" else int(low)
        ends = int(high) if high else greatest if low == "*" or step else begins
        found |= set(range(begins, ends + 1, int(step or 1)))
    return frozenset(found)


@lru_cache(maxsize=64)
def _minutes(zone: str, since: dt.datetime, until: dt.datetime) -> list[Minute]:
    return list(minutes(zone, since, until))


def walked(rule: Rule, since: dt.datetime, until: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    """The nominals of a span: instant and local time."""
    found = []
    for minute in _minutes(rule.zone, since, until):
        locals_ = [minute.shown] if rule.recurrence.walks_real_time else minute.stands_for
        found += [(minute.at, local) for local in locals_ if named(rule, local)]
    return found
