"""Text from outside: what may be stored, and how it is refused (G28, D29)."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from pytake_gql.kernel.errors import UserErrorCode, Verbatim, refuse

LONGEST_EMAIL = 254
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)


def is_storable(text: str) -> bool:
    """Neither NUL nor a lone surrogate: PostgreSQL holds neither."""
    return _UNSTORABLE.search(text) is None


def unstorable_paths(value: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    """Where in an input (dataclasses, lists, JSON) a text stands that cannot be stored."""
    if isinstance(value, str):
        if not is_storable(value):
            yield path
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from unstorable_paths(item, (*path, str(index)))
    elif isinstance(value, dict):
        for key, item in value.items():
            if not is_storable(str(key)):
                yield path
            yield from unstorable_paths(item, (*path, Verbatim(key)))
    elif is_dataclass(value):
        for field in fields(value):
            yield from unstorable_paths(getattr(value, field.name), (*path, field.name))


def line(text: str | None, *path: str, longest: int = 120) -> str:
    """A required text of one line, trimmed; refused when empty, too long or of several lines."""
    trimmed = (text or "").strip()
    if not trimmed:
        refuse(UserErrorCode.REQUIRED, "This is required.", *path)
    if len(trimmed) > longest:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=longest)
    if not trimmed.isprintable():
        refuse(UserErrorCode.INVALID, "Control characters and line breaks are not allowed here.", *path)
    return trimmed


def optional_line(text: str | None, *path: str, longest: int = 120) -> str | None:
    return line(text, *path, longest=longest) if text and text.strip() else None


def paragraph(text: str | None, *path: str, longest: int = 2000) -> str | None:
    """An optional text of any number of lines, trimmed; None when nothing is left."""
    trimmed = (text or "").strip()
    if len(trimmed) > longest:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=longest)
    return trimmed or None


def slug(text: str, *path: str, longest: int = 60) -> str:
    """Lower-case letters, digits and single hyphens, as it stands in addresses."""
    if len(text) > longest:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=longest)
    if not _SLUG.fullmatch(text):
        refuse(UserErrorCode.INVALID, "Only a-z, 0-9 and single hyphens between them.", *path)
    return text


def slug_from(name: str, *, longest: int = 60) -> str:
    """The slug that a name suggests: Ação Jurídica is acao-juridica; empty when no letter is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:longest].strip("-")


def color(text: str, *path: str) -> str:
    if not _COLOR.fullmatch(text):
        refuse(UserErrorCode.INVALID, "A colour has the form #1A2B3C.", *path)
    return text.upper()


def email(text: str | None, *path: str) -> str:
    """A deliverable-looking address, trimmed, in lower case, its domain in ASCII: as it is stored and compared."""
    trimmed = (text or "").strip()
    if not trimmed:
        refuse(UserErrorCode.REQUIRED, "This is required.", *path)
    try:
        checked = validate_email(trimmed[: LONGEST_EMAIL + 1], check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        refuse(UserErrorCode.INVALID, "This is no e-mail address.", *path)
    return (checked.ascii_email or checked.normalized).lower()


def web_address(text: str, *path: str, longest: int = 2000) -> str:
    """An address that begins with https:// and names a host."""
    if len(text) > longest:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=longest)
    try:
        parts = urlsplit(text)
        is_address = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_address = False
    if not is_address or not text.isprintable() or any(character in text for character in " <>\"'`\\"):
        refuse(UserErrorCode.INVALID, "An address begins with https:// and names a host.", *path)
    return text
