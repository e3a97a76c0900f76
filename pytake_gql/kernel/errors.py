"""What can go wrong, by who can mend it (house.md §6).

A `Refusal` is for the user: it becomes `userErrors` of a mutation's payload. A `CodedError` is for the client's
program: it becomes a top-level error with `extensions.code`. Everything else is a fault of ours, and masked.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from pytake_gql.kernel.translation import translate


class UserErrorCode(StrEnum):
    """What kind of mistake it is; it may gain values."""

    REQUIRED = "REQUIRED"
    INVALID = "INVALID"
    TOO_LONG = "TOO_LONG"
    TOO_MANY = "TOO_MANY"
    TAKEN = "TAKEN"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CONFLICT = "CONFLICT"
    LIMIT_REACHED = "LIMIT_REACHED"
    STALE = "STALE"
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    EXPIRED = "EXPIRED"
    WRONG_STATE = "WRONG_STATE"
    CHANNEL_WINDOW_CLOSED = "CHANNEL_WINDOW_CLOSED"
    PROVIDER_FAILED = "PROVIDER_FAILED"


class Verbatim(str):
    """A part of a path that the client named, such as a key inside JSON: it is told as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the user can mend.

    `template` is English and the key of the translation catalogues; `field` is the path inside the mutation's
    `input`, such as ("frontends", "0", "origin"); empty when no single field is to blame.
    """

    code: UserErrorCode
    template: str
    field: tuple[str, ...] = ()
    values: dict[str, Any] = dataclasses.field(default_factory=dict)

    def message(self, locale: str) -> str:
        return translate(self.template, locale, **self.values)


class Refusal(Exception):
    """The user's request cannot be done as it stands; nothing changes."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message("en") for problem in problems))
        self.problems = problems


def refuse(code: UserErrorCode, template: str, *path: str, **values: Any) -> NoReturn:
    raise Refusal(Problem(code, template, path, values))


def not_found(*path: str) -> Refusal:
    """One face for an id that is unknown, malformed, of another type, or another organization's (G1)."""
    return Refusal(Problem(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", path))


@dataclass(slots=True)
class Problems:
    """Collects all that is wrong with a form, to say it at once."""

    found: list[Problem] = dataclasses.field(default_factory=list)

    def add(self, code: UserErrorCode, template: str, *path: str, **values: Any) -> None:
        self.found.append(Problem(code, template, path, values))

    @contextmanager
    def gather(self, *prefix: str) -> Iterator[None]:
        """Keeps a refusal from inside the block, its paths set under `prefix`, instead of stopping at it."""
        try:
            yield
        except Refusal as refusal:
            self.found += [Problem(p.code, p.template, (*prefix, *p.field), p.values) for p in refusal.problems]

    def raise_if_any(self) -> None:
        if self.found:
            raise Refusal(*self.found)


class ErrorCode(StrEnum):
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    RATE_LIMITED = "RATE_LIMITED"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    TIMEOUT = "TIMEOUT"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    INTERNAL = "INTERNAL"


class CodedError(Exception):
    """A top-level GraphQL error; its message is meant for the developer of the client."""

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unauthenticated(CodedError):
    code = ErrorCode.UNAUTHENTICATED

    def __init__(self, message: str = "Sign in first: this needs a valid access token.") -> None:
        super().__init__(message)


class Forbidden(CodedError):
    code = ErrorCode.FORBIDDEN

    def __init__(self, message: str = "Your role does not allow this.") -> None:
        super().__init__(message)


class NotFound(CodedError):
    """Of a subscription; a query answers null, a mutation a `Refusal`."""

    code = ErrorCode.NOT_FOUND

    def __init__(self) -> None:
        super().__init__("Nothing was found by this id.")


class BadUserInput(CodedError):
    code = ErrorCode.BAD_USER_INPUT


class RateLimited(CodedError):
    code = ErrorCode.RATE_LIMITED

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"Too many requests; try again in {retry_after_seconds:.0f} s.")
        self.retry_after_seconds = retry_after_seconds


class QueryTooComplex(CodedError):
    code = ErrorCode.QUERY_TOO_COMPLEX


class TimedOut(CodedError):
    code = ErrorCode.TIMEOUT

    def __init__(self) -> None:
        super().__init__("The operation took too long and was stopped.")
