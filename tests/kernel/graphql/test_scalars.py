"""The scalars of the contract: what they print, what they read, what they refuse (G28)."""

import datetime as dt
from typing import Any

import pytest
from strawberry.scalars import JSON

from pytake_gql.kernel.graphql.scalars import SCALARS, LocalDateTime, TimeZone


def read(kind: Any, value: Any) -> Any:
    parse = SCALARS[kind].parse_value
    assert parse is not None
    return parse(value)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (dt.datetime, "2026-03-08T02:30:00-03:00", dt.datetime(2026, 3, 8, 5, 30, tzinfo=dt.UTC)),
        (dt.datetime, "2026-03-08T02:30:00Z", dt.datetime(2026, 3, 8, 2, 30, tzinfo=dt.UTC)),
        (dt.date, "2026-02-28", dt.date(2026, 2, 28)),
        (dt.time, "09:30", dt.time(9, 30)),
        (LocalDateTime, "2026-03-08T02:30", dt.datetime(2026, 3, 8, 2, 30)),  # noqa: DTZ001 - it has no zone
        (TimeZone, "America/Sao_Paulo", "America/Sao_Paulo"),
        (JSON, {"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        (JSON, 2**63 - 1, 2**63 - 1),
    ],
)
def test_what_is_right_is_read(kind: Any, text: Any, expected: Any) -> None:
    assert read(kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (dt.datetime, "2026-03-08T02:30:00"),
        (dt.datetime, 5),
        (dt.date, "2026-02-30"),
        (dt.date, 20260228),
        (dt.time, "25:00"),
        (dt.time, "09:30+01:00"),
        (LocalDateTime, "2026-03-08"),
        (LocalDateTime, "2026-03-08T02:30Z"),
        (TimeZone, "BRT"),
        (TimeZone, "+03:00"),
        (TimeZone, "EST5EDT"),
        (JSON, 2**63),
        (JSON, {"a": [-(2**63) - 1]}),
        (JSON, float("nan")),
        (JSON, [float("inf")]),
    ],
)
def test_what_is_wrong_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        read(kind, value)


def test_instants_and_times_are_printed_as_the_contract_says() -> None:
    def printed(kind: Any, value: Any) -> Any:
        serialize = SCALARS[kind].serialize
        assert serialize is not None
        return serialize(value)

    zone = dt.timezone(dt.timedelta(hours=-3))
    assert printed(dt.datetime, dt.datetime(2026, 3, 8, 2, 30, tzinfo=zone)) == "2026-03-08T05:30:00Z"
    assert printed(dt.time, dt.time(9, 30)) == "09:30"
    assert printed(dt.time, dt.time(9, 30, 5)) == "09:30:05"
    assert printed(LocalDateTime, dt.datetime(2026, 3, 8, 2, 30)) == "2026-03-08T02:30"  # noqa: DTZ001
