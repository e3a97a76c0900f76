"""When an execution may send: spans of instants, worked out when it was fired (S16). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

EXPIRES_AFTER = timedelta(hours=72)
"""How long after it began an execution is given up, with the rest of its recipients."""


@dataclass(frozen=True, slots=True)
class Span:
    """[opens_at, closes_at)."""

    opens_at: datetime
    closes_at: datetime


class Gate(Enum):
    """Whether a chunk may start now."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Look:
    gate: Gate
    until: datetime | None = None
    """When to look again: the closing of an open gate, the opening of a closed one. None: never."""


def look(spans: Sequence[Span] | None, started_at: datetime, now: datetime) -> Look:
    """How the window stands; None is no window. One that does not open again in time waits until it expires."""
    if spans is None:
        return Look(Gate.OPEN)
    expires_at = started_at + EXPIRES_AFTER
    if now >= expires_at:
        return Look(Gate.EXPIRED)
    for span in spans:
        if span.opens_at <= now < span.closes_at:
            return Look(Gate.OPEN, min(span.closes_at, expires_at))
    later = [span.opens_at for span in spans if span.opens_at > now]
    return Look(Gate.CLOSED, min([*later, expires_at]))
