"""What may be known about a contact, as it is stored: pure checks of values from outside."""

import math
from typing import Any

from pytake_gql.desk.attributes import values as custom
from pytake_gql.desk.contacts import phones
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, Verbatim, refuse
from pytake_gql.kernel.events import Changes

MOST_ATTRIBUTES = 100
LONGEST_KEY = 60
LONGEST_VALUE = 2000
LARGEST_NUMBER = 2**53
"""JSON numbers beyond it are not the same in every client."""

PERSONAL = frozenset({"name", "phone", "email", "attributes"})
"""What erasing a contact takes away: nothing that cannot be erased, such as the audit log, may hold it."""


def checked(given: Changes, region: str, definitions: custom.Definitions) -> Changes:
    """The given fields as they are stored, or a refusal that names all that is wrong.

    `region` is the ISO 3166 country that a phone without a country code is read in; `definitions` are those of the
    organization's custom fields.
    """
    problems, values = Problems(), dict(given)
    with problems.gather():
        if "name" in given:
            values["name"] = text.optional_line(given["name"], "name")
    with problems.gather():
        if "phone" in given:
            values["phone"] = phones.e164(given["phone"], region, "phone")
    with problems.gather():
        if "email" in given:
            values["email"] = text.email(given["email"], "email") if (given["email"] or "").strip() else None
    with problems.gather():
        if "attributes" in given:
            values["attributes"] = attributes(given["attributes"], "attributes")
            custom.check(values["attributes"], definitions, "attributes")
    problems.raise_if_any()
    return values


def told(changes: Changes) -> Changes:
    """As the audit log may keep them: of what is personal only whether it was and is known."""
    return {
        name: {"from": bool(change["from"]), "to": bool(change["to"])} if name in PERSONAL else change
        for name, change in changes.items()
        if name != "phone_key"
    }


def attributes(given: Any, *path: str) -> dict[str, str | int | float | bool]:
    """A flat object: key to text, number, true or false."""
    if given is None:
        refuse(UserErrorCode.REQUIRED, "This is required.", *path)
    if not isinstance(given, dict):
        refuse(UserErrorCode.INVALID, "This is an object of keys and values.", *path)
    if len(given) > MOST_ATTRIBUTES:
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", *path, most=MOST_ATTRIBUTES)
    problems = Problems()
    for key, value in given.items():
        with problems.gather():
            text.line(key, *path, Verbatim(key), longest=LONGEST_KEY)
            _check_value(value, *path, Verbatim(key))
    problems.raise_if_any()
    return given


def _check_value(value: Any, *path: str) -> None:
    if isinstance(value, str):
        if len(value) > LONGEST_VALUE:
            refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=LONGEST_VALUE)
    elif isinstance(value, bool):
        return
    elif not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > LARGEST_NUMBER:
        refuse(UserErrorCode.INVALID, "Only text, numbers, true and false.", *path)
