"""What comes after t: the one function that previews, firing and tests ask (S3). Pure: no clock, no database.

A nominal instant is decided by its own day (exceptions before holidays and weekends), then by the window, and lands
on the instant at which it would fire. Those that land together fire once, as the earliest of them (S6).
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from itertools import islice, takewhile
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from pytake_gql.automation.flow_automations import exceptions, local_time
from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, SpecialDays
from pytake_gql.automation.flow_automations.local_time import instant, shown
from pytake_gql.automation.flow_automations.nominals import Leaves, Nominal, Rule, nominals
from pytake_gql.automation.flow_automations.recurrences import HORIZON
from pytake_gql.automation.flow_automations.windows import Window, WindowPolicy
from pytake_gql.tenancy.organizations.calendar import is_holiday

_DAY = dt.timedelta(days=1)
_SETTLING_DAYS = 2
"""Whatever was deferred has landed by the second allowed day: the first may belong to another day's window."""
_MOST_EXAMINED = 20_000
"""A rule that drops as many in a row is taken to fire no more."""
_SATURDAY = 5

Moved: TypeAlias = tuple[tuple[dt.datetime, Nominal], ...]


class OccurrenceOutcome(StrEnum):
    """Whether an occurrence fires, at its own instant or another."""

    FIRES = "FIRES"
    SKIPPED = "SKIPPED"
    MOVED = "MOVED"


class OccurrenceReason(StrEnum):
    """Why an occurrence does not simply fire at its own time."""

    HOLIDAY = "HOLIDAY"
    WEEKEND = "WEEKEND"
    EXCEPTION = "EXCEPTION"
    WINDOW = "WINDOW"
    CLOCK_CHANGE = "CLOCK_CHANGE"
    COLLAPSED = "COLLAPSED"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A rule and what keeps it from firing."""

    rule: Rule
    window: Window | None = None
    skip_weekends: bool = False
    holiday_region: str | None = None
    """Whose holidays are skipped (S15); None skips none."""
    exceptions: tuple[SpecialDays, ...] = ()
    """In order, without overlaps."""
    jitter_seconds: int = 0
    active_since: dt.datetime | None = None
    """Nominals before it are as if they were not: nothing before creation, nor of a pause, is fired (S9, S20)."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.rule.zone)


@dataclass(frozen=True, slots=True)
class Occurrence:
    nominal: Nominal
    fires_at: dt.datetime | None
    """None when it is skipped."""
    reason: OccurrenceReason | None = None
    special: SpecialDays | None = None
    """The exception that it falls under."""
    falls_with: Nominal | None = None
    """The one that fires instead: of COLLAPSED."""

    @property
    def outcome(self) -> OccurrenceOutcome:
        if self.fires_at is None:
            return OccurrenceOutcome.SKIPPED
        return OccurrenceOutcome.FIRES if self.fires_at == self.nominal.at else OccurrenceOutcome.MOVED


def occurrences(schedule: Schedule, since: dt.datetime) -> Iterator[Occurrence]:
    """All whose nominal instant is not before `since`, in order, skipped ones included."""
    moved, landed = _moved(schedule), dict[dt.datetime, Nominal]()
    for nominal in _nominals(schedule, _settled(schedule, since)):
        found = _decided(schedule, nominal)
        if found.fires_at is not None:
            owner = _owner(schedule, moved, found, landed.setdefault(found.fires_at, nominal))
            if owner != nominal:
                found = Occurrence(nominal, None, OccurrenceReason.COLLAPSED, found.special, owner)
        if nominal.at >= since:
            yield found


def next_firing(schedule: Schedule, after: dt.datetime) -> Occurrence | None:
    """The first that fires later than `after`, or None when none does within eight years."""
    moved, until = _moved(schedule), after + HORIZON
    at = min((target for target, _ in moved if target > after), default=None)
    walk = _nominals(schedule, _settled(schedule, after), lambda day: _leaves(schedule, day))
    # Only a MODIFY lets anything land before its own instant, and then within its day.
    ahead = _DAY if any(special.time is not None for special in schedule.exceptions) else dt.timedelta()
    first: Occurrence | None = None
    for nominal in islice(walk, _MOST_EXAMINED):
        if nominal.at > (until if at is None else at + ahead):
            break
        found = _decided(schedule, nominal)
        if found.fires_at is not None and found.fires_at > after and (at is None or found.fires_at <= at):
            is_earlier = first is None or first.fires_at != found.fires_at
            at, first = found.fires_at, found if is_earlier else first
    if at is None:
        return None
    if first is None or first.fires_at != at:
        first = _decided(schedule, min(nominal for target, nominal in moved if target == at))
    owner = _owner(schedule, moved, first, first.nominal)
    return first if owner == first.nominal else _decided(schedule, owner)


