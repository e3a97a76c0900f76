"""Parts of a schedule's list, bounded: what previews, validations and `upcoming` show (S3, S13). Pure."""

import datetime as dt
from collections.abc import Sequence
from itertools import groupby, islice, takewhile

from pytake_gql.automation.flow_automations.cron import Cron
from pytake_gql.automation.flow_automations.nominals import Rule, nominals
from pytake_gql.automation.flow_automations.schedule import Occurrence, Schedule, occurrences

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
