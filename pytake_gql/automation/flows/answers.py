"""What a contact's reply means to a QUESTION or a MENU. Pure."""

import datetime as dt
import re
from collections.abc import Sequence
from enum import StrEnum

from pytake_gql.automation.flows.templates import Value
from pytake_gql.desk.contacts import phones
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.translation import translate

LONGEST = 4096
_NUMBER = re.compile(r"[+-]?(?:\d{1,15}|\d{1,3}(?:([.,\s])\d{3})(?:\1\d{3}){0,4})(?:[.,]\d{1,15})?", re.ASCII)
_GROUP = 3
_POINT_REGIONS = frozenset({"US", "GB", "IE", "AU", "NZ", "CA", "IN", "MX", "JP", "CN", "KE", "NG", "PH", "SG"})
"""Countries that write 1.5 for one and a half."""
_DAY_FIRST = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", re.ASCII)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class QuestionType(StrEnum):
    """What an answer has to be."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    DATE = "DATE"
    CHOICE = "CHOICE"


def chosen(said: str, tapped: str | None, options: Sequence[tuple[str, str]]) -> str | None:
    """The value of the option that is meant: tapped, or written as its title, its value or its number; else None.

    `options` are values with the titles that were shown, in their order.
    """
    values = [value for value, _ in options]
    if tapped is not None and tapped in values:
        return tapped
    words = said.strip().casefold()
    for written in ([title for _, title in options], values):
        for value, text_ in zip(values, written, strict=True):
            if words == text_.strip().casefold():
                return value
    number = words.rstrip(".)")
    is_one = number.isascii() and number.isdigit() and len(number) <= 3 and 0 < int(number) <= len(values)  # noqa: PLR2004
    return values[int(number) - 1] if is_one else None


def read(said: str, kind: QuestionType, region: str) -> Value:
    """The answer as it is kept, or None for what is none of this type. A CHOICE is read by `chosen`."""
    trimmed = said.strip()
    match kind:
        case QuestionType.NUMBER:
            return _number(trimmed, region)
        case QuestionType.EMAIL:
            return email(trimmed)
        case QuestionType.PHONE:
            return phone(trimmed, region)
        case QuestionType.DATE:
            return _date(trimmed)
        case _:
            return trimmed[:LONGEST] or None


def email(said: str) -> str | None:
    try:
        return text.email(said)
    except Refusal:
        return None


def phone(said: str, region: str) -> str | None:
    try:
        return phones.e164(said[:60], region)
    except Refusal:
        return None


def complaint(kind: QuestionType, locale: str) -> str:
    """What is said to an answer that does not fit."""
    match kind:
        case QuestionType.TEXT:
            return translate("Sorry, I did not understand. Please write it as a text.", locale)
        case QuestionType.NUMBER:
            return translate("Sorry, I need a number, such as 42.", locale)
        case QuestionType.EMAIL:
            return translate("Sorry, this is no e-mail address. It looks like name@example.com.", locale)
        case QuestionType.PHONE:
            return translate("Sorry, this is no phone number. Please write it with its area code.", locale)
        case QuestionType.DATE:
            return translate("Sorry, I need a date, such as 31/12/2026.", locale)
        case QuestionType.CHOICE:
            return translate("Sorry, I did not understand. Please choose one of the options.", locale)


def _number(said: str, region: str) -> int | float | None:
    """Written in the Brazilian or the English way.

    Of two different marks the last is the decimal one. 1.500 alone is what the region takes it for.
    """
    if _NUMBER.fullmatch(said) is None:
        return None
    plain = re.sub(r"\s", "", said)
    mark = max(".,", key=plain.rfind)
    whole, _, after = plain.rpartition(mark)
    has_both, comes_again = "." in plain and "," in plain, plain.count(mark) > 1
    is_grouped = len(after) == _GROUP and 0 < len(whole.lstrip("+-0")) <= _GROUP and mark != _decimal_mark(region)
    if comes_again or (is_grouped and not has_both):
        mark = ""
    digits = "".join(
        "." if character == mark else character for character in plain if character not in ".," or character == mark
    )
    value = float(digits)
    return int(value) if value.is_integer() else value


def _decimal_mark(region: str) -> str:
    return "." if region in _POINT_REGIONS else ","


def _date(said: str) -> str | None:
    """The day first, or as 2026-03-08."""
    try:
        if _ISO.fullmatch(said):
            return dt.date.fromisoformat(said).isoformat()
        match = _DAY_FIRST.fullmatch(said)
        return dt.date(int(match[3]), int(match[2]), int(match[1])).isoformat() if match else None
    except ValueError:
        return None
