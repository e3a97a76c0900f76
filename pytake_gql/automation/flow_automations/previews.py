"""Parts of a schedule's list, bounded: what previews, validations and `upcoming` show (S3, S13). Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, islice, takewhile
from uuid import UUID

from pytake_gql.automation.flow_automations.cron import Cron
from pytake_gql.automation.flow_automations.nominals import Rule, nominals
from pytake_gql.automation.flow_automations.schedule import Occurrence, Schedule, jitter, occurrences

MOST = 366
_RUNS = 5
_EARLIEST, _LATEST = dt.datetime(1, 2, 1, tzinfo=dt.UTC), dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


def preview(schedule: Schedule, since: dt.datetime, until: dt.datetime | None, count: int) -> list[Occurrence]:
    """At most `count` from `since` on, those at `until` excluded."""
    listed = occurrences(schedule, max(since, _EARLIEST)) if since < _LATEST else iter(())
    if until is not None:
        listed = takewhile(lambda occurrence: occurrence.nominal.at < until, listed)
    return list(islice(listed, count))


def next_runs(cron: Cron, zone: str, now: dt.datetime) -> Sequence[dt.datetime]:
    """The next five instants; what falls together is one."""
    runs = (nominal.at for nominal in nominals(Rule(zone, cron, now), now))
    return [at for at, _ in islice(groupby(runs), _RUNS)]


def upcoming(schedule: Schedule, automation_id: UUID, now: dt.datetime, count: int) -> list[Occurrence]:
    """As an automation will really do it: with its own jitter."""
    found = preview(schedule, now, None, count)
    if not schedule.jitter_seconds:
        return found
    return [
        replace(one, fires_at=one.fires_at and one.fires_at + jitter(schedule, automation_id, one)) for one in found
    ]
