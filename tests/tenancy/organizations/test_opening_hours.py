"""Weekly spans: order, overlaps, nights and the week's end."""

import datetime as dt

import pytest

from pytake_gql.kernel.errors import Refusal, UserErrorCode
from pytake_gql.tenancy.organizations.opening_hours import MOST_SPANS, OpeningSpan, Weekday, checked, from_json, to_json


def span(text: str) -> OpeningSpan:
    """Reads `MON 09:00-18:00`."""
    day, times = text.split()
    opens_at, closes_at = (dt.time.fromisoformat(part) for part in times.split("-"))
    return OpeningSpan(next(w for w in Weekday if w.value.startswith(day)), opens_at, closes_at)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["MON 09:00-12:00", "MON 12:00-18:00"],
        ["MON 00:00-00:00", "TUE 00:00-00:00"],
        ["FRI 22:00-06:00", "SAT 06:00-22:00"],
        ["SUN 22:00-06:00", "MON 06:00-09:00"],
        ["SUN 00:00-00:00", "MON 00:00-00:00"],
        ["MON 09:00-09:00", "TUE 09:00-09:00"],
    ],
)
def test_spans_that_touch_do_not_overlap(texts: list[str]) -> None:
    spans = [span(text) for text in texts]
    assert sorted(checked(spans, "opening_hours"), key=spans.index) == spans


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        (["MON 09:00-12:00", "MON 11:59-18:00"], ["1"]),
        (["MON 11:59-18:00", "MON 09:00-12:00"], ["0"]),
        (["MON 09:00-18:00", "MON 09:00-18:00"], ["1"]),
        (["MON 09:00-18:00", "MON 10:00-11:00", "MON 17:00-19:00"], ["1", "2"]),
        (["FRI 22:00-06:00", "SAT 05:00-22:00"], ["1"]),
        (["SUN 22:00-06:00", "MON 05:00-09:00"], ["1"]),
        (["MON 00:00-00:00", "MON 23:00-01:00"], ["1"]),
    ],
)
def test_overlaps_are_named_by_their_index(texts: list[str], wrong: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        checked([span(text) for text in texts], "opening_hours")
    assert [(p.code, p.field) for p in refused.value.problems] == [
        (UserErrorCode.INVALID, ("opening_hours", index)) for index in wrong
    ]


def test_they_are_kept_in_the_weeks_order() -> None:
    spans = [span("TUE 09:00-12:00"), span("MON 14:00-18:00"), span("MON 09:00-12:00")]
    assert checked(spans, "opening_hours") == [spans[2], spans[1], spans[0]]


def test_fifty_are_the_most() -> None:
    hours = [OpeningSpan(day, dt.time(hour), dt.time(hour, 30)) for day in Weekday for hour in range(8)]
    assert len(checked(hours[:MOST_SPANS], "opening_hours")) == 50
    with pytest.raises(Refusal) as refused:
        checked(hours[: MOST_SPANS + 1], "opening_hours")
    assert [(p.code, p.field) for p in refused.value.problems] == [(UserErrorCode.TOO_MANY, ("opening_hours",))]


def test_what_is_stored_is_read_back() -> None:
    spans = [span("MON 09:00-12:00:30"), span("SUN 22:00-06:00")]
    assert to_json(spans)[0] == {"weekday": "MONDAY", "opens_at": "09:00:00", "closes_at": "12:00:30"}
    assert from_json(to_json(spans)) == spans
