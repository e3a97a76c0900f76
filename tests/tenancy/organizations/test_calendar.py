"""Opening time, to the second: days, nights, holidays, and both changes of the clock (D23)."""

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytake_gql.kernel.errors import Refusal, UserErrorCode
from pytake_gql.tenancy.organizations import calendar as calendars
from pytake_gql.tenancy.organizations.calendar import Calendar
from pytake_gql.tenancy.organizations.opening_hours import OpeningSpan, Weekday, checked

SAO_PAULO, NEW_YORK = "America/Sao_Paulo", "America/New_York"
WEEK = ("MON", "TUE", "WED", "THU", "FRI")
OFFICE = [f"{day} {times}" for day in WEEK for times in ("09:00-12:00", "13:00-17:00")]
NIGHTS = [f"{day} 22:00-06:00" for day in WEEK]
ALL_DAY = [f"{day.value[:3]} 00:00-00:00" for day in Weekday]


def span(text: str) -> OpeningSpan:
    """Reads `MON 09:00-18:00`."""
    day, times = text.split()
    opens_at, closes_at = (dt.time.fromisoformat(part) for part in times.split("-"))
    return OpeningSpan(next(w for w in Weekday if w.value.startswith(day)), opens_at, closes_at)


def calendar(texts: list[str], zone: str = SAO_PAULO, region: str | None = None) -> Calendar:
    return Calendar(tuple(checked([span(text) for text in texts])), zone, region)


