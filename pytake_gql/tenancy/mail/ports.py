from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail on its way out; `id` stays the same when it is tried again, so that mail servers see one message."""

    id: UUID
    recipient: str
    subject: str
    text: str


class DeliveryFailed(Exception):
    """Not delivered now; another attempt may succeed."""


class Undeliverable(Exception):
    """Refused for good: another attempt would be refused, too."""


class Mailer(Protocol):
    async def deliver(self, letter: Letter) -> None:
        """Hands the letter over, within 30 s; raises `DeliveryFailed` or `Undeliverable`."""
        ...
