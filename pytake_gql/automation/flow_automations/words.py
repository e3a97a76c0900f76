"""Schedules in words, for the people of an organization: what a rule says, and why an occurrence does otherwise."""

import datetime as dt
from collections.abc import Sequence

from pytake_gql.automation.flow_automations import cron_words
from pytake_gql.automation.flow_automations.cron import Cron
from pytake_gql.automation.flow_automations.recurrences import Daily, Dates, Monthly, Nth, Recurrence, Weekly
from pytake_gql.automation.flow_automations.schedule import Occurrence, OccurrenceReason, Schedule
from pytake_gql.automation.flow_automations.settings import Settings
from pytake_gql.automation.flow_automations.terms import clock, date, listed, month_day, nth_name, weekday_name
from pytake_gql.kernel.translation import translate
from pytake_gql.tenancy.organizations.calendar import holiday_name

_MOST_NAMED = 12


def summary(settings: Settings, locale: str) -> str:
    """One line: when it comes round, within which bounds, and what is left out."""
    rule = recurrence(settings.recurrence, locale)
    return "; ".join([rule, *_bounds(settings, locale), *_left_out(settings, locale)])


def recurrence(of: Recurrence, locale: str) -> str:
    if isinstance(of, Cron):
        return cron_words.summary(of, locale)
    if isinstance(of, Dates):
        return _dates(of, locale)
    if isinstance(of, Weekly):
        return _weekly(of, locale)
    if isinstance(of, Monthly):
        return _monthly(of, locale)
    if not isinstance(of, Daily):
        raise TypeError("a kind of recurrence without words")
    times = _times(of.times, locale)
    if of.interval == 1:
        return translate("Every day at {times}", locale, times=times)
    return translate("Every {interval} days at {times}", locale, interval=of.interval, times=times)


def reason(occurrence: Occurrence, schedule: Schedule, locale: str) -> str | None:
    """Why it does not simply fire at its own time; the holiday by its name."""
    if occurrence.reason is OccurrenceReason.HOLIDAY:
        name = holiday_name(schedule.holiday_region or "", occurrence.nominal.local.date())
        return translate("holiday {name}", locale, name=name)
    if occurrence.reason is OccurrenceReason.EXCEPTION:
        told = occurrence.special.reason if occurrence.special else None
        return translate("exception '{reason}'", locale, reason=told) if told else translate("exception", locale)
    if occurrence.reason is OccurrenceReason.COLLAPSED and occurrence.falls_with is not None:
        return translate("falls together with {time}", locale, time=_moment(occurrence.falls_with.local, locale))
    if occurrence.reason is OccurrenceReason.WEEKEND:
        return translate("weekend", locale)
    if occurrence.reason is OccurrenceReason.WINDOW:
        return translate("outside window", locale)
    return translate("clock change", locale) if occurrence.reason is OccurrenceReason.CLOCK_CHANGE else None


def _dates(of: Dates, locale: str) -> str:
    if of.is_once:
        return translate("Once, on {moments}", locale, moments=_moment(of.at[0], locale))
    if len(of.at) > _MOST_NAMED:
        return translate(
            "On {count} dates from {first} to {last}",
            locale,
            count=len(of.at),
            first=_moment(of.at[0], locale),
            last=_moment(of.at[-1], locale),
        )
    return translate("On {moments}", locale, moments=listed([_moment(at, locale) for at in of.at], locale))


def _weekly(of: Weekly, locale: str) -> str:
    weekdays, times = listed([weekday_name(one, locale) for one in of.weekdays], locale), _times(of.times, locale)
    if of.interval == 1:
        return translate("Every week on {weekdays} at {times}", locale, weekdays=weekdays, times=times)
    return translate(
        "Every {interval} weeks on {weekdays} at {times}", locale, interval=of.interval, weekdays=weekdays, times=times
    )


def _monthly(of: Monthly, locale: str) -> str:
    days = [month_day(day, locale) for day in sorted(of.month_days, key=lambda day: 32 if day == -1 else day)]
    days += [_nth(nth, locale) for nth in of.nth_weekdays]
    told, times = listed(days, locale), _times(of.times, locale)
    if of.interval == 1:
        return translate("Every month on {days} at {times}", locale, days=told, times=times)
    return translate(
        "Every {interval} months on {days} at {times}", locale, interval=of.interval, days=told, times=times
    )


def _nth(nth: Nth, locale: str) -> str:
    return nth_name(nth.nth, nth.weekday, locale)


def _bounds(settings: Settings, locale: str) -> list[str]:
    told = []
    if settings.starts_at is not None:
        told.append(translate("from {moment}", locale, moment=_moment(settings.starts_at, locale)))
    if settings.ends_at is not None:
        told.append(translate("until {moment}", locale, moment=_moment(settings.ends_at, locale)))
    if settings.count is not None:
        told.append(translate("{count} times", locale, count=settings.count))
    return told


def _left_out(settings: Settings, locale: str) -> list[str]:
    told = []
    if settings.window is not None:
        opens_at, closes_at = clock(settings.window.opens_at), clock(settings.window.closes_at)
        told.append(translate("between {opens_at} and {closes_at}", locale, opens_at=opens_at, closes_at=closes_at))
    if settings.skip_weekends:
        told.append(translate("not on weekends", locale))
    if settings.skip_holidays:
        told.append(translate("not on holidays", locale))
    if settings.exceptions:
        count = len(settings.exceptions)
        told.append(translate("exceptions: {count}", locale, count=count))
    return told


def _times(times: Sequence[dt.time], locale: str) -> str:
    if len(times) > _MOST_NAMED:
        first, last = clock(times[0]), clock(times[-1])
        return translate("{count} times from {first} to {last}", locale, count=len(times), first=first, last=last)
    return listed([clock(time) for time in times], locale)


def _moment(at: dt.datetime, locale: str) -> str:
    return f"{date(at.date(), locale)} {clock(at.time())}"
