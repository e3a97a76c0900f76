"""The recurrence against a walk by minutes, over zones with clock changes and random rules (S3-S9, S11).

A sample here; `--long` takes every zone that has a change in these years.
"""

import datetime as dt
import zoneinfo
from itertools import takewhile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytake_gql.automation.flow_automations import cron
from pytake_gql.automation.flow_automations.nominals import Rule, nominals
from pytake_gql.automation.flow_automations.recurrences import (
    Daily,
    MissingDayPolicy,
    Monthly,
    Nth,
    Recurrence,
    Weekly,
)
from tests.automation.flow_automations.walk import walked

UTC = dt.UTC
# Days around a change, by zone: hours, half hours, midnight, a whole day left out, a fold across midnight.
CHANGES = [
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-09-06"),
    ("America/Santiago", "2026-04-05"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Kwajalein", "1993-08-21"),
    ("America/St_Johns", "2006-10-29"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Asia/Kathmandu", "2026-02-28"),
]


def times() -> st.SearchStrategy[tuple[dt.time, ...]]:
    minute = st.one_of(st.integers(0, 1439), st.sampled_from([0, 30, 60, 90, 119, 120, 150, 1380, 1410, 1439]))
    made = st.sets(minute, min_size=1, max_size=6)
    return made.map(lambda found: tuple(dt.time(one // 60, one % 60) for one in sorted(found)))


def fields(least: int, greatest: int) -> st.SearchStrategy[str]:
    number = st.integers(least, greatest)
    span = st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, greatest)).map(lambda two: f"{two[0]}/{two[1]}")
    item = st.one_of(number.map(str), span, stepped)
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


def crons() -> st.SearchStrategy[Recurrence]:
    minute = st.sampled_from(["0", "30", "*/5", "0,30", "7-59/10", "59"])
    hour = st.one_of(st.sampled_from(["*", "0-23", "*/1", "0", "1,2,3", "23"]), fields(0, 23))
    month_day = st.one_of(st.just("*"), st.just("L"), fields(1, 31))
    weekday = st.one_of(st.just("*"), fields(0, 6), st.sampled_from(["0#1", "5#3,7#5", "1,3#2", "5-7"]))
    text = st.tuples(minute, hour, month_day, st.one_of(st.just("*"), fields(1, 12)), weekday).map(" ".join)
    return text.map(cron.parse)


def rules() -> st.SearchStrategy[Recurrence]:
    nth = st.builds(Nth, nth=st.sampled_from([-1, 1, 2, 3, 4, 5]), weekday=st.integers(0, 6))
    month_days = st.sets(st.sampled_from([-1, 1, 4, 8, 18, 21, 28, 29, 30, 31]), max_size=3)
    return st.one_of(
        st.builds(Daily, interval=st.integers(1, 9), times=times()),
        st.builds(
            Weekly,
            interval=st.integers(1, 5),
            weekdays=st.sets(st.integers(0, 6), min_size=1).map(lambda found: tuple(sorted(found))),
            times=times(),
        ),
        st.builds(
            Monthly,
            interval=st.integers(1, 5),
            month_days=month_days.map(tuple),
            nth_weekdays=st.lists(nth, min_size=1, max_size=2).map(tuple),
            times=times(),
            missing_day=st.sampled_from(MissingDayPolicy),
        ),
        crons(),
    )


@st.composite
def made(draw: st.DrawFn, around: dt.datetime, zone: str) -> Rule:
    near = st.integers(-4 * 1440, 4 * 1440).map(lambda minute: around + dt.timedelta(minutes=minute))
    begins, ends = draw(st.none() | near), draw(st.none() | near)
    return Rule(
        zone,
        draw(rules()),
        anchor=draw(near).replace(tzinfo=UTC),
        starts_at=begins,
        ends_at=max(begins, ends) if begins and ends else ends,
    )


def agree(rule: Rule, since: dt.datetime, until: dt.datetime) -> None:
    expected = walked(rule, since, until)
    found = [(one.at, one.local) for one in takewhile(lambda one: one.at < until, nominals(rule, since))]
    assert found == expected
    # The tail from any of them on, and from between them (S3).
    for index in range(0, len(expected), max(1, len(expected) // 7)):
        for later in (expected[index][0], expected[index][0] + dt.timedelta(seconds=1)):
            tail = [(n.at, n.local) for n in takewhile(lambda one: one.at < until, nominals(rule, later))]
            assert tail == [pair for pair in expected if pair[0] >= later]


def check(zone: str, around: dt.datetime, examples: int, days: float) -> None:
    middle = around.replace(tzinfo=UTC)

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(rule=made(around, zone))
    def compare(rule: Rule) -> None:
        agree(rule, middle - dt.timedelta(days=days), middle + dt.timedelta(days=days))

    compare()


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_s3_to_s9_it_agrees_with_a_walk_by_minutes(zone: str, day: str, *, is_long: bool) -> None:
    check(zone, dt.datetime.fromisoformat(day), *((300, 3) if is_long else (8, 1.5)))


def changes(zone: str) -> list[dt.datetime]:
    """The days of three years on which the zone's clock changes."""
    clock, start = zoneinfo.ZoneInfo(zone), dt.datetime(2025, 1, 1, tzinfo=UTC)
    days = [start + dt.timedelta(days=index) for index in range(3 * 366)]
    offsets = [day.astimezone(clock).utcoffset() for day in days]
    return [day for day, before, after in zip(days, offsets, offsets[1:], strict=False) if before != after]


def test_s3_to_s9_it_agrees_over_every_zone_with_changes(*, is_long: bool) -> None:
    if not is_long:
        pytest.skip("minutes long: --long")
    for zone in sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone):
        for day in changes(zone):
            check(zone, day.replace(tzinfo=None), 10, 2)
