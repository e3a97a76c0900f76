"""The scalars of the contract."""

import datetime as dt
import math
import zoneinfo
from functools import cache
from typing import Any, NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

TimeZone = NewType("TimeZone", str)
LocalDateTime = NewType("LocalDateTime", dt.datetime)


def _print_instant(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _read_instant(value: Any) -> dt.datetime:
    if not isinstance(value, str):
        raise TypeError("a DateTime is a text such as 2026-03-08T02:30:00Z")
    instant = dt.datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("a DateTime needs an offset or Z")
    return instant.astimezone(dt.UTC)


def print_time(value: dt.time) -> str:
    """Seconds are printed only when they are not zero."""
    return value.strftime("%H:%M:%S" if value.second else "%H:%M")


def _read_time(value: Any) -> dt.time:
    if not isinstance(value, str):
        raise TypeError("a Time is a text such as 09:30")
    time = dt.time.fromisoformat(value)
    if time.tzinfo is not None or time.microsecond:
        raise ValueError("a Time is wall-clock, in hours, minutes and seconds")
    return time


def _print_local(value: dt.datetime) -> str:
    return f"{value.date().isoformat()}T{print_time(value.time())}"


def _read_local(value: Any) -> dt.datetime:
    if not isinstance(value, str) or "T" not in value:
        raise ValueError("a LocalDateTime is a text such as 2026-03-08T02:30")
    local = dt.datetime.fromisoformat(value)
    if local.tzinfo is not None or local.microsecond:
        raise ValueError("a LocalDateTime has no offset and no fractions")
    return local


def _read_date(value: Any) -> dt.date:
    if not isinstance(value, str):
        raise TypeError("a Date is a text such as 2026-03-08")
    return dt.date.fromisoformat(value)


@cache
def _zones() -> frozenset[str]:
    return frozenset(z for z in zoneinfo.available_timezones() if "/" in z or z == "UTC")


def _read_zone(value: Any) -> str:
    if not isinstance(value, str) or value not in _zones():
        raise ValueError("a TimeZone is an IANA name such as America/Sao_Paulo")
    return value


def _read_json(value: Any) -> Any:
    """JSON as PostgreSQL and every client can hold it: whole numbers of 64 bits at most, no NaN or infinity."""
    if isinstance(value, dict):
        return {key: _read_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_read_json(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a whole number in JSON has at most 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number in JSON is finite")
    return value


def _scalar(name: str, description: str, serialize: Any, parse: Any) -> ScalarDefinition:
    return strawberry.scalar(name=name, description=description, serialize=serialize, parse_value=parse)


SCALARS: dict[Any, ScalarDefinition] = {
    dt.datetime: _scalar("DateTime", "An instant: RFC 3339, printed in UTC.", _print_instant, _read_instant),
    dt.date: _scalar("Date", "A civil date, such as 2026-03-08.", dt.date.isoformat, _read_date),
    dt.time: _scalar("Time", "A wall-clock time of day, such as 09:30.", print_time, _read_time),
    LocalDateTime: _scalar("LocalDateTime", "A civil date and time without an offset.", _print_local, _read_local),
    JSON: _scalar("JSON", "Any JSON value; numbers have at most 64 bits.", lambda value: value, _read_json),
    TimeZone: _scalar("TimeZone", "A time zone by its IANA name.", str, _read_zone),
}
