"""A preview from any instant is the tail of the list, and firings are what the list says fires (S3, S6).

Random schedules with everything: windows, days off, exceptions, bounds, counts.
"""

import datetime as dt
from collections.abc import Sequence
from itertools import islice, takewhile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, SpecialDays
from pytake_gql.automation.flow_automations.nominals import Rule
from pytake_gql.automation.flow_automations.schedule import Occurrence, Schedule, next_firing, occurrences
from pytake_gql.automation.flow_automations.windows import Window, WindowPolicy
from tests.automation.flow_automations.test_agreement import CHANGES, UTC, rules

DAY = dt.timedelta(days=1)
SPAN = 20 * DAY
MOST_TIMES = 12
MINUTES = st.integers(0, 1439).map(lambda minute: dt.time(minute // 60, minute % 60))


def windows() -> st.SearchStrategy[Window]:
    times = st.tuples(MINUTES, MINUTES).filter(lambda two: two[0] != two[1])
    return st.builds(lambda two, policy: Window(two[0], two[1], policy), times, st.sampled_from(WindowPolicy))


def is_sparse(rule: Any) -> bool:
    return len(rule.times) <= MOST_TIMES


@st.composite
def specials(draw: st.DrawFn, around: dt.datetime) -> Sequence[SpecialDays]:
    """Some ranges without overlaps."""
    cuts = sorted(draw(st.sets(st.integers(-25, 25), max_size=6)))
    made = []
    for first, last in zip(cuts[::2], cuts[1::2], strict=False):
        kind = draw(st.sampled_from(ExceptionKind))
        target = around + dt.timedelta(minutes=draw(st.integers(-40 * 96, 40 * 96)) * 15)
        made.append(
            SpecialDays(
                kind,
                around.date() + first * DAY,
                around.date() + last * DAY,
                reschedule_to=target if kind is ExceptionKind.RESCHEDULE else None,
                time=draw(st.none() | MINUTES) if kind is ExceptionKind.MODIFY else None,
                window=draw(st.none() | windows()) if kind is ExceptionKind.MODIFY else None,
            )
        )
    return made


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Schedule, dt.datetime]:
    """And an instant near which a clock changes."""
    zone, day = draw(st.sampled_from(CHANGES))
    around = dt.datetime.fromisoformat(day)
    near = st.integers(-30 * 24, 30 * 24).map(lambda hour: around + dt.timedelta(hours=hour))
    rule = Rule(
        zone,
        draw(rules().filter(is_sparse)),
        anchor=draw(near).replace(tzinfo=UTC),
        starts_at=draw(st.none() | near),
        ends_at=draw(st.none() | near),
        count=draw(st.none() | st.integers(1, 60)),
    )
    made = Schedule(
        rule,
        window=draw(st.none() | windows()),
        skip_weekends=draw(st.booleans()),
        holiday_region=draw(st.sampled_from([None, "BR-SP", "US"])),
        exceptions=tuple(draw(specials(around))),
    )
    return made, around.replace(tzinfo=UTC)


def whole_list(of: Schedule, since: dt.datetime, until: dt.datetime) -> list[Occurrence]:
    return list(takewhile(lambda one: one.nominal.at < until, occurrences(of, since)))


@settings(max_examples=25, deadline=None, database=None)
@given(made=schedules(), cut=st.integers(-20 * 1440, 20 * 1440))
def test_s3_a_preview_from_any_instant_is_the_tail_of_the_list(made: tuple[Schedule, dt.datetime], cut: int) -> None:
    of, middle = made
    found = whole_list(of, middle - SPAN, middle + SPAN)
    later = middle + dt.timedelta(minutes=cut)
    cuts = [later, *(one.nominal.at for one in found[:: len(found) // 3 + 1])]
    for since in cuts:
        tail = [one for one in found if one.nominal.at >= since]
        assert list(islice(occurrences(of, since), len(tail))) == tail


@settings(max_examples=25, deadline=None, database=None)
@given(made=schedules())
def test_s3_s6_what_fires_next_is_what_the_list_says_fires(made: tuple[Schedule, dt.datetime]) -> None:
    of, middle = made
    # What is rescheduled may come from afar, so the list reaches further than the firings that are compared.
    found = [one for one in whole_list(of, middle - 50 * DAY, middle + 50 * DAY) if one.fires_at is not None]
    instants = [one.fires_at for one in found if one.fires_at is not None]
    assert len(set(instants)) == len(instants)
    begin, end = middle - 8 * DAY, middle + 8 * DAY
    expected = sorted(zip(instants, found, strict=True), key=lambda pair: pair[0])
    after, fired = begin, []
    while (firing := next_firing(of, after)) is not None and firing.fires_at is not None and firing.fires_at < end:
        fired.append(firing)
        after = firing.fires_at
    assert fired == [one for at, one in expected if begin < at < end]
