"""Which firings an outage leaves to be made up for (S18). Pure."""

import datetime as dt
from uuid import UUID

import pytest

from pytake_gql.automation.flow_automations.due import due, first_after
from pytake_gql.automation.flow_automations.schedule import Schedule, openings
from pytake_gql.automation.flow_automations.settings import CatchUpPolicy
from tests.automation.flow_automations.made import (
    SAO_PAULO,
    at,
    daily,
    dates,
    move,
    schedule,
    window,
)

ONE = UUID(int=1)
HOURLY = schedule("0 * * * *", "UTC")


def told(of: Schedule, since: str, now: str, policy: CatchUpPolicy, seconds: int = 3600) -> tuple[list[str], list[str]]:
    """What is run and what was missed, by their nominal times."""
    found = due(of, ONE, at(since), at(now), policy, seconds)
    names = [[f"{firing.occurrence.nominal.at:%H:%M}" for firing in some] for some in (found.run, found.missed)]
    return names[0], names[1]


@pytest.mark.parametrize(
    ("policy", "now", "run", "missed"),
    [
        (CatchUpPolicy.LATEST, "09:00:59", ["09:00"], []),
        (CatchUpPolicy.NONE, "09:00:59", ["09:00"], []),
        (CatchUpPolicy.NONE, "09:05", [], ["09:00"]),
        (CatchUpPolicy.LATEST, "12:30", ["12:00"], ["09:00", "10:00", "11:00"]),
        (CatchUpPolicy.ALL, "12:30", ["12:00"], ["09:00", "10:00", "11:00"]),
        (CatchUpPolicy.NONE, "12:30", [], ["09:00", "10:00", "11:00", "12:00"]),
        (CatchUpPolicy.LATEST, "12:00:30", ["12:00"], ["09:00", "10:00", "11:00"]),
        (CatchUpPolicy.ALL, "12:00", ["11:00", "12:00"], ["09:00", "10:00"]),
    ],
)
def test_s18_what_was_missed_is_made_up_for_inside_its_time(
    policy: CatchUpPolicy, now: str, run: list[str], missed: list[str]
) -> None:
    assert told(HOURLY, "2026-05-01T09:00", f"2026-05-01T{now}", policy) == (run, missed)


def test_s18_all_runs_at_most_a_hundred_the_oldest_first() -> None:
    found = due(schedule("*/5 * * * *", "UTC"), ONE, at("2026-05-01"), at("2026-05-01T12:02"), CatchUpPolicy.ALL, 86400)
    assert [len(found.run), len(found.missed)] == [100, 45]
    assert found.run[0].occurrence.nominal.at == at("2026-05-01")
    assert found.following is not None
    assert found.following.fires_at == at("2026-05-01T12:05")


def test_s18_a_very_long_outage_is_dealt_with_piece_by_piece() -> None:
    dense = schedule("*/5 * * * *", "UTC")
    first = due(dense, ONE, at("2026-05-01"), at("2026-05-05T12:02"), CatchUpPolicy.LATEST, 3600)
    assert (first.run, len(first.missed)) == ([], 1000)
    assert first.following is not None
    rest = due(dense, ONE, first.following.fires_at, at("2026-05-05T12:02"), CatchUpPolicy.LATEST, 3600)
    assert [firing.fires_at for firing in rest.run] == [at("2026-05-05T12:00")]
    assert len(first.missed) + len(rest.missed) + len(rest.run) == 4 * 288 + 145


def test_s2_dates_that_are_seconds_apart_all_run() -> None:
    listed = schedule(dates("2026-05-01T09:00:01", "2026-05-01T09:00:02"), "UTC")
    assert told(listed, "2026-05-01T09:00:01", "2026-05-01T09:00:10", CatchUpPolicy.LATEST) == (["09:00", "09:00"], [])
    assert due(listed, ONE, at("2026-05-01"), at("2026-05-02"), CatchUpPolicy.NONE, 0).following is None


def test_s24_jitter_holds_back_the_start_and_not_the_order() -> None:
    spread = schedule("*/5 * * * *", "UTC", jitter_seconds=3600)
    firing = first_after(spread, ONE, at("2026-05-01"))
    assert firing is not None
    assert firing.fires_at == at("2026-05-01T00:05")
    assert dt.timedelta() < firing.starts_at - firing.fires_at < dt.timedelta(minutes=5)
    before = firing.starts_at - dt.timedelta(seconds=1)
    assert due(spread, ONE, firing.fires_at, before, CatchUpPolicy.ALL, 3600).run == []
    assert due(spread, ONE, firing.fires_at, firing.starts_at, CatchUpPolicy.ALL, 3600).run == [firing]


def test_s16_an_execution_may_send_in_the_openings_of_allowed_days() -> None:
    # Friday, 1 May 2026.
    nights = schedule(daily("23:00"), SAO_PAULO, window=window("22:00-06:00"), skip_weekends=True)
    firing = first_after(nights, ONE, at("2026-05-01T12:00"))
    assert firing is not None
    found = openings(nights, firing.occurrence, firing.fires_at, firing.fires_at + dt.timedelta(hours=72))
    assert found == [
        (at("2026-05-01T22:00", SAO_PAULO), at("2026-05-02T06:00", SAO_PAULO)),
        (at("2026-05-04T22:00", SAO_PAULO), at("2026-05-05T06:00", SAO_PAULO)),
    ]
    moved = schedule(daily("09:00"), window=window("08:00-18:00"), exceptions=[move("2026-05-02", "2026-05-02T23:00")])
    target = first_after(moved, ONE, at("2026-05-02T20:00"))
    assert target is not None
    assert openings(moved, target.occurrence, target.fires_at, target.fires_at + dt.timedelta(hours=72)) is None
    assert openings(HOURLY, target.occurrence, target.fires_at, target.fires_at + dt.timedelta(hours=72)) is None
