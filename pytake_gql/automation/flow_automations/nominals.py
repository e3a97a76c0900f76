"""The instants that a rule names, before holidays, exceptions and windows have their say (S1-S9). Pure."""

import datetime as dt
import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from pytake_gql.automation.flow_automations import local_time
from pytake_gql.automation.flow_automations.local_time import FIRST_DAY, instant, instants
from pytake_gql.automation.flow_automations.recurrences import Days, Recurrence

_DAY = dt.timedelta(days=1)
"""No clock change moves a time further: Apia and Kwajalein left out a whole one."""


@dataclass(frozen=True, slots=True, order=True)
class Nominal:
    """One occurrence of a rule; in order of instants, and of local times where two fall together (S6)."""

    at: dt.datetime
    local: dt.datetime


@dataclass(frozen=True, slots=True)
class Rule:
    """What comes round, where, and within which bounds."""

    zone: str
    recurrence: Recurrence
    anchor: dt.datetime
    """When the rule was made: without a start, intervals are counted from this day and `count` from this instant."""
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    """Local, included, of the nominal time (S9)."""
    count: int | None = None

    @property
    def anchor_day(self) -> dt.date:
        if self.starts_at is not None:
            return self.starts_at.date()
        return local_time.day_of(self.anchor, ZoneInfo(self.zone))


Leaves = Callable[[dt.date], bool]
"""Whether nothing of that day matters to whoever asks."""


def nominals(rule: Rule, since: dt.datetime, leaves: Leaves | None = None) -> Iterator[Nominal]:
    """Those at or after that instant, in order, without end where the rule has none."""
    last = _last(rule) if rule.count is not None else None
    if rule.count is not None and last is None:
        return
    for nominal in _within_bounds(rule, since, leaves):
        if last is not None and nominal > last:
            return
        yield nominal


@lru_cache(maxsize=4096)
def _last(rule: Rule) -> Nominal | None:
    """The one that `count` ends with, or the last before that."""
    last = None
    for nominal in islice(_within_bounds(rule, _beginning(rule), None), rule.count):
        last = nominal
    return last


def _beginning(rule: Rule) -> dt.datetime:
    """An instant before which nothing counts."""
    if rule.starts_at is None:
        return rule.anchor
    return instant(rule.starts_at, ZoneInfo(rule.zone)) - _DAY


def _within_bounds(rule: Rule, since: dt.datetime, leaves: Leaves | None) -> Iterator[Nominal]:
    """From the day before on: what a gap moves forward may come a day later."""
    if rule.count is not None:
        since = max(since, _beginning(rule))
    zone = ZoneInfo(rule.zone)
    first = max(local_time.day_of(since, zone), FIRST_DAY + _DAY) - _DAY
    if rule.starts_at is not None:
        first = max(first, rule.starts_at.date())
    days = takewhile(lambda pair: rule.ends_at is None or pair[0] <= rule.ends_at.date(), _days(rule, first, leaves))
    for nominal in _in_order(rule, zone, days, since):
        if nominal.at >= since:
            yield nominal


def _days(rule: Rule, first: dt.date, leaves: Leaves | None) -> Days:
    for day, times in rule.recurrence.days(rule.anchor_day, first):
        if leaves is None or not leaves(day):
            yield day, times


def _in_order(rule: Rule, zone: ZoneInfo, days: Days, since: dt.datetime) -> Iterator[Nominal]:
    """Local times run in order, instants do not.

    What a gap moves forward passes what comes after the gap, and the second pass of a fold comes after all of the
    first. So each waits until nothing can come before it.
    """
    waiting: list[Nominal] = []
    for day, times in days:
        if waiting:
            earliest = _earliest(day, zone)
            while waiting and waiting[0].at <= earliest:
                yield heapq.heappop(waiting)
        steady = local_time.steady_offset(day, zone)
        if steady is not None:
            found = _of_steady_day(rule, day, times, steady, since)
        else:
            found = _of_changing_day(rule, zone, day, times)
        if waiting or steady is None:
            for nominal in found:
                heapq.heappush(waiting, nominal)
        else:
            yield from found
    while waiting:
        yield heapq.heappop(waiting)


def _of_steady_day(
    rule: Rule, day: dt.date, times: Sequence[dt.time], offset: dt.timedelta, since: dt.datetime
) -> Iterator[Nominal]:
    """In order, without those before `since`: most days are such, and most of a day's times are not asked for."""
    begins = (since + offset).replace(tzinfo=None)
    first = 0 if begins.date() < day else bisect_left(times, begins.time()) if begins.date() == day else len(times)
    is_bounded = any(bound is not None and bound.date() == day for bound in (rule.starts_at, rule.ends_at))
    for time in islice(times, first, None):
        local = dt.datetime.combine(day, time)
        if not is_bounded or _is_within(rule, local):
            yield Nominal(local.replace(tzinfo=dt.UTC) - offset, local)


def _of_changing_day(rule: Rule, zone: ZoneInfo, day: dt.date, times: Sequence[dt.time]) -> Iterator[Nominal]:
    find = instants if rule.recurrence.walks_real_time else _one_instant
    for time in times:
        local = dt.datetime.combine(day, time)
        if _is_within(rule, local):
            for at in find(local, zone):
                yield Nominal(at, local)


def _one_instant(local: dt.datetime, zone: ZoneInfo) -> tuple[dt.datetime]:
    return (instant(local, zone),)


def _earliest(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """No time of this day or a later one lies before it: one that a gap skips may lie after those that follow."""
    midnight = dt.datetime.combine(day, dt.time())
    at = instant(midnight, zone)
    return at if local_time.exists(midnight, zone) else at - _DAY


def _is_within(rule: Rule, local: dt.datetime) -> bool:
    if rule.starts_at is not None and local < rule.starts_at:
        return False
    return rule.ends_at is None or local <= rule.ends_at
