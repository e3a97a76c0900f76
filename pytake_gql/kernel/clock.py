"""The one source of "now": services never ask the system."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class AgreedClock:
    """A clock put right by the database's: the leases of one process are read by all the others.

    A machine whose clock runs ahead would take over what another has just claimed, and one that lags would keep due
    work to itself.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._ahead = timedelta()

    def now(self) -> datetime:
        return self._own.now() + self._ahead

    def own(self) -> datetime:
        """What it would show uncorrected: for `hear`."""
        return self._own.now()

    def hear(self, shown: datetime, asked_at: datetime, answered_at: datetime) -> None:
        """The other clock showed that between two instants of the own one; no more is corrected than is certain."""
        least, most = shown - answered_at, shown - asked_at
        self._ahead = min(max(self._ahead, least), most)
