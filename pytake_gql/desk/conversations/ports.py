"""What a channel must be able to do for conversations; each adapter implements it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pytake_gql.desk.channels.models import ChannelKind


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """An attachment: `ports.files.read(storage_key)` are its bytes, `url` leads to them for an hour."""

    name: str
    mime_type: str
    size_bytes: int
    url: str
    storage_key: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as the channel's provider gets it. `message_id` is the idempotency key (G4)."""

    organization_id: UUID
    message_id: UUID
    text: str
    attachments: tuple[OutgoingFile, ...] = ()


class DeliveryFailed(Exception):
    """The provider refused. A transient failure is worth another try."""

    def __init__(self, reason: str, *, is_transient: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_transient = is_transient


class ChannelPort(Protocol):
    is_idempotent: bool
    """Whether the same message id may be sent again after a crash without reaching the contact twice."""

    async def send(self, message: Outgoing) -> str | None:
        """Sends and answers the provider's id of the message; raises `DeliveryFailed`."""
        ...


Channels = dict[ChannelKind, ChannelPort]
