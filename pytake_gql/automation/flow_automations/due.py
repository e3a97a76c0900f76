"""Which firings are due, and which of them are still to be made up for after an outage (S18). Pure."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from pytake_gql.automation.flow_automations.schedule import Occurrence, Schedule, jitter, next_firing
from pytake_gql.automation.flow_automations.settings import CatchUpPolicy

GRACE = dt.timedelta(seconds=60)
"""What is later than this was missed: a rule has a resolution of minutes (S2)."""
MOST_CAUGHT_UP = 100
_MOST = 1000
_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Firing:
    """A nominal that is due or comes next, and when it really starts."""

    occurrence: Occurrence
    fires_at: dt.datetime
    """Before jitter: firings follow one another by it."""
    starts_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be run, what was missed for good, and what comes after both."""

    run: Sequence[Firing]
    missed: Sequence[Firing]
    following: Firing | None


def first_after(schedule: Schedule, automation_id: UUID, after: dt.datetime) -> Firing | None:
    found = next_firing(schedule, after)
    if found is None or found.fires_at is None:
        return None
    return Firing(found, found.fires_at, found.fires_at + jitter(schedule, automation_id, found))


def due(
    schedule: Schedule, automation_id: UUID, since: dt.datetime, now: dt.datetime, policy: CatchUpPolicy, seconds: int
) -> Due:
    """Of the firings from `since` on. Of a very long outage the beginning: the rest is due again at once."""
    walk = _from(schedule, automation_id, since)
    found: list[Firing] = []
    following = None
    for firing in islice(walk, _MOST):
        if firing.starts_at > now:
            following = firing
            break
        found.append(firing)
    else:
        following = next(walk, None)
    is_rest_due = following is not None and following.starts_at <= now
    run = _to_run(found, now, policy, dt.timedelta(seconds=seconds), is_rest_due=is_rest_due)
    kept = set(run)
    return Due(run, [firing for firing in found if firing not in kept], following)


def _to_run(
    found: Sequence[Firing], now: dt.datetime, policy: CatchUpPolicy, reach: dt.timedelta, *, is_rest_due: bool
) -> list[Firing]:
    """In order. What is on time runs whatever the policy."""
    on_time = [firing for firing in found if now - firing.starts_at <= GRACE]
    missed = [firing for firing in found if GRACE < now - firing.starts_at <= reach]
    if policy is CatchUpPolicy.ALL:
        return [*missed[:MOST_CAUGHT_UP], *on_time]
    if policy is CatchUpPolicy.LATEST and not on_time and not is_rest_due:
        return missed[-1:]
    return on_time


def _from(schedule: Schedule, automation_id: UUID, since: dt.datetime) -> Iterator[Firing]:
    after = since - _INSTANT
    while (firing := first_after(schedule, automation_id, after)) is not None:
        yield firing
        after = firing.fires_at
