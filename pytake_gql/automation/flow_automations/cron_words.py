"""What a cron text says, in words, and what is worth a warning (S11-S13). Pure."""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytz

from pytake_gql.automation.flow_automations.cron import Cron
from pytake_gql.automation.flow_automations.local_time import instant
from pytake_gql.automation.flow_automations.terms import (
    clock,
    date,
    listed,
    month_day,
    month_name,
    nth_name,
    weekday_name,
)
from pytake_gql.kernel.translation import translate

_MOST_TIMES = 6
_YEAR = 366
_DAY = dt.timedelta(days=1)


def summary(cron: Cron, locale: str) -> str:
    return ", ".join(part for part in (_times(cron, locale), _days(cron, locale), _months(cron, locale)) if part)


def warnings(cron: Cron, zone: str, now: dt.datetime, first: dt.datetime | None, locale: str) -> list[str]:
    """What may surprise: either of two days, a first run years away, clock changes within a year."""
    told = []
    if cron.takes_either_day:
        text = "Day of month and day of week are both restricted: it fires when either of them fits."
        told.append(translate(text, locale))
    if first is not None and first - now > dt.timedelta(days=_YEAR):
        told.append(translate("The first run is on {date}.", locale, date=date(first.date(), locale)))
    told += _clock_changes(cron, zone, now, locale)
    return told


def _clock_changes(cron: Cron, zone: str, now: dt.datetime, locale: str) -> Iterator[str]:
    """Times that the clock skips or shows twice; pytz raises for both (S4)."""
    judge = pytz.timezone(zone)
    for day in _days_with_change(zone, now.astimezone(ZoneInfo(zone)).date()):
        for time in cron.times if cron.fits(day) else ():
            local = dt.datetime.combine(day, time)
            try:
                judge.localize(local, is_dst=None)
            except pytz.NonExistentTimeError:
                yield _skipped(cron, local, zone, locale)
                break
            except pytz.AmbiguousTimeError:
                yield _doubled(cron, local, locale)
                break


def _skipped(cron: Cron, local: dt.datetime, zone: str, locale: str) -> str:
    told = {"date": date(local.date(), locale), "time": clock(local.time())}
    if cron.walks_real_time:
        return translate("On {date} the clock skips {time}: it does not fire then.", locale, **told)
    moved = instant(local, ZoneInfo(zone)).astimezone(ZoneInfo(zone)).time()
    return translate("On {date} the clock skips {time}: it fires at {moved}.", locale, **told, moved=clock(moved))


def _doubled(cron: Cron, local: dt.datetime, locale: str) -> str:
    told = {"date": date(local.date(), locale), "time": clock(local.time())}
    if cron.walks_real_time:
        return translate("On {date} the clock shows {time} twice: it fires both times.", locale, **told)
    return translate("On {date} the clock shows {time} twice: it fires the first time.", locale, **told)


@lru_cache(maxsize=1024)
def _days_with_change(zone: str, first: dt.date) -> list[dt.date]:
    """Within a year, by the offsets at the days' ends."""
    clock_, midnight = ZoneInfo(zone), dt.datetime.combine(first, dt.time())
    days = [midnight + _DAY * index for index in range(_YEAR + 1)]
    offsets = [day.replace(tzinfo=clock_).utcoffset() for day in days]
    return [day.date() for day, (before, after) in zip(days, pairwise(offsets), strict=False) if before != after]


def _times(cron: Cron, locale: str) -> str:
    hours, minutes = _set(cron.hours, 24), _set(cron.minutes, 60)
    step = _step(minutes, 60)
    if cron.walks_real_time and minutes == [0]:
        return translate("Every hour", locale)
    if cron.walks_real_time and step:
        return translate("Every {minutes} minutes", locale, minutes=step)
    if len(hours) * len(minutes) <= _MOST_TIMES:
        return translate("At {times}", locale, times=listed([clock(time) for time in cron.times], locale))
    told = listed([str(minute) for minute in minutes], locale)
    if cron.walks_real_time:
        return translate("At the minutes {minutes} of every hour", locale, minutes=told)
    spans = _spans(hours, [str(hour) for hour in range(24)], locale)
    if step:
        return translate("Every {minutes} minutes in the hours {hours}", locale, minutes=step, hours=spans)
    return translate("At the minutes {minutes} of the hours {hours}", locale, minutes=told, hours=spans)


def _days(cron: Cron, locale: str) -> str:
    by_day, by_weekday = _month_days(cron, locale), _weekdays(cron, locale)
    if cron.takes_either_day:
        return translate("on {days} or on {weekdays}", locale, days=by_day, weekdays=by_weekday)
    if cron.restricts_month_days or cron.restricts_weekdays:
        return translate("on {days}", locale, days=by_day if cron.restricts_month_days else by_weekday)
    return translate("every day", locale)


def _month_days(cron: Cron, locale: str) -> str:
    numbers = _set(cron.month_days, 32)
    names = ["", *(month_day(day, locale) for day in range(1, 32))]
    told = [_spans(numbers, names, locale)] if numbers else []
    return listed([*told, *([month_day(-1, locale)] if cron.has_last_day else [])], locale)


def _weekdays(cron: Cron, locale: str) -> str:
    """Monday first, as people count them."""
    numbers = [index for index in range(7) if cron.weekdays >> (index + 1) % 7 & 1]
    told = [_spans(numbers, [weekday_name(index, locale) for index in range(7)], locale)] if numbers else []
    nths = sorted(cron.nth_weekdays, key=lambda pair: ((pair[0] - 1) % 7, pair[1]))
    told += [nth_name(nth, (weekday - 1) % 7, locale) for weekday, nth in nths]
    return listed(told, locale) if told else ""


def _months(cron: Cron, locale: str) -> str:
    months = [month for month in _set(cron.months, 13) if month]
    if len(months) == len(range(1, 13)):
        return ""
    names = ["", *(month_name(month, locale) for month in range(1, 13))]
    return translate("in {months}", locale, months=_spans(months, names, locale))


def _spans(numbers: Sequence[int], names: Sequence[str], locale: str) -> str:
    """Runs of three and more as one: Monday to Friday."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    told: list[str] = []
    for run in runs:
        if len(run) > 2:  # noqa: PLR2004 - two are told one by one
            told.append(translate("{first} to {last}", locale, first=names[run[0]], last=names[run[-1]]))
        else:
            told += [names[number] for number in run]
    return listed(told, locale)


def _step(numbers: Sequence[int], size: int) -> int | None:
    """The distance that all have, around the end too, from 0 on."""
    distances = {after - before for before, after in pairwise([*numbers, size])}
    return distances.pop() if len(distances) == 1 and numbers[0] == 0 and len(numbers) > 1 else None


def _set(bits: int, size: int) -> list[int]:
    return [number for number in range(size) if bits >> number & 1]
