"""All that a schedule is set to, as clients say it and the table holds it: checked values, local times (S1). Pure."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytake_gql.automation.flow_automations import cron
from pytake_gql.automation.flow_automations.cron import Cron
from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, Limits, SpecialDays
from pytake_gql.automation.flow_automations.nominals import Rule
from pytake_gql.automation.flow_automations.recurrences import (
    Daily,
    Dates,
    MissingDayPolicy,
    Monthly,
    Nth,
    Recurrence,
    Weekly,
)
from pytake_gql.automation.flow_automations.schedule import Schedule
from pytake_gql.automation.flow_automations.windows import Window, WindowPolicy
from pytake_gql.tenancy.organizations.opening_hours import Weekday

WEEKDAYS = tuple(Weekday)


class OverlapPolicy(StrEnum):
    """What to do when a firing is due while the one before still runs."""

    SKIP = "SKIP"
    BUFFER_ONE = "BUFFER_ONE"
    CANCEL_OTHER = "CANCEL_OTHER"
    ALLOW = "ALLOW"


class CatchUpPolicy(StrEnum):
    """What to do with firings missed while the system was down, inside catchUpSeconds.

    What is dropped is recorded as MISSED.
    """

    LATEST = "LATEST"
    ALL = "ALL"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Settings:
    timezone: str
    recurrence: Recurrence
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    count: int | None = None
    window: Window | None = None
    skip_weekends: bool = False
    skip_holidays: bool = False
    exceptions: tuple[SpecialDays, ...] = ()
    places: tuple[int, ...] = field(default=(), compare=False)
    """Where each exception stood in the client's list, for refusals."""
    overlap: OverlapPolicy = OverlapPolicy.SKIP
    catch_up: CatchUpPolicy = CatchUpPolicy.LATEST
    catch_up_seconds: int = 3600
    jitter_seconds: int = 0

    def schedule(
        self, anchor: dt.datetime, holiday_region: str | None, active_since: dt.datetime | None = None
    ) -> Schedule:
        """What is computed: `anchor` is when the rule was made, the region is the organization's."""
        return Schedule(
            rule=Rule(self.timezone, self.recurrence, anchor, self.starts_at, self.ends_at, self.count),
            window=self.window,
            skip_weekends=self.skip_weekends,
            holiday_region=holiday_region if self.skip_holidays else None,
            exceptions=self.exceptions,
            jitter_seconds=self.jitter_seconds,
            active_since=active_since,
        )


def recurrence_to_json(recurrence: Recurrence) -> dict[str, Any]:
    """In the shape of `RecurrenceInput`, defaults filled in."""
    if isinstance(recurrence, Dates):
        moments = [_written(at) for at in recurrence.at]
        return {"once": {"at": moments[0]}} if recurrence.is_once else {"dates": {"at": moments}}
    if isinstance(recurrence, Cron):
        return {"cron": {"expression": recurrence.text}}
    if not isinstance(recurrence, Daily | Weekly | Monthly):
        raise TypeError("a kind of recurrence that is not stored")
    told: dict[str, Any] = {"interval": recurrence.interval, "times": [_written(time) for time in recurrence.times]}
    if isinstance(recurrence, Weekly):
        return {"weekly": told | {"weekdays": [WEEKDAYS[weekday].value for weekday in recurrence.weekdays]}}
    if isinstance(recurrence, Monthly):
        told["days"] = list(recurrence.month_days)
        told["nthWeekdays"] = [
            {"nth": nth.nth, "weekday": WEEKDAYS[nth.weekday].value} for nth in recurrence.nth_weekdays
        ]
        return {"monthly": told | {"missingDay": recurrence.missing_day.value}}
    return {"daily": told}


