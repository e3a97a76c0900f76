"""Typed comparisons of a CONDITION (F7). Pure and total.

Numbers are compared as numbers wherever both sides are ones, also as texts; dates such as 2026-03-08 come in order;
other texts are compared without regard to case and to spaces around them.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from pytake_gql.automation.flows import patterns
from pytake_gql.automation.flows.templates import Value, shown

_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?", re.ASCII)


class Operator(StrEnum):
    """How the left side is held against the right one."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    CONTAINS = "CONTAINS"
    STARTS_WITH = "STARTS_WITH"
    GREATER = "GREATER"
    LESS = "LESS"
    MATCHES = "MATCHES"
    IS_SET = "IS_SET"
    IS_EMPTY = "IS_EMPTY"
    IN = "IN"


NEEDS_NO_RIGHT = frozenset({Operator.IS_SET, Operator.IS_EMPTY})
Right: TypeAlias = Value | Sequence[Value]


def holds(left: Value, operator: Operator, right: Right) -> bool:
    """Whether it is so for one of the right sides; a text GREATER than a number makes no sense and is not."""
    if operator is Operator.IS_SET:
        return not _is_empty(left)
    if operator is Operator.IS_EMPTY:
        return _is_empty(left)
    several = right if isinstance(right, list | tuple) else (right,)
    if operator is Operator.NOT_EQUALS:
        return not any(_equal(left, one) for one in several)
    return any(_COMPARE[operator](left, one) for one in several)


def number(value: Any) -> float | None:
    """What it is as a number, or None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    return float(value) if _NUMBER.fullmatch(value.strip()) else None


def _is_empty(value: Value) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(value: Value) -> str:
    return shown(value).strip().casefold()


def _equal(left: Value, right: Value) -> bool:
    first, second = number(left), number(right)
    if first is not None and second is not None:
        return first == second
    return _text(left) == _text(right)


def _order(left: Value, right: Value) -> float:
    """Below, above or equal to zero as left is to right; zero also where there is no order between them."""
    first, second = number(left), number(right)
    if first is not None and second is not None:
        return first - second
    if first is not None or second is not None or _is_empty(left) or _is_empty(right):
        return 0
    before, after = shown(left).strip(), shown(right).strip()
    if not (_DATE.fullmatch(before) and _DATE.fullmatch(after)):
        return 0
    return (before > after) - (before < after)


def _contains(left: Value, right: Value) -> bool:
    part = _text(right)
    return bool(part) and part in _text(left)


def _starts_with(left: Value, right: Value) -> bool:
    part = _text(right)
    return bool(part) and _text(left).startswith(part)


_COMPARE: Mapping[Operator, Callable[[Value, Value], bool]] = MappingProxyType(
    {
        Operator.EQUALS: _equal,
        Operator.IN: _equal,
        Operator.CONTAINS: _contains,
        Operator.STARTS_WITH: _starts_with,
        Operator.MATCHES: lambda left, right: patterns.matches_inside(shown(right), shown(left)),
        Operator.GREATER: lambda left, right: _order(left, right) > 0,
        Operator.LESS: lambda left, right: _order(left, right) < 0,
    }
)