def at(text: str, zone: str = SAO_PAULO, *, fold: int = 0) -> dt.datetime:
    """The instant at which the zone's clock shows this."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(dt.UTC)


@pytest.mark.parametrize(
    ("hours", "start", "minutes", "due"),
    [
        # 2026-03-06 is a Friday.
        (OFFICE, "2026-03-06T16:30", 60, "2026-03-09T09:30"),
        (OFFICE, "2026-03-06T16:30:07", 60, "2026-03-09T09:30:07"),
        (OFFICE, "2026-03-06T16:30", 30, "2026-03-06T17:00"),
        (OFFICE, "2026-03-06T11:59:59", 1, "2026-03-06T13:00:59"),
        (OFFICE, "2026-03-06T12:00", 1, "2026-03-06T13:01"),
        (OFFICE, "2026-03-06T17:00", 1, "2026-03-09T09:01"),
        (OFFICE, "2026-03-07T10:00", 7 * 60, "2026-03-09T17:00"),
        (OFFICE, "2026-03-06T09:00", 5 * 7 * 60 + 1, "2026-03-13T09:01"),
        (NIGHTS, "2026-03-06T23:00", 60 * 7, "2026-03-07T06:00"),
        (NIGHTS, "2026-03-06T23:00", 60 * 7 + 1, "2026-03-09T22:01"),
        (NIGHTS, "2026-03-07T05:59:30", 1, "2026-03-09T22:00:30"),
        (NIGHTS, "2026-03-09T00:30", 1, "2026-03-09T22:01"),
        (ALL_DAY, "2026-03-06T16:30", 60 * 24, "2026-03-07T16:30"),
        ([], "2026-03-06T16:30", 60, "2026-03-06T17:30"),
    ],
)
def test_d23_a_deadline_counts_opening_time_alone(hours: list[str], start: str, minutes: int, due: str) -> None:
    kept = calendar(hours)
    assert kept.add_open_seconds(at(start), minutes * 60) == at(due)
    assert kept.open_seconds_between(at(start), at(due)) == minutes * 60


@pytest.mark.parametrize(
    ("hours", "start", "seconds", "due"),
    [
        # The night of 8 March 2026 has no hour from 2 to 3.
        (["SUN 00:00-06:00"], "2026-03-08T00:00", 5 * 3600, "2026-03-08T06:00"),
        (["SUN 00:00-06:00"], "2026-03-08T01:59:59", 2, "2026-03-08T03:00:01"),
        (["SUN 02:30-06:00"], "2026-03-08T00:00", 1, "2026-03-08T03:00:01"),
        (["SUN 01:00-02:30"], "2026-03-08T00:00", 3600, "2026-03-08T03:00"),
        (["SUN 01:00-02:30"], "2026-03-08T00:00", 3601, "2026-03-15T01:00:01"),
        (["SUN 02:10-02:50"], "2026-03-08T00:00", 1, "2026-03-15T02:10:01"),
        (["SAT 22:00-06:00"], "2026-03-07T22:00", 7 * 3600, "2026-03-08T06:00"),
        # A week across that change: the 40 hours of the offices stay 40, those of the nights lose one.
        ([f"{day} 09:00-17:00" for day in WEEK], "2026-03-06T09:00", 40 * 3600, "2026-03-12T17:00"),
        (ALL_DAY, "2026-03-06T12:00", 7 * 24 * 3600, "2026-03-13T13:00"),
        # The night of 1 November 2026 has the hour from 1 to 2 twice, and is an hour longer.
        (["SUN 00:00-06:00"], "2026-11-01T00:00", 7 * 3600, "2026-11-01T06:00"),
        (["SUN 01:00-02:00"], "2026-11-01T00:00", 2 * 3600, "2026-11-01T02:00"),
        (["SAT 22:00-06:00"], "2026-10-31T22:00", 9 * 3600, "2026-11-01T06:00"),
        ([f"{day} 09:00-17:00" for day in WEEK], "2026-10-30T09:00", 40 * 3600, "2026-11-05T17:00"),
        (ALL_DAY, "2026-10-30T12:00", 7 * 24 * 3600, "2026-11-06T11:00"),
    ],
)
def test_d23_a_deadline_is_right_across_both_clock_changes_of_new_york(
    hours: list[str], start: str, seconds: int, due: str
) -> None:
    kept = calendar(hours, NEW_YORK)
    assert kept.add_open_seconds(at(start, NEW_YORK), seconds) == at(due, NEW_YORK)
    assert kept.open_seconds_between(at(start, NEW_YORK), at(due, NEW_YORK)) == seconds


def test_d23_what_ends_in_the_hour_that_comes_twice_ends_in_the_first_of_them() -> None:
    kept = calendar(["SUN 00:00-01:30", "SUN 01:30-03:00"], NEW_YORK)
    first, second = at("2026-11-01T01:30", NEW_YORK), at("2026-11-01T01:30", NEW_YORK, fold=1)
    assert second - first == dt.timedelta(hours=1)
    early, late = calendar(["SUN 00:00-01:30"], NEW_YORK), calendar(["SUN 01:30-03:00"], NEW_YORK)
    just_before = first - dt.timedelta(seconds=1)
    assert [early.is_open(just_before), early.is_open(first), early.is_open(second)] == [True, False, False]
    assert [late.is_open(just_before), late.is_open(first), late.is_open(second)] == [False, True, True]
    assert kept.open_seconds_between(at("2026-11-01T00:00", NEW_YORK), at("2026-11-01T03:00", NEW_YORK)) == 4 * 3600


@pytest.mark.parametrize(
    ("hours", "region", "start", "seconds", "due"),
    [
        # Thursday 2026-07-09 is the state's day in São Paulo, and a working day in the rest of Brazil.
        (OFFICE, "BR-SP", "2026-07-08T16:30", 3600, "2026-07-10T09:30"),
        (OFFICE, "BR", "2026-07-08T16:30", 3600, "2026-07-09T09:30"),
        (OFFICE, None, "2026-07-08T16:30", 3600, "2026-07-09T09:30"),
        # The night that starts on the eve runs into the holiday; the one that starts on it is closed.
        (NIGHTS, "BR-SP", "2026-07-08T23:00", 7 * 3600, "2026-07-09T06:00"),
        (NIGHTS, "BR-SP", "2026-07-08T23:00", 7 * 3600 + 1, "2026-07-10T22:00:01"),
        (ALL_DAY, "BR-SP", "2026-07-08T12:00", 13 * 3600, "2026-07-10T01:00"),
        # Open at all times has nothing that a holiday could close.
        ([], "BR-SP", "2026-07-08T16:30", 24 * 3600, "2026-07-09T16:30"),
        # A subdivision without holidays of its own has its country's.
        (OFFICE, "BR-ZZ", "2026-12-24T16:30", 3600, "2026-12-28T09:30"),
    ],
)
def test_d23_holidays_of_the_region_close_what_starts_on_them(
    hours: list[str], region: str | None, start: str, seconds: int, due: str
) -> None:
    assert calendar(hours, region=region).add_open_seconds(at(start), seconds) == at(due)


@pytest.mark.parametrize(
    ("when", "is_open", "opens"),
    [
        ("2026-03-06T08:59:59", False, "2026-03-06T09:00"),
        ("2026-03-06T09:00", True, "2026-03-06T09:00"),
        ("2026-03-06T11:59:59.999999", True, "2026-03-06T11:59:59.999999"),
        ("2026-03-06T12:00", False, "2026-03-06T13:00"),
        ("2026-03-06T17:00", False, "2026-03-09T09:00"),
    ],
)
def test_d23_it_opens_with_the_first_moment_and_is_closed_at_the_last(when: str, is_open: bool, opens: str) -> None:
    kept = calendar(OFFICE)
    assert (kept.is_open(at(when)), kept.next_opening(at(when))) == (is_open, at(opens))


def test_what_is_not_due_within_eight_years_is_never_due() -> None:
    rarely = calendar(["MON 09:00-09:01"])
    assert rarely.add_open_seconds(at("2026-03-06T09:00"), 60 * 418) == at("2034-03-06T09:01")
    assert rarely.add_open_seconds(at("2026-03-06T09:00"), 60 * 419) is None
    assert calendar([]).add_open_seconds(at("2026-03-06T09:00"), 365 * 24 * 3600) == at("2027-03-06T09:00")


def test_a_time_before_its_start_has_no_opening_time() -> None:
    for hours in (OFFICE, []):
        assert calendar(hours).open_seconds_between(at("2026-03-06T10:00"), at("2026-03-05T10:00")) == 0


def test_d23_a_calendar_that_never_opens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    now = at("2026-03-06T09:00")
    sundays = calendar(["SUN 09:00-17:00"], region="SE")
    calendars.require_opening(sundays, now, "opening_hours")
    monkeypatch.setattr(calendars, "is_holiday", lambda region, day: (region, day.weekday()) == ("SE", 6))
    with pytest.raises(Refusal) as refused:
        calendars.require_opening(sundays, now, "opening_hours")
    assert [(p.code, p.field) for p in refused.value.problems] == [(UserErrorCode.INVALID, ("opening_hours",))]


def test_regions_are_known_by_their_country() -> None:
    assert [calendars.knows_region(region) for region in ("BR", "BR-SP", "BR-ZZ", "XX", "XX-YY")] == [
        *(True, True, True, False, False)
    ]


# ------------------------------------------------------------------------------- against a walk by minutes

MINUTE = dt.timedelta(minutes=1)
ZONES = [NEW_YORK, SAO_PAULO, "Europe/Lisbon", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
# A Friday on which a week begins that holds the change in New York and, but for the second, in other zones too.
WEEKS = ["2026-03-06", "2026-10-30", "2026-03-27", "2026-10-02", "2018-11-02"]


@st.composite
def hours(draw: st.DrawFn) -> tuple[OpeningSpan, ...]:
    """Some spans that do not overlap, of whole minutes: cuts of the week, every other piece of at most a day."""
    cuts = sorted(draw(st.sets(st.integers(0, 7 * 1440 - 1), min_size=2, max_size=12)))
    spans = []
    for opens, closes in zip(cuts[::2], cuts[1::2], strict=False):
        ends = min(closes, opens + 1440)
        times = [dt.time(minute % 1440 // 60, minute % 60) for minute in (opens, ends)]
        spans.append(OpeningSpan(tuple(Weekday)[opens // 1440], *times))
    return tuple(checked(spans))


def walked(kept: Calendar, start: dt.datetime, minutes: int) -> list[bool]:
    """Whether it is open in each minute: by the latest time that the clock has shown until then."""
    zone, shown = ZoneInfo(kept.zone), dt.datetime.min  # noqa: DTZ901 - by the wall clock
    days: dict[dt.date, set[dt.datetime]] = {}
    found = []
    for index in range(-180, minutes):
        shown = max(shown, (start + index * MINUTE).astimezone(zone).replace(tzinfo=None))
        today = shown.date()
        for day in (today, today - dt.timedelta(days=1)):
            if day not in days:
                days[day] = set(_open_minutes(kept, day))
        if index >= 0:
            found.append(any(shown in days[day] for day in (today, today - dt.timedelta(days=1))))
    return found


def _open_minutes(kept: Calendar, day: dt.date) -> Iterator[dt.datetime]:
    """All that the clock shows while the spans are open that start on this day."""
    if kept.holiday_region is not None and calendars.is_holiday(kept.holiday_region, day):
        return
    for one in kept.spans:
        if one.weekday is tuple(Weekday)[day.weekday()]:
            opens = dt.datetime.combine(day, one.opens_at)
            yield from (opens + index * MINUTE for index in range((one.end - one.start) // 60))


@settings(max_examples=40, deadline=None)
@given(
    spans=hours(),
    zone=st.sampled_from(ZONES),
    region=st.sampled_from([None, "BR-SP", "US"]),
    week=st.sampled_from(WEEKS),
    offset=st.integers(0, 600),
    wanted=st.integers(1, 3000),
)
def test_d23_it_agrees_with_a_walk_by_minutes(
    spans: tuple[OpeningSpan, ...], zone: str, region: str | None, week: str, offset: int, wanted: int
) -> None:
    kept = Calendar(spans, zone, region)
    start = at(week, zone) + offset * MINUTE
    is_open = walked(kept, start, 4 * 1440)
    assert kept.open_seconds_between(start, start + len(is_open) * MINUTE) == 60 * sum(is_open)
    for index in range(0, len(is_open), 37):
        assert kept.is_open(start + index * MINUTE) is is_open[index]
    if wanted <= sum(is_open):
        last = [index for index, opened in enumerate(is_open) if opened][wanted - 1]
        assert kept.add_open_seconds(start, wanted * 60) == start + (last + 1) * MINUTE