def jitter(schedule: Schedule, automation_id: UUID, firing: Occurrence) -> dt.timedelta:
    """How much later it really starts."""
    return jitter_at(schedule, automation_id, firing.nominal.at)


def jitter_at(schedule: Schedule, automation_id: UUID, nominal: dt.datetime) -> dt.timedelta:
    """The same for the same nominal, and never as late as the next one (S24)."""
    if not schedule.jitter_seconds:
        return dt.timedelta()
    most = schedule.jitter_seconds
    following = next(nominals(schedule.rule, nominal + dt.timedelta(seconds=1)), None)
    if following is not None:
        most = min(most, int((following.at - nominal).total_seconds()) - 1)
    seed = automation_id.bytes + int(nominal.timestamp()).to_bytes(8, "big", signed=True)
    return dt.timedelta(seconds=int.from_bytes(blake2b(seed, digest_size=8).digest(), "big") % (most + 1))


def _nominals(schedule: Schedule, since: dt.datetime, leaves: Leaves | None = None) -> Iterator[Nominal]:
    begins = since if schedule.active_since is None else max(since, schedule.active_since)
    return nominals(schedule.rule, begins, leaves)


def _decided(schedule: Schedule, nominal: Nominal) -> Occurrence:
    """What becomes of it by itself, whatever else may land there."""
    special = exceptions.on(schedule.exceptions, nominal.local.date()) if schedule.exceptions else None
    if special is None:
        if (reason := _day_off(schedule, nominal.local.date())) is not None:
            return Occurrence(nominal, None, reason)
    elif special.kind is ExceptionKind.SKIP:
        return Occurrence(nominal, None, OccurrenceReason.EXCEPTION, special)
    elif special.reschedule_to is not None:
        return Occurrence(nominal, instant(special.reschedule_to, schedule.zone), OccurrenceReason.EXCEPTION, special)
    at, reason = nominal.at, OccurrenceReason.EXCEPTION if special else None
    if special is not None and special.time is not None:
        at = instant(dt.datetime.combine(nominal.local.date(), special.time), schedule.zone)
    window = (special.window if special else None) or schedule.window
    local = _shown(schedule, at, nominal)
    if window is not None and not window.holds(local.time()):
        opening = _opening(schedule, window, at) if window.policy is WindowPolicy.DEFER else None
        return Occurrence(nominal, opening, OccurrenceReason.WINDOW, special)
    if reason is None and local != nominal.local:
        reason = OccurrenceReason.CLOCK_CHANGE
    return Occurrence(nominal, at, reason, special)


def _shown(schedule: Schedule, at: dt.datetime, nominal: Nominal) -> dt.datetime:
    """What the clock shows then: on most days what is nominal."""
    is_steady = at == nominal.at and local_time.steady_offset(nominal.local.date(), schedule.zone) is not None
    return nominal.local if is_steady else shown(at, schedule.zone)


def _day_off(schedule: Schedule, day: dt.date) -> OccurrenceReason | None:
    if schedule.holiday_region is not None and is_holiday(schedule.holiday_region, day):
        return OccurrenceReason.HOLIDAY
    return OccurrenceReason.WEEKEND if schedule.skip_weekends and day.weekday() >= _SATURDAY else None


def _opening(schedule: Schedule, window: Window, after: dt.datetime) -> dt.datetime | None:
    """When the window next opens on an allowed day (S16)."""
    day = shown(after, schedule.zone).date()
    last = min(day + HORIZON, local_time.LAST_DAY)
    while day <= last:
        if _allows(schedule, day):
            at = instant(dt.datetime.combine(day, window.opens_at), schedule.zone)
            if at > after and window.holds(shown(at, schedule.zone).time()):
                return at
        day += _DAY
    return None


