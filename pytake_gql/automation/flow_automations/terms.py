"""Names of days, dates and times in the languages of end users."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from pytake_gql.kernel.translation import translate

_WEEKDAYS: Sequence[Callable[[str], str]] = (
    lambda locale: translate("Monday", locale),
    lambda locale: translate("Tuesday", locale),
    lambda locale: translate("Wednesday", locale),
    lambda locale: translate("Thursday", locale),
    lambda locale: translate("Friday", locale),
    lambda locale: translate("Saturday", locale),
    lambda locale: translate("Sunday", locale),
)
_MONTHS: Sequence[Callable[[str], str]] = (
    lambda locale: translate("January", locale),
    lambda locale: translate("February", locale),
    lambda locale: translate("March", locale),
    lambda locale: translate("April", locale),
    lambda locale: translate("May", locale),
    lambda locale: translate("June", locale),
    lambda locale: translate("July", locale),
    lambda locale: translate("August", locale),
    lambda locale: translate("September", locale),
    lambda locale: translate("October", locale),
    lambda locale: translate("November", locale),
    lambda locale: translate("December", locale),
)
_Named = Callable[[str, str], str]
_NTH_WEEKDAYS: Mapping[int, _Named] = MappingProxyType(
    {
        1: lambda name, locale: translate("first {weekday}", locale, weekday=name),
        2: lambda name, locale: translate("second {weekday}", locale, weekday=name),
        3: lambda name, locale: translate("third {weekday}", locale, weekday=name),
        4: lambda name, locale: translate("fourth {weekday}", locale, weekday=name),
        5: lambda name, locale: translate("fifth {weekday}", locale, weekday=name),
        -1: lambda name, locale: translate("last {weekday}", locale, weekday=name),
    }
)
_NTH_WEEKEND_DAYS: Mapping[int, _Named] = MappingProxyType(
    {
        1: lambda name, locale: translate("first {weekend_day}", locale, weekend_day=name),
        2: lambda name, locale: translate("second {weekend_day}", locale, weekend_day=name),
        3: lambda name, locale: translate("third {weekend_day}", locale, weekend_day=name),
        4: lambda name, locale: translate("fourth {weekend_day}", locale, weekend_day=name),
        5: lambda name, locale: translate("fifth {weekend_day}", locale, weekend_day=name),
        -1: lambda name, locale: translate("last {weekend_day}", locale, weekend_day=name),
    }
)
"""In Portuguese Saturday and Sunday are masculine, the other days feminine."""
_SATURDAY = 5


def weekday_name(weekday: int, locale: str) -> str:
    """Monday is 0."""
    return _WEEKDAYS[weekday](locale)


def month_name(month: int, locale: str) -> str:
    return _MONTHS[month - 1](locale)


def nth_name(nth: int, weekday: int, locale: str) -> str:
    named = _NTH_WEEKEND_DAYS if weekday >= _SATURDAY else _NTH_WEEKDAYS
    return named[nth](weekday_name(weekday, locale), locale)


def month_day(day: int, locale: str) -> str:
    return translate("the last day", locale) if day == -1 else translate("day {day}", locale, day=day)


def clock(time: dt.time) -> str:
    return time.isoformat(timespec="seconds" if time.second else "minutes")


def date(day: dt.date, locale: str) -> str:
    """As it is written there: 24/12/2026, or 2026-12-24."""
    written = {"year": f"{day.year:04}", "month": f"{day.month:02}", "number": f"{day.day:02}"}
    return translate("{year}-{month}-{number}", locale, **written)


def listed(items: Sequence[str], locale: str) -> str:
    """A, B and C."""
    if len(items) == 1:
        return items[0]
    return translate("{items} and {last}", locale, items=", ".join(items[:-1]), last=items[-1])
