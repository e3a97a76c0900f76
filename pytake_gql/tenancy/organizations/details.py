"""What an organization's fields may hold. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.translation import LOCALES
from pytake_gql.tenancy.organizations import calendar, frontends, opening_hours

# ISO 3166-1 alpha-2, and -2 for a subdivision.
_REGION = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?", re.ASCII)


def checked(given: Mapping[str, Any]) -> Changes:
    """The values as they are stored, or a refusal that names all that is wrong.

    `opening_hours` are spans and become JSON; `frontends` stay a list of `GivenFrontend`.
    """
    problems, values = Problems(), dict(given)
    for name in given.keys() & _CHECKS.keys():
        with problems.gather():
            values[name] = _CHECKS[name](given[name])
    problems.found.sort(key=lambda problem: list(given).index(problem.field[0]))
    problems.raise_if_any()
    return values


def _required(name: str, check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked_value(value: Any) -> Any:
        if value is None:
            refuse(UserErrorCode.REQUIRED, "This is required.", name)
        return check(value)

    return checked_value


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: check(value.strip()) if value and value.strip() else None


def _locale(value: str) -> str:
    if value not in LOCALES:
        refuse(UserErrorCode.INVALID, "One of: {locales}.", "locale", locales=", ".join(LOCALES))
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        refuse(UserErrorCode.INVALID, "A region has the form BR or BR-SP.", "holiday_region")
    if not calendar.knows_region(value):
        refuse(UserErrorCode.INVALID, "The holidays of this country are not known.", "holiday_region")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": lambda value: text.line(value, "name"),
    "slug": _required("slug", lambda value: text.slug(value, "slug")),
    "logo_url": _optional(lambda value: text.web_address(value, "logo_url")),
    "timezone": _required("timezone", str),
    "locale": _required("locale", _locale),
    "holiday_region": _optional(_region),
    "opening_hours": _required(
        "opening_hours", lambda value: opening_hours.to_json(opening_hours.checked(value, "opening_hours"))
    ),
    "admin_email": lambda value: text.email(value, "admin_email"),
    "admin_name": lambda value: text.line(value, "admin_name"),
    "is_active": _required("is_active", bool),
    "frontends": _required("frontends", lambda value: frontends.checked(value, "frontends")),
}
