"""How a queue is set up: pure checks of values from outside."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.events import Changes
from pytake_gql.tenancy.organizations import opening_hours

YEAR_IN_MINUTES = 365 * 24 * 60
YEAR_IN_HOURS = 365 * 24
LARGEST = 1_000_000

REQUIRED = (
    *("department_id", "slug", "is_active", "priority", "routing_strategy", "auto_assign", "sla"),
    *("opening_hours", "required_skills", "order", "reopen_within_hours", "member_ids"),
)
"""What null does not clear."""


def checked(given: Changes) -> tuple[Changes, Problems]:
    """The given fields as they are stored, and all that is wrong with them."""
    problems, values = Problems(), dict(given)
    for name in REQUIRED:
        if name in given and given[name] is None:
            problems.add(UserErrorCode.REQUIRED, "This is required.", name)
            del values[name]
    for name, check in _CHECKS.items():
        if name in values:
            with problems.gather():
                values[name] = check(values[name])
    return values, problems


def leads_back(queue_id: UUID, overflow_queue_id: UUID, overflows: Mapping[UUID, UUID]) -> bool:
    """Whether the chain of overflows that begins there comes to this queue (D9)."""
    at: UUID | None = overflow_queue_id
    for _ in range(len(overflows) + 1):
        if at is None or at == queue_id:
            break
        at = overflows.get(at)
    return at == queue_id


def _opening_hours(spans: list[opening_hours.OpeningSpan]) -> list[dict[str, Any]]:
    return opening_hours.to_json(opening_hours.checked(spans, "opening_hours"))


def _within(least: int, greatest: int, *path: str) -> Callable[[int | None], int | None]:
    def check(value: int | None) -> int | None:
        if value is not None and not least <= value <= greatest:
            template = "A whole number from {least} to {greatest}."
            refuse(UserErrorCode.INVALID, template, *path, least=least, greatest=greatest)
        return value

    return check


_CHECKS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "name": lambda value: text.line(value, "name"),
        "slug": lambda value: text.slug(value, "slug"),
        "description": lambda value: text.paragraph(value, "description"),
        "color": lambda value: text.color(value or "", "color"),
        "icon": lambda value: text.optional_line(value, "icon", longest=60),
        "priority": _within(0, 100, "priority"),
        "first_response_minutes": _within(1, YEAR_IN_MINUTES, "sla", "first_response_minutes"),
        "next_response_minutes": _within(1, YEAR_IN_MINUTES, "sla", "next_response_minutes"),
        "resolution_minutes": _within(1, YEAR_IN_MINUTES, "sla", "resolution_minutes"),
        "opening_hours": _opening_hours,
        "relax_skills_after_seconds": _within(1, LARGEST, "relax_skills_after_seconds"),
        "max_size": _within(1, LARGEST, "max_size"),
        "reopen_within_hours": _within(0, YEAR_IN_HOURS, "reopen_within_hours"),
    }
)
