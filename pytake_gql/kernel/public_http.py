"""Calls to addresses that tenants give: public hosts only, whatever a name resolves to, and bounded (F9, G20)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class CallFailed(Exception):
    """Nothing that can be used came back; the message says why, for the tenant to read."""


class HostRefused(CallFailed):
    """The address leads to no public host."""


class AnswerTooLarge(CallFailed):
    """The answer has more bytes than were asked for."""


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_seconds: float = 10.0
    """Of all of it: names, connections, redirects, and the answer."""
    most_bytes: int = 64 * 1024
    """Of the answer's body."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str | None
    body: bytes


class PublicHttp(Protocol):
    async def call(self, call: Call) -> Answer:
        """Whatever status it has, after at most five redirects; raises `CallFailed`.

        Once the request has left it may have been done, also where it raises: whoever needs it once asks once.
        """
        ...