def _allows(schedule: Schedule, day: dt.date) -> bool:
    """Whether what is deferred may land on it: no day off, no SKIP."""
    special = exceptions.on(schedule.exceptions, day)
    return _day_off(schedule, day) is None and (special is None or special.kind is not ExceptionKind.SKIP)


def _leaves(schedule: Schedule, day: dt.date) -> bool:
    """Whether nothing of that day fires by a rule of its own; what is rescheduled is found by its target."""
    special = exceptions.on(schedule.exceptions, day)
    if special is None:
        return _day_off(schedule, day) is not None
    return special.kind is not ExceptionKind.MODIFY


def _settled(schedule: Schedule, since: dt.datetime) -> dt.datetime:
    """An instant from which on to look: nothing before it lands at or after `since`, but for what is rescheduled."""
    if schedule.window is None and all(special.window is None for special in schedule.exceptions):
        # A MODIFY moves a time within its day, or nothing lands but where it is named.
        is_plain = all(special.time is None for special in schedule.exceptions)
        return since if is_plain else since - _SETTLING_DAYS * _DAY
    day = local_time.day_of(since, schedule.zone)
    floor = max(local_time.FIRST_DAY + 2 * _DAY, day - HORIZON)
    found = 0
    while day > floor and found < _SETTLING_DAYS:
        day -= _DAY
        found += _allows(schedule, day)
    return min(since, instant(dt.datetime.combine(day, dt.time()), schedule.zone)) - _DAY


def _moved(schedule: Schedule) -> Moved:
    """What is rescheduled: each target, and the earliest nominal that it replaces."""
    if all(special.reschedule_to is None for special in schedule.exceptions):
        return ()
    return _found_moved(schedule)


@lru_cache(maxsize=1024)
def _found_moved(schedule: Schedule) -> Moved:
    found = [
        (instant(special.reschedule_to, schedule.zone), first)
        for special in schedule.exceptions
        if special.reschedule_to is not None and (first := _first_within(schedule, special)) is not None
    ]
    return tuple(found)


def _first_within(schedule: Schedule, special: SpecialDays) -> Nominal | None:
    """No clock change takes a time further than a day past those around it."""
    begins = instant(dt.datetime.combine(special.first, dt.time()), schedule.zone) - _DAY
    ends = dt.datetime.combine(special.last, dt.time.max) + _DAY
    walk = takewhile(lambda nominal: nominal.local <= ends, _nominals(schedule, begins))
    return next((nominal for nominal in walk if special.first <= nominal.local.date() <= special.last), None)


def _owner(schedule: Schedule, moved: Moved, found: Occurrence, earliest: Nominal) -> Nominal:
    """The earliest nominal that lands where this one does; `earliest` is the first of those met on the way."""
    at = found.fires_at
    owners = [earliest, *(nominal for target, nominal in moved if target == at)]
    if at is not None and found.special is not None and found.special.reschedule_to is not None:
        # Its target may lie anywhere, so what else lands there need not have been met.
        walk = _nominals(schedule, _settled(schedule, at), lambda day: _leaves(schedule, day))
        near = takewhile(lambda nominal: nominal.at <= at + _DAY, walk)
        owners += [nominal for nominal in near if _decided(schedule, nominal).fires_at == at][:1]
    return min(owners)


def openings(
    schedule: Schedule, firing: Occurrence, since: dt.datetime, until: dt.datetime
) -> list[tuple[dt.datetime, dt.datetime]] | None:
    """When what was fired may send (S16): [opening, closing), in order; None is at any time.

    A target of RESCHEDULE is not filtered again (S14), so no window binds what fires there.
    """
    special = firing.special
    window = (special.window if special else None) or schedule.window
    if window is None or (special is not None and special.reschedule_to is not None):
        return None
    found, day = [], shown(since, schedule.zone).date() - _DAY
    while (opens_at := instant(dt.datetime.combine(day, window.opens_at), schedule.zone)) < until:
        last = day if window.opens_at < window.closes_at else day + _DAY
        closes_at = instant(dt.datetime.combine(last, window.closes_at), schedule.zone)
        is_own = firing.fires_at is not None and opens_at <= firing.fires_at < closes_at
        if since < closes_at and opens_at < closes_at and (is_own or _allows(schedule, day)):
            found.append((opens_at, closes_at))
        day += _DAY
    return found
