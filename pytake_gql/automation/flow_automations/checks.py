"""How a schedule is set up: checks of values from outside, each refusal with the path of its field (S2, S10-S16).

Pure: what needs the present (a target in the past, nothing left to fire) is asked where the schedule is saved.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from pytake_gql.automation.flow_automations import cron
from pytake_gql.automation.flow_automations.cron import Cron
from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, Limits, SpecialDays
from pytake_gql.automation.flow_automations.local_time import instant
from pytake_gql.automation.flow_automations.nominals import Rule, nominals
from pytake_gql.automation.flow_automations.recurrences import (
    Daily,
    Dates,
    MissingDayPolicy,
    Monthly,
    Nth,
    Recurrence,
    Weekly,
)
from pytake_gql.automation.flow_automations.settings import Settings
from pytake_gql.automation.flow_automations.windows import Window
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse

MOST = 500
MOST_COUNT = 10_000
MOST_DAYS, MOST_WEEKS, MOST_MONTHS = 8 * 365, 8 * 52, 8 * 12
LEAST_MINUTES = 5
LONGEST_CATCH_UP = 30 * 24 * 3600
LONGEST_JITTER = 24 * 3600
_FIRST_YEAR, _LAST_YEAR = 1900, 2999
_MONTH_DAYS = {-1, *range(1, 32)}
_NTHS = {-1, *range(1, 6)}
_DAY = dt.timedelta(days=1)
_ANYTIME = dt.datetime(2000, 1, 3, tzinfo=dt.UTC)
_PACE_DAYS = 3 * 366

T = TypeVar("T")
Paced = TypeVar("Paced", Daily, Weekly, Monthly, Cron)


def once(at: dt.datetime) -> Dates:
    moment(at, "at")
    return Dates((at,), is_once=True)


def dates(at: Sequence[dt.datetime]) -> Dates:
    _require_some(at, "at")
    for index, one in enumerate(at):
        moment(one, "at", str(index))
    return Dates(tuple(sorted(set(at))))


def daily(interval: int, times: Sequence[dt.time]) -> Daily:
    whole_number(interval, 1, MOST_DAYS, "interval")
    return _paced(Daily(interval, _times(times)), "times")


def weekly(interval: int, weekdays: Sequence[int], times: Sequence[dt.time]) -> Weekly:
    whole_number(interval, 1, MOST_WEEKS, "interval")
    _require_some(weekdays, "weekdays")
    return _paced(Weekly(interval, tuple(sorted(set(weekdays))), _times(times)), "times")


def monthly(
    interval: int, days: Sequence[int], nths: Sequence[Nth], times: Sequence[dt.time], missing_day: MissingDayPolicy
) -> Monthly:
    whole_number(interval, 1, MOST_MONTHS, "interval")
    if not days and not nths:
        refuse(UserErrorCode.REQUIRED, "Name at least one day or nth weekday.", "days")
    for index, day in enumerate(_limited(days, "days")):
        if day not in _MONTH_DAYS:
            refuse(UserErrorCode.INVALID, "A day is 1 to 31, or -1 for the last.", "days", str(index))
    for index, nth in enumerate(_limited(nths, "nth_weekdays")):
        if nth.nth not in _NTHS:
            path = ("nth_weekdays", str(index), "nth")
            refuse(UserErrorCode.INVALID, "1 to 5, or -1 for the last.", *path)
    month_days, nth_weekdays = tuple(sorted(set(days))), tuple(dict.fromkeys(nths))
    return _paced(Monthly(interval, month_days, nth_weekdays, _times(times), missing_day), "times")


def cron_text(expression: str) -> Cron:
    problems, found = Problems(), list[Cron]()
    with problems.gather("expression"):
        parsed = cron.parse(expression)
        if next(parsed.days(_ANYTIME.date(), _ANYTIME.date()), None) is None:
            refuse(UserErrorCode.INVALID, "This never happens: no month that it names has such a day.")
        found.append(_paced(parsed))
    problems.raise_if_any()
    return found[0]


def window(given: Window) -> Window:
    problems = Problems()
    for name, time in (("opens_at", given.opens_at), ("closes_at", given.closes_at)):
        with problems.gather():
            _whole_minute(time, name)
    if given.opens_at == given.closes_at:
        problems.add(UserErrorCode.INVALID, "A window closes at another time than it opens.", "closes_at")
    problems.raise_if_any()
    return given


def limits(given: Limits) -> Limits:
    problems = Problems()
    for name, most in (("max_concurrent", 1000), ("rate_per_minute", 100_000), ("max_attempts", 20)):
        value = getattr(given, name)
        with problems.gather():
            if value is not None:
                whole_number(value, 1, most, name)
    problems.raise_if_any()
    return given


def special(given: SpecialDays) -> SpecialDays:
    problems = Problems()
    for name, day in (("from", given.first), ("to", given.last)):
        with problems.gather():
            _known_year(day.year, name)
    if given.last < given.first:
        problems.add(UserErrorCode.INVALID, "The last day is not before the first.", "to")
    if given.kind is ExceptionKind.RESCHEDULE and given.reschedule_to is None:
        problems.add(UserErrorCode.REQUIRED, "This is required.", "reschedule_to")
    if given.reschedule_to is not None:
        with problems.gather():
            moment(given.reschedule_to, "reschedule_to")
    if given.time is not None:
        with problems.gather():
            _whole_minute(given.time, "time")
    if given.kind is ExceptionKind.MODIFY and not (given.time or given.window or given.limits):
        problems.add(UserErrorCode.REQUIRED, "Give another time, window or limits.", "time")
    _refuse_foreign(given, problems)
    problems.raise_if_any()
    return given


def in_order(given: Sequence[SpecialDays]) -> list[int]:
    """The places of exceptions in the order of their days; ranges do not overlap (S14)."""
    problems = Problems()
    order = sorted(range(len(given)), key=lambda index: (given[index].first, given[index].last))
    reached = dt.date.min
    for index in order:
        if given[index].first <= reached:
            problems.add(UserErrorCode.INVALID, "These days overlap another exception.", str(index))
        reached = max(reached, given[index].last)
    problems.raise_if_any()
    return order


def targets_ahead(given: Settings, now: dt.datetime, known: Collection[SpecialDays]) -> None:
    """Refuses what is newly moved to an instant that has passed (S14)."""
    problems = Problems()
    for place, special in zip(given.places, given.exceptions, strict=True):
        target = special.reschedule_to
        if target is not None and special not in known and instant(target, ZoneInfo(given.timezone)) <= now:
            path = ("schedule", "exceptions", str(place), "reschedule_to")
            problems.add(UserErrorCode.INVALID, "This has passed.", *path)
    problems.raise_if_any()


def parts(given: Settings) -> None:
    """Bounds, numbers and the zone; fixed offsets are no place (S1)."""
    problems = Problems()
    for name, bound in (("starts_at", given.starts_at), ("ends_at", given.ends_at)):
        with problems.gather():
            if bound is not None:
                moment(bound, name)
    for name, value, least, most in (
        ("count", given.count, 1, MOST_COUNT),
        ("catch_up_seconds", given.catch_up_seconds, 0, LONGEST_CATCH_UP),
        ("jitter_seconds", given.jitter_seconds, 0, LONGEST_JITTER),
    ):
        with problems.gather():
            if value is not None:
                whole_number(value, least, most, name)
    if given.timezone.startswith("Etc/") and given.timezone != "Etc/UTC":
        problems.add(UserErrorCode.INVALID, "Name a place, such as America/Sao_Paulo.", "timezone")
    if given.starts_at is not None and given.ends_at is not None and given.ends_at < given.starts_at:
        problems.add(UserErrorCode.INVALID, "The end is before the start.", "ends_at")
    problems.raise_if_any()


def moment(at: dt.datetime, *path: str) -> None:
    _known_year(at.year, *path)


def whole_number(value: int, least: int, greatest: int, *path: str) -> None:
    if not least <= value <= greatest:
        template = "A whole number from {least} to {greatest}."
        refuse(UserErrorCode.INVALID, template, *path, least=least, greatest=greatest)


def comes_round(given: Settings, anchor: dt.datetime) -> None:
    """Refuses a rule without any occurrence (S12), whatever the present is."""
    day = given.starts_at.date() if given.starts_at else anchor.date()
    if not isinstance(given.recurrence, Dates) and next(given.recurrence.days(day, day), None) is None:
        refuse(UserErrorCode.INVALID, "This rule never comes round.", "recurrence")
    if given.starts_at is not None or (given.ends_at is not None and isinstance(given.recurrence, Dates)):
        begins = (given.starts_at or dt.datetime(_FIRST_YEAR, 1, 3)).replace(tzinfo=dt.UTC) - 2 * _DAY  # noqa: DTZ001
        rule = Rule(given.timezone, given.recurrence, anchor, given.starts_at, given.ends_at)
        if next(nominals(rule, begins), None) is None:
            refuse(UserErrorCode.INVALID, "Nothing falls between the start and the end.", "ends_at")


def _refuse_foreign(given: SpecialDays, problems: Problems) -> None:
    """What another kind would need."""
    may = {
        ExceptionKind.SKIP: set[str](),
        ExceptionKind.RESCHEDULE: {"reschedule_to"},
        ExceptionKind.MODIFY: {"time", "window", "limits"},
    }[given.kind]
    for name in ("reschedule_to", "time", "window", "limits"):
        if getattr(given, name) is not None and name not in may:
            problems.add(UserErrorCode.INVALID, "An exception of this kind has no such thing.", name)


def _times(times: Sequence[dt.time]) -> tuple[dt.time, ...]:
    _require_some(times, "times")
    for index, time in enumerate(times):
        _whole_minute(time, "times", str(index))
    return tuple(sorted(set(times)))


def _whole_minute(time: dt.time, *path: str) -> None:
    if time.second:
        refuse(UserErrorCode.INVALID, "A time is of whole minutes here.", *path)


def _paced(recurrence: Paced, *path: str) -> Paced:
    """At most one firing every five minutes (S2), across midnight too."""
    minutes = [time.hour * 60 + time.minute for time in recurrence.times]
    is_dense = any(after - before < LEAST_MINUTES for before, after in pairwise(minutes))
    if is_dense or (24 * 60 - minutes[-1] + minutes[0] < LEAST_MINUTES and _has_neighbours(recurrence)):
        refuse(UserErrorCode.INVALID, "At most one firing every {least} minutes.", *path, least=LEAST_MINUTES)
    return recurrence


def _has_neighbours(recurrence: Recurrence) -> bool:
    """Whether it fires on two days in a row."""
    start = _ANYTIME.date()
    days = []
    for day, _ in recurrence.days(start, start):
        if (day - start).days > _PACE_DAYS:
            break
        days.append(day)
    return any(after - before == _DAY for before, after in pairwise(days))


def _require_some(values: Sequence[object], *path: str) -> None:
    if not values:
        refuse(UserErrorCode.REQUIRED, "Name at least one.", *path)
    _limited(values, *path)


def _limited(values: Sequence[T], *path: str) -> Sequence[T]:
    if len(values) > MOST:
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", *path, most=MOST)
    return values


def _known_year(year: int, *path: str) -> None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        template = "A year from {least} to {greatest}."
        refuse(UserErrorCode.INVALID, template, *path, least=_FIRST_YEAR, greatest=_LAST_YEAR)