def recurrence_from_json(stored: Mapping[str, Any]) -> Recurrence:
    ((kind, told),) = stored.items()
    if kind in {"once", "dates"}:
        moments = [told["at"]] if kind == "once" else told["at"]
        return Dates(tuple(dt.datetime.fromisoformat(at) for at in moments), is_once=kind == "once")
    if kind == "cron":
        return cron.parse(told["expression"])
    interval, times = told["interval"], tuple(dt.time.fromisoformat(time) for time in told["times"])
    if kind == "weekly":
        return Weekly(interval, tuple(_weekday(name) for name in told["weekdays"]), times)
    if kind == "monthly":
        nths = tuple(Nth(nth["nth"], _weekday(nth["weekday"])) for nth in told["nthWeekdays"])
        return Monthly(interval, tuple(told["days"]), nths, times, MissingDayPolicy(told["missingDay"]))
    return Daily(interval, times)


def to_json(settings: Settings) -> dict[str, Any]:
    """As the table holds it, without the exceptions."""
    return {
        "timezone": settings.timezone,
        "recurrence": recurrence_to_json(settings.recurrence),
        "starts_at": settings.starts_at and settings.starts_at.isoformat(),
        "ends_at": settings.ends_at and settings.ends_at.isoformat(),
        "count": settings.count,
        "window": window_to_json(settings.window),
        "skip_weekends": settings.skip_weekends,
        "skip_holidays": settings.skip_holidays,
        "overlap": settings.overlap.value,
        "catch_up": settings.catch_up.value,
        "catch_up_seconds": settings.catch_up_seconds,
        "jitter_seconds": settings.jitter_seconds,
    }


def from_json(stored: Mapping[str, Any], exceptions: Iterable[SpecialDays]) -> Settings:
    return Settings(
        timezone=stored["timezone"],
        recurrence=recurrence_from_json(stored["recurrence"]),
        starts_at=_moment(stored["starts_at"]),
        ends_at=_moment(stored["ends_at"]),
        count=stored["count"],
        window=_window(stored["window"]),
        skip_weekends=stored["skip_weekends"],
        skip_holidays=stored["skip_holidays"],
        exceptions=tuple(exceptions),
        overlap=OverlapPolicy(stored["overlap"]),
        catch_up=CatchUpPolicy(stored["catch_up"]),
        catch_up_seconds=stored["catch_up_seconds"],
        jitter_seconds=stored["jitter_seconds"],
    )


def special_to_json(special: SpecialDays) -> dict[str, Any]:
    """What its kind needs besides the days."""
    limits = special.limits
    return {
        "reason": special.reason,
        "reschedule_to": special.reschedule_to and special.reschedule_to.isoformat(),
        "time": special.time and special.time.isoformat(),
        "window": window_to_json(special.window),
        "limits": limits and [limits.max_concurrent, limits.rate_per_minute, limits.max_attempts],
    }


def special_from_json(kind: ExceptionKind, first: dt.date, last: dt.date, stored: Mapping[str, Any]) -> SpecialDays:
    return SpecialDays(
        kind=kind,
        first=first,
        last=last,
        reason=stored["reason"],
        reschedule_to=_moment(stored["reschedule_to"]),
        time=dt.time.fromisoformat(stored["time"]) if stored["time"] else None,
        window=_window(stored["window"]),
        limits=Limits(*stored["limits"]) if stored["limits"] else None,
    )


def window_to_json(window: Window | None) -> dict[str, Any] | None:
    if window is None:
        return None
    return {
        "opens_at": window.opens_at.isoformat(),
        "closes_at": window.closes_at.isoformat(),
        "policy": window.policy.value,
    }


def _window(stored: Mapping[str, Any] | None) -> Window | None:
    if stored is None:
        return None
    opens_at, closes_at = (dt.time.fromisoformat(stored[name]) for name in ("opens_at", "closes_at"))
    return Window(opens_at, closes_at, WindowPolicy(stored["policy"]))


def _written(of: dt.datetime | dt.time) -> str:
    """Seconds only where they are not zero, as the contract prints them."""
    return of.isoformat(timespec="seconds" if of.second else "minutes")


def _moment(stored: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(stored) if stored else None


def _weekday(name: str) -> int:
    return WEEKDAYS.index(Weekday(name))
