"""The recurrence function by named cases (schedules.md section 1)."""

import datetime as dt
from itertools import islice
from uuid import UUID

import pytest

from pytake_gql.automation.flow_automations.nominals import nominals
from pytake_gql.automation.flow_automations.schedule import (
    OccurrenceOutcome,
    Schedule,
    jitter,
    next_firing,
    occurrences,
)
from pytake_gql.automation.flow_automations.windows import WindowPolicy
from tests.automation.flow_automations.made import (
    NEW_YORK,
    SAO_PAULO,
    at,
    daily,
    dates,
    fired,
    modify,
    monthly,
    move,
    schedule,
    skip,
    told,
    weekly,
    window,
)

SP = "BR-SP"


def instants(of: Schedule, since: str, count: int) -> list[str]:
    found = islice(nominals(of.rule, at(since)), count)
    return [f"{one.at:%Y-%m-%dT%H:%M}Z {one.local:%d %H:%M}" for one in found]


# ------------------------------------------------------------------------------ clock changes: S4 and S5 and S6


@pytest.mark.parametrize(
    ("zone", "rule", "since", "expected"),
    [
        # New York, 8 March 2026: 02:00 to 03:00 does not exist.
        (NEW_YORK, daily("02:30"), "2026-03-07", ["2026-03-07T07:30Z 07 02:30", "2026-03-08T07:30Z 08 02:30",
                                                  "2026-03-09T06:30Z 09 02:30"]),
        # 1 November 2026: 01:00 to 02:00 comes twice.
        (NEW_YORK, daily("01:30"), "2026-10-31", ["2026-10-31T05:30Z 31 01:30", "2026-11-01T05:30Z 01 01:30",
                                                  "2026-11-02T06:30Z 02 01:30"]),
        # São Paulo, 4 November 2018: midnight to 01:00 does not exist; 17 February: 23:00 to midnight comes twice.
        (SAO_PAULO, daily("00:00"), "2018-11-03T12:00", ["2018-11-04T03:00Z 04 00:00", "2018-11-05T02:00Z 05 00:00"]),
        (SAO_PAULO, daily("00:30"), "2018-11-03T12:00", ["2018-11-04T03:30Z 04 00:30", "2018-11-05T02:30Z 05 00:30"]),
        (SAO_PAULO, daily("23:30"), "2018-02-17T12:00", ["2018-02-18T01:30Z 17 23:30", "2018-02-19T02:30Z 18 23:30"]),
        # Lord Howe moves by half an hour.
        ("Australia/Lord_Howe", daily("02:15"), "2026-10-02T20:00", ["2026-10-03T15:45Z 04 02:15",
                                                                     "2026-10-04T15:15Z 05 02:15"]),
        ("Australia/Lord_Howe", daily("01:45"), "2026-04-03T20:00", ["2026-04-04T14:45Z 05 01:45",
                                                                     "2026-04-05T15:15Z 06 01:45"]),
        # Santiago leaves out the hour after midnight.
        ("America/Santiago", daily("00:30"), "2026-09-05T12:00", ["2026-09-06T04:30Z 06 00:30",
                                                                  "2026-09-07T03:30Z 07 00:30"]),
        # Apia had no 30 December 2011: its times are those of the 31st, 24 hours later.
        ("Pacific/Apia", daily("09:00"), "2011-12-29T12:00", ["2011-12-29T19:00Z 29 09:00",
                                                              "2011-12-30T19:00Z 30 09:00",
                                                              "2011-12-30T19:00Z 31 09:00"]),
    ],
)  # fmt: skip
def test_s4_gaps_move_forward_by_the_gap_and_folds_fire_at_the_first_pass(
    zone: str, rule: object, since: str, expected: list[str]
) -> None:
    assert instants(schedule(rule, zone), since, len(expected)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", ["*", "0-23", "*/1", "0-11,12-23"])
def test_s5_a_cron_of_every_hour_walks_real_time_whatever_its_spelling(hours: str) -> None:
    gap = schedule(f"30 {hours} * * *", NEW_YORK)
    assert instants(gap, "2026-03-08T06:00", 2) == ["2026-03-08T06:30Z 08 01:30", "2026-03-08T07:30Z 08 03:30"]
    assert instants(gap, "2026-11-01T05:00", 3) == [
        "2026-11-01T05:30Z 01 01:30",
        "2026-11-01T06:30Z 01 01:30",
        "2026-11-01T07:30Z 01 02:30",
    ]


def test_s5_a_cron_that_lacks_one_hour_keeps_to_the_wall_clock() -> None:
    most = schedule("30 1-23 * * *", NEW_YORK)
    assert instants(most, "2026-11-01T05:00", 2) == ["2026-11-01T05:30Z 01 01:30", "2026-11-01T07:30Z 01 02:30"]
    assert instants(most, "2026-03-08T07:00", 2) == ["2026-03-08T07:30Z 08 02:30", "2026-03-08T07:30Z 08 03:30"]


def test_s6_what_lands_together_fires_once_as_the_earliest() -> None:
    hours = schedule(daily("01:30 02:30 03:30"), NEW_YORK)
    assert told(hours, "2026-03-08", 4) == [
        "2026-03-08 01:30",
        "2026-03-08 02:30 -> 03-08 03:30 CLOCK_CHANGE",
        "2026-03-08 03:30 - COLLAPSED",
        "2026-03-09 01:30",
    ]
    assert fired(hours, "2026-03-08", 3) == ["2026-03-08 01:30", "2026-03-08 03:30", "2026-03-09 01:30"]
    apia = schedule(daily("09:00"), "Pacific/Apia")
    assert told(apia, "2011-12-29", 3) == [
        "2011-12-29 09:00",
        "2011-12-30 09:00 -> 12-31 09:00 CLOCK_CHANGE",
        "2011-12-31 09:00 - COLLAPSED",
    ]


def test_s6_lists_are_sorted_by_instants_where_local_times_are_not() -> None:
    assert instants(schedule(daily("02:30 03:00"), NEW_YORK), "2026-03-08T00:00", 2) == [
        "2026-03-08T07:00Z 08 03:00",
        "2026-03-08T07:30Z 08 02:30",
    ]


# ------------------------------------------------------------------------------ intervals and months: S7 and S8


def test_s7_days_are_counted_from_the_start_across_year_ends() -> None:
    every_third = schedule(daily("09:00", 3), starts_at="2025-12-30T00:00")
    assert told(every_third, "2025-01-01", 3) == ["2025-12-30 09:00", "2026-01-02 09:00", "2026-01-05 09:00"]
    assert told(every_third, "2026-12-30", 2) == ["2026-12-31 09:00", "2027-01-03 09:00"]


def test_s7_weeks_are_iso_weeks_from_the_one_that_holds_the_start() -> None:
    # 1 January 2026 is a Thursday of the week of 29 December; 2026 has 53 ISO weeks.
    every_second = schedule(weekly([0, 4], "09:00", 2), starts_at="2026-01-01T00:00")
    assert told(every_second, "2025-12-01", 3) == ["2026-01-02 09:00", "2026-01-12 09:00", "2026-01-16 09:00"]
    assert told(every_second, "2026-12-28", 2) == ["2026-12-28 09:00", "2027-01-01 09:00"]
    assert told(every_second, "2027-01-02", 1) == ["2027-01-11 09:00"]


def test_s7_months_are_counted_from_the_month_of_the_start() -> None:
    every_fifth = schedule(monthly(15, interval=5), starts_at="2025-11-20T00:00")
    assert told(every_fifth, "2025-11-01", 3) == ["2026-04-15 09:00", "2026-09-15 09:00", "2027-02-15 09:00"]


def test_s7_without_a_start_the_day_of_creation_is_the_anchor_and_instants_before_it_are_answered_too() -> None:
    # 02:00 UTC on 10 May is still the 9th in São Paulo.
    every_fourth = schedule(daily("09:00", 4), anchor=at("2026-05-10T02:00"))
    assert told(every_fourth, "2026-05-08", 2) == ["2026-05-09 09:00", "2026-05-13 09:00"]
    assert told(every_fourth, "2026-04-30", 2) == ["2026-05-01 09:00", "2026-05-05 09:00"]


def test_s8_the_31st_is_clamped_without_drift_or_skipped() -> None:
    assert told(schedule(monthly(31)), "2027-01-15", 4) == [
        *("2027-01-31 09:00", "2027-02-28 09:00", "2027-03-31 09:00", "2027-04-30 09:00"),
    ]
    assert told(schedule(monthly(31, is_clamped=False)), "2027-01-15", 3) == [
        *("2027-01-31 09:00", "2027-03-31 09:00", "2027-05-31 09:00"),
    ]
    assert told(schedule(monthly(29, 30, 31)), "2027-02-01", 2) == ["2027-02-28 09:00", "2027-03-29 09:00"]


def test_s8_29_february_comes_every_four_years_or_is_the_28th() -> None:
    in_february = monthly(29, interval=12, is_clamped=False)
    assert told(schedule(in_february, starts_at="2026-02-01T00:00"), "2026-01-01", 2) == [
        *("2028-02-29 09:00", "2032-02-29 09:00"),
    ]
    clamped = schedule(monthly(29, interval=12), starts_at="2026-02-01T00:00")
    assert told(clamped, "2026-01-01", 3) == ["2026-02-28 09:00", "2027-02-28 09:00", "2028-02-29 09:00"]
    # 2100 has none: eight years lie between two.
    leap = schedule("0 9 29 2 *", SAO_PAULO)
    assert told(leap, "2096-01-01", 2) == ["2096-02-29 09:00", "2104-02-29 09:00"]


def test_s8_last_days_nth_weekdays_and_fifths() -> None:
    assert told(schedule(monthly(-1)), "2028-01-31T10:00", 2) == ["2028-02-29 09:00", "2028-03-31 09:00"]
    last_friday = schedule(monthly(nths=[(-1, 4)]))
    assert told(last_friday, "2026-01-01", 3) == ["2026-01-30 09:00", "2026-02-27 09:00", "2026-03-27 09:00"]
    fifth_monday = schedule(monthly(nths=[(5, 0)]))
    assert told(fifth_monday, "2026-01-01", 3) == ["2026-03-30 09:00", "2026-06-29 09:00", "2026-08-31 09:00"]
    second_tuesday = schedule(monthly(14, nths=[(2, 1)]))
    assert told(second_tuesday, "2026-03-01", 3) == ["2026-03-10 09:00", "2026-03-14 09:00", "2026-04-14 09:00"]


def test_s8_cron_never_clamps_and_knows_the_last_day() -> None:
    assert told(schedule("0 9 31 * *"), "2026-01-31T10:00", 2) == ["2026-03-31 09:00", "2026-05-31 09:00"]
    assert told(schedule("0 9 L 2 *"), "2027-01-01", 2) == ["2027-02-28 09:00", "2028-02-29 09:00"]
    assert told(schedule("0 9 * * MON#5"), "2026-01-01", 2) == ["2026-03-30 09:00", "2026-06-29 09:00"]


# ------------------------------------------------------------------------------ bounds: S9


def test_s9_bounds_are_local_included_and_of_the_nominal_time() -> None:
    bounded = schedule(daily("09:00 10:00"), starts_at="2026-05-01T10:00", ends_at="2026-05-03T09:00")
    assert told(bounded, "2026-01-01", 10) == [
        *("2026-05-01 10:00", "2026-05-02 09:00", "2026-05-02 10:00", "2026-05-03 09:00"),
    ]
    # 02:30 is moved past the end, and yet inside it.
    gap = schedule(daily("02:30"), NEW_YORK, starts_at="2026-03-08T02:30", ends_at="2026-03-08T02:30")
    assert told(gap, "2026-01-01", 10) == ["2026-03-08 02:30 -> 03-08 03:30 CLOCK_CHANGE"]


def test_s9_count_counts_nominals_also_those_that_are_skipped() -> None:
    # 2 May 2026 is a Saturday.
    counted = schedule(daily("09:00"), starts_at="2026-05-01T00:00", count=4, skip_weekends=True)
    everything = ["2026-05-01 09:00", "2026-05-02 09:00 - WEEKEND", "2026-05-03 09:00 - WEEKEND", "2026-05-04 09:00"]
    assert told(counted, "2026-01-01", 10) == everything
    assert told(counted, "2026-05-03", 10) == everything[2:]
    assert told(counted, "2026-05-05", 10) == []
    assert fired(counted, "2026-05-01T09:00", 10) == ["2026-05-04 09:00"]


def test_s9_without_a_start_count_begins_with_the_creation() -> None:
    counted = schedule(daily("09:00"), count=2, anchor=at("2026-05-01T15:00"))
    assert told(counted, "2026-01-01", 10) == ["2026-05-02 09:00", "2026-05-03 09:00"]


def test_s9_what_falls_together_counts_each_time() -> None:
    apia = schedule(daily("09:00"), "Pacific/Apia", starts_at="2011-12-29T00:00", count=3)
    assert told(apia, "2011-12-01", 10) == [
        "2011-12-29 09:00",
        "2011-12-30 09:00 -> 12-31 09:00 CLOCK_CHANGE",
        "2011-12-31 09:00 - COLLAPSED",
    ]


def test_s2_once_and_dates_carry_seconds_and_know_no_pace() -> None:
    listed = schedule(dates("2026-05-01T09:00:01", "2026-05-01T09:00:02"), SAO_PAULO)
    found = list(occurrences(listed, at("2026-01-01")))
    assert [one.fires_at for one in found] == [at("2026-05-01T12:00:01"), at("2026-05-01T12:00:02")]


def test_s12_what_does_not_come_round_for_eight_years_has_ended() -> None:
    never = schedule(
        monthly(29, interval=12, is_clamped=False), starts_at="2026-04-01T00:00", ends_at="2026-04-02T00:00"
    )
    assert (told(never, "2026-01-01", 5), next_firing(never, at("2026-01-01"))) == ([], None)
    assert next_firing(schedule("0 0 30 2 *"), at("2026-01-01")) is None
    assert list(occurrences(schedule("0 0 30 2 *"), at("2026-01-01"))) == []


# ------------------------------------------------------------------------------ days off and exceptions: S14 and S15


def test_s15_holidays_and_weekends_are_skipped_by_the_nominal_date() -> None:
    # 25 December 2026 is a Friday; 9 July is one of the state of São Paulo alone.
    workdays = schedule(daily("09:00"), skip_weekends=True, holiday_region=SP)
    assert told(workdays, "2026-12-24", 5) == [
        "2026-12-24 09:00",
        "2026-12-25 09:00 - HOLIDAY",
        "2026-12-26 09:00 - WEEKEND",
        "2026-12-27 09:00 - WEEKEND",
        "2026-12-28 09:00",
    ]
    assert told(workdays, "2026-07-09", 1) == ["2026-07-09 09:00 - HOLIDAY"]
    assert fired(workdays, "2026-12-24T09:00", 1) == ["2026-12-28 09:00"]


def test_s14_skip_drops_its_first_and_its_last_day_and_no_other() -> None:
    skipping = schedule(daily("00:00 23:55"), exceptions=[skip("2026-05-02", "2026-05-03")])
    assert told(skipping, "2026-05-01T12:00", 6) == [
        "2026-05-01 23:55",
        "2026-05-02 00:00 - EXCEPTION",
        "2026-05-02 23:55 - EXCEPTION",
        "2026-05-03 00:00 - EXCEPTION",
        "2026-05-03 23:55 - EXCEPTION",
        "2026-05-04 00:00",
    ]
    assert fired(skipping, "2026-05-01T12:00", 2) == ["2026-05-01 23:55", "2026-05-04 00:00"]


def test_s14_reschedule_replaces_all_in_its_range_by_one() -> None:
    moved = schedule(daily("09:00 15:00"), exceptions=[move("2026-05-04", "2026-05-06T12:00", last="2026-05-05")])
    assert told(moved, "2026-05-03T12:00", 7) == [
        "2026-05-03 15:00",
        "2026-05-04 09:00 -> 05-06 12:00 EXCEPTION",
        "2026-05-04 15:00 - COLLAPSED",
        "2026-05-05 09:00 - COLLAPSED",
        "2026-05-05 15:00 - COLLAPSED",
        "2026-05-06 09:00",
        "2026-05-06 15:00",
    ]
    assert fired(moved, "2026-05-03T15:00", 4) == [
        *("2026-05-06 09:00", "2026-05-06 12:00", "2026-05-06 15:00", "2026-05-07 09:00"),
    ]


def test_s14_a_target_is_not_filtered_again_and_may_lie_past_the_end_or_before() -> None:
    # 31 October 2026 is a Saturday, 1 November a Sunday: the target is at night, on a weekend, after the end.
    late = schedule(
        monthly(31),
        skip_weekends=True,
        window=window("09:00-18:00"),
        ends_at="2026-10-31T23:59",
        exceptions=[move("2026-10-31", "2026-11-01T23:30")],
    )
    assert told(late, "2026-10-01", 9) == ["2026-10-31 09:00 -> 11-01 23:30 EXCEPTION"]
    assert fired(late, "2026-10-01", 9) == ["2026-11-01 23:30"]
    early = schedule(monthly(31), exceptions=[move("2026-12-31", "2026-12-30T15:00")])
    assert fired(early, "2026-11-30T09:00", 2) == ["2026-12-30 15:00", "2027-01-31 09:00"]
    assert told(early, "2026-12-31", 2) == ["2026-12-31 09:00 -> 12-30 15:00 EXCEPTION", "2027-01-31 09:00"]


def test_s14_reschedule_of_days_without_a_nominal_does_nothing() -> None:
    idle = schedule(weekly([0], "09:00"), exceptions=[move("2026-05-05", "2026-05-05T12:00")])
    assert fired(idle, "2026-05-04T09:00", 1) == ["2026-05-11 09:00"]


def test_s6_s14_a_target_that_meets_another_firing_falls_together_with_it() -> None:
    onto_earlier = schedule(daily("09:00"), exceptions=[move("2026-05-20", "2026-05-04T09:00")])
    assert told(onto_earlier, "2026-05-20", 1) == ["2026-05-20 09:00 - COLLAPSED"]
    assert fired(onto_earlier, "2026-05-03T09:00", 2) == ["2026-05-04 09:00", "2026-05-05 09:00"]
    onto_later = schedule(daily("09:00"), exceptions=[move("2026-05-04", "2026-06-20T09:00")])
    assert told(onto_later, "2026-06-20", 2) == ["2026-06-20 09:00 - COLLAPSED", "2026-06-21 09:00"]
    firing = next_firing(onto_later, at("2026-06-19T12:00"))
    assert firing is not None
    assert (firing.nominal.local.isoformat(), firing.outcome) == ("2026-05-04T09:00:00", OccurrenceOutcome.MOVED)


def test_s14_modify_gives_another_time_or_window() -> None:
    changed = schedule(
        daily("09:00 20:00"),
        window=window("08:00-18:00", WindowPolicy.SKIP),
        exceptions=[modify("2026-05-02", time="10:30"), modify("2026-05-03", window=window("20:00-21:00"))],
    )
    assert told(changed, "2026-05-01", 7) == [
        "2026-05-01 09:00",
        "2026-05-01 20:00 - WINDOW",
        "2026-05-02 09:00 -> 05-02 10:30 EXCEPTION",
        "2026-05-02 20:00 - COLLAPSED",
        "2026-05-03 09:00 -> 05-03 20:00 WINDOW",
        "2026-05-03 20:00 - COLLAPSED",
        "2026-05-04 09:00",
    ]
    earlier = schedule(daily("20:00"), exceptions=[modify("2026-05-02", time="07:00")])
    assert fired(earlier, "2026-05-01T20:00", 2) == ["2026-05-02 07:00", "2026-05-03 20:00"]


def test_s15_reschedule_and_modify_win_over_holidays_and_weekends_and_skip_is_named_first() -> None:
    # 25 and 26 December 2026: holiday and Saturday.
    winning = schedule(
        daily("09:00"),
        skip_weekends=True,
        holiday_region="BR",
        exceptions=[modify("2026-12-25", time="11:00"), move("2026-12-26", "2026-12-26T12:00"), skip("2027-01-01")],
    )
    assert told(winning, "2026-12-25", 2) == [
        "2026-12-25 09:00 -> 12-25 11:00 EXCEPTION",
        "2026-12-26 09:00 -> 12-26 12:00 EXCEPTION",
    ]
    assert told(winning, "2027-01-01", 1) == ["2027-01-01 09:00 - EXCEPTION"]
    assert fired(winning, "2026-12-24T09:00", 3) == ["2026-12-25 11:00", "2026-12-26 12:00", "2026-12-28 09:00"]


# ------------------------------------------------------------------------------ windows: S16


@pytest.mark.parametrize(
    ("hours", "time", "expected"),
    [
        ("09:00-18:00", "08:59", "2026-05-05 08:59 -> 05-05 09:00 WINDOW"),
        ("09:00-18:00", "09:00", "2026-05-05 09:00"),
        ("09:00-18:00", "17:59", "2026-05-05 17:59"),
        ("09:00-18:00", "18:00", "2026-05-05 18:00 -> 05-06 09:00 WINDOW"),
        ("22:00-06:00", "21:59", "2026-05-05 21:59 -> 05-05 22:00 WINDOW"),
        ("22:00-06:00", "22:00", "2026-05-05 22:00"),
        ("22:00-06:00", "00:00", "2026-05-05 00:00"),
        ("22:00-06:00", "05:59", "2026-05-05 05:59"),
        ("22:00-06:00", "06:00", "2026-05-05 06:00 -> 05-05 22:00 WINDOW"),
        ("00:00-06:00", "07:00", "2026-05-05 07:00 -> 05-06 00:00 WINDOW"),
        ("18:00-00:00", "17:00", "2026-05-05 17:00 -> 05-05 18:00 WINDOW"),
        ("18:00-00:00", "00:00", "2026-05-05 00:00 -> 05-05 18:00 WINDOW"),
    ],
)
def test_s16_a_window_holds_its_opening_and_not_its_closing(hours: str, time: str, expected: str) -> None:
    assert told(schedule(daily(time), window=window(hours)), "2026-05-05", 1) == [expected]


def test_s16_deferral_goes_to_the_next_opening_on_an_allowed_day() -> None:
    # Friday 20:00 before Christmas Eve's long leave: the next allowed day is Tuesday the 29th.
    deferring = schedule(
        weekly([1, 3], "09:00 20:00"),
        window=window("09:00-18:00"),
        skip_weekends=True,
        holiday_region="BR",
        exceptions=[skip("2026-12-28")],
    )
    assert told(deferring, "2026-12-24", 4) == [
        "2026-12-24 09:00",
        "2026-12-24 20:00 -> 12-29 09:00 WINDOW",
        "2026-12-29 09:00 - COLLAPSED",
        "2026-12-29 20:00 -> 12-30 09:00 WINDOW",
    ]
    assert told(deferring, "2026-12-29", 1) == ["2026-12-29 09:00 - COLLAPSED"]
    assert fired(deferring, "2026-12-24T09:00", 2) == ["2026-12-29 09:00", "2026-12-30 09:00"]


def test_s16_a_window_in_a_gap_opens_the_next_day_and_one_on_no_day_never() -> None:
    gap = schedule(dates("2026-03-08T00:00"), NEW_YORK, window=window("02:00-03:00"))
    assert fired(gap, "2026-03-07", 2) == ["2026-03-09 02:00"]
    never = schedule(
        dates("2026-03-08T00:00"), window=window("02:00-03:00"), exceptions=[skip("2026-03-09", "2036-01-01")]
    )
    assert told(never, "2026-03-01", 2) == ["2026-03-08 00:00 -> 03-08 02:00 WINDOW"]
    shut = schedule(
        dates("2026-03-08T04:00"), window=window("02:00-03:00"), exceptions=[skip("2026-03-09", "2036-01-01")]
    )
    assert told(shut, "2026-03-01", 2) == ["2026-03-08 04:00 - WINDOW"]
    assert fired(shut, "2026-03-01", 2) == []


def test_s9_s20_nominals_before_the_activation_are_as_if_they_were_not() -> None:
    nights = schedule(
        daily("20:00 22:00"), window=window("09:00-18:00"), active_since=at("2026-05-01T21:00", SAO_PAULO)
    )
    # That of 20:00 would be the earliest of those that land at 09:00.
    assert told(nights, "2026-05-01T00:00", 2) == [
        "2026-05-01 22:00 -> 05-02 09:00 WINDOW",
        "2026-05-02 20:00 -> 05-03 09:00 WINDOW",
    ]
    gone = schedule(
        daily("09:00"), exceptions=[move("2026-05-01", "2026-05-01T23:00")], active_since=at("2026-05-01T15:00")
    )
    assert fired(gone, "2026-05-01T12:00", 1) == ["2026-05-02 09:00"]


def test_a_rule_that_is_never_inside_its_window_is_given_up_in_time() -> None:
    dense = schedule("*/5 12-23 * * *", window=window("09:00-09:01", WindowPolicy.SKIP))
    assert fired(dense, "2026-01-01", 1) == []


# ------------------------------------------------------------------------------ jitter: S24


def test_s24_jitter_is_of_the_nominal_and_shorter_than_the_way_to_the_next() -> None:
    spread = schedule("*/5 * * * *", jitter_seconds=3600)
    found = list(islice(occurrences(spread, at("2026-05-01")), 300))
    one, other = UUID(int=1), UUID(int=2)
    drawn = [jitter(spread, one, occurrence) for occurrence in found]
    assert drawn == [jitter(spread, one, occurrence) for occurrence in found]
    assert drawn != [jitter(spread, other, occurrence) for occurrence in found]
    assert all(dt.timedelta() <= delay < dt.timedelta(minutes=5) for delay in drawn)
    assert len(set(drawn)) > 150
    calm = schedule(daily("09:00"), jitter_seconds=60)
    delays = [jitter(calm, one, occurrence) for occurrence in islice(occurrences(calm, at("2026-05-01")), 300)]
    assert dt.timedelta(seconds=55) < max(delays) <= dt.timedelta(seconds=60)
    assert jitter(schedule(daily("09:00")), one, found[0]) == dt.timedelta()
