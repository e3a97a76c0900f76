"""Schedules for tests, and what becomes of them, in short words."""

import datetime as dt
from collections.abc import Iterable
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from pytake_gql.automation.flow_automations import cron
from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, SpecialDays
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
from pytake_gql.automation.flow_automations.schedule import Occurrence, Schedule, next_firing, occurrences
from pytake_gql.automation.flow_automations.windows import Window, WindowPolicy

SAO_PAULO, NEW_YORK, UTC = "America/Sao_Paulo", "America/New_York", "UTC"
CREATED = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def at(text: str, zone: str = UTC) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def local(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def times(text: str) -> tuple[dt.time, ...]:
    return tuple(dt.time.fromisoformat(one) for one in text.split())


def daily(text: str, interval: int = 1) -> Daily:
    return Daily(interval, times(text))


def weekly(weekdays: Iterable[int], text: str, interval: int = 1) -> Weekly:
    return Weekly(interval, tuple(weekdays), times(text))


def monthly(
    *days: int, text: str = "09:00", interval: int = 1, nths: Iterable[tuple[int, int]] = (), is_clamped: bool = True
) -> Monthly:
    policy = MissingDayPolicy.CLAMP if is_clamped else MissingDayPolicy.SKIP
    return Monthly(interval, days, tuple(Nth(nth, weekday) for nth, weekday in nths), times(text), policy)


def dates(*texts: str) -> Dates:
    return Dates(tuple(local(text) for text in texts))


def schedule(recurrence: Recurrence | str, zone: str = SAO_PAULO, **given: Any) -> Schedule:
    """A text is a cron's."""
    bounds = {name: local(given.pop(name)) for name in ("starts_at", "ends_at") if name in given}
    rule = Rule(
        zone,
        cron.parse(recurrence) if isinstance(recurrence, str) else recurrence,
        given.pop("anchor", CREATED),
        count=given.pop("count", None),
        **bounds,
    )
    given["exceptions"] = tuple(given.get("exceptions", ()))
    return Schedule(rule, **given)


def window(text: str, policy: WindowPolicy = WindowPolicy.DEFER) -> Window:
    opens_at, closes_at = (dt.time.fromisoformat(one) for one in text.split("-"))
    return Window(opens_at, closes_at, policy)


def skip(first: str, last: str | None = None, reason: str | None = None) -> SpecialDays:
    return _days(ExceptionKind.SKIP, first, last, reason=reason)


def move(first: str, target: str, last: str | None = None) -> SpecialDays:
    return _days(ExceptionKind.RESCHEDULE, first, last, reschedule_to=local(target))


def modify(
    first: str, last: str | None = None, *, time: str | None = None, window: Window | None = None
) -> SpecialDays:
    return _days(ExceptionKind.MODIFY, first, last, time=dt.time.fromisoformat(time) if time else None, window=window)


def _days(kind: ExceptionKind, first: str, last: str | None, **given: Any) -> SpecialDays:
    return SpecialDays(kind, dt.date.fromisoformat(first), dt.date.fromisoformat(last or first), **given)


def told(of: Schedule, since: str, count: int) -> list[str]:
    """Each occurrence as `2026-03-08 02:30 -> 03-08 03:30 MOVED WINDOW`, in local times."""
    return [_told(of, found) for found in islice(occurrences(of, at(since, of.rule.zone)), count)]


def _told(of: Schedule, found: Occurrence) -> str:
    text = f"{found.nominal.local:%Y-%m-%d %H:%M}"
    if found.fires_at is None:
        return f"{text} - {found.reason}"
    fires = found.fires_at.astimezone(of.zone)
    text += f" -> {fires:%m-%d %H:%M}" if fires.replace(tzinfo=None) != found.nominal.local else ""
    return f"{text} {found.reason}" if found.reason else text


def fired(of: Schedule, since: str, count: int) -> list[str]:
    """The local instants of the next firings, one after the other."""
    after, found = at(since, of.rule.zone), list[str]()
    while len(found) < count and (firing := next_firing(of, after)) is not None and firing.fires_at is not None:
        found.append(f"{firing.fires_at.astimezone(of.zone):%Y-%m-%d %H:%M}")
        after = firing.fires_at
    return found
