"""What may be known about a contact, as it is stored: pure checks of values from outside."""

import math
from typing import Any

import phonenumbers

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, Verbatim, refuse
from pytake_gql.kernel.events import Changes

MOST_ATTRIBUTES = 100
LONGEST_KEY = 60
LONGEST_VALUE = 2000
LARGEST_NUMBER = 2**53
"""JSON numbers beyond it are not the same in every client."""


def checked(given: Changes, region: str) -> Changes:
    """The given fields as they are stored, or a refusal that names all that is wrong.

    `region` is the ISO 3166 country that a phone without a country code is read in.
    """
    problems, values = Problems(), dict(given)
    with problems.gather():
        if "name" in given:
            values["name"] = text.optional_line(given["name"], "name")
    with problems.gather():
        if "phone" in given:
            values["phone"] = phone(given["phone"], region, "phone")
    with problems.gather():
        if "email" in given:
            values["email"] = text.email(given["email"], "email") if (given["email"] or "").strip() else None
    with problems.gather():
        if "attributes" in given:
            values["attributes"] = attributes(given["attributes"], "attributes")
    problems.raise_if_any()
    return values


def phone(number: str | None, region: str, *path: str) -> str | None:
    """In E.164; None for an empty one."""
    trimmed = (number or "").strip()
    if not trimmed:
        return None
    try:
        parsed = phonenumbers.parse(trimmed, region)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed) or parsed.extension:
        refuse(UserErrorCode.INVALID, "This is no phone number.", *path)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


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
