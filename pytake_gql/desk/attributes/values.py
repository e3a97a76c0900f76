"""Values of custom fields: whether they are what their definition says, and how a text is read as one. Pure."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import TypeAlias

from pytake_gql.desk.attributes.models import ContactAttribute, ContactAttributeKind
from pytake_gql.kernel.errors import Problems, UserErrorCode, Verbatim, refuse

Value: TypeAlias = str | int | float | bool
Definitions: TypeAlias = Mapping[str, ContactAttribute]
"""By their keys."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_WORDS = {"true": True, "yes": True, "sim": True, "false": False, "no": False, "não": False, "nao": False}


def check(values: Mapping[str, Value], definitions: Definitions, *path: str) -> None:
    """Refuses values that are not what the definition of their key says; the path ends with the key."""
    problems = Problems()
    for key, value in values.items():
        if key in definitions:
            with problems.gather():
                _check_one(value, definitions[key], *path, Verbatim(key))
    problems.raise_if_any()


def fitting(values: Mapping[str, Value], definitions: Definitions) -> dict[str, Value]:
    """Those that are what their definition says, or have none."""
    return {key: value for key, value in values.items() if key not in definitions or _fits(value, definitions[key])}


def read(text: str, definition: ContactAttribute) -> Value:
    """What a text, such as a cell of a table, means; itself where it means nothing of that kind."""
    match definition.kind:
        case ContactAttributeKind.NUMBER if _NUMBER.fullmatch(text):
            return float(text) if "." in text else int(text)
        case ContactAttributeKind.BOOLEAN:
            return _WORDS.get(text.lower(), text)
        case ContactAttributeKind.CHOICE:
            return next((choice for choice in definition.choices if choice.casefold() == text.casefold()), text)
    return text


def _check_one(value: Value, definition: ContactAttribute, *path: str) -> None:
    if _fits(value, definition):
        return
    match definition.kind:
        case ContactAttributeKind.TEXT:
            refuse(UserErrorCode.INVALID, "A text.", *path)
        case ContactAttributeKind.NUMBER:
            refuse(UserErrorCode.INVALID, "A number.", *path)
        case ContactAttributeKind.BOOLEAN:
            refuse(UserErrorCode.INVALID, "True or false.", *path)
        case ContactAttributeKind.DATE:
            refuse(UserErrorCode.INVALID, "A date of the form 2026-03-08.", *path)
        case ContactAttributeKind.CHOICE:
            choices = ", ".join(definition.choices)
            refuse(UserErrorCode.INVALID, "One of: {choices}.", *path, choices=choices)


def _fits(value: Value, definition: ContactAttribute) -> bool:
    match definition.kind:
        case ContactAttributeKind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ContactAttributeKind.BOOLEAN:
            return isinstance(value, bool)
        case ContactAttributeKind.DATE:
            return isinstance(value, str) and _is_date(value)
        case ContactAttributeKind.CHOICE:
            return value in definition.choices and isinstance(value, str)
        case _:
            return isinstance(value, str)


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
