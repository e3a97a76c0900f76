"""What a provider's webhook tells, in words of ours; each adapter reads its own provider's into them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.channels.ports import Account
from pytake_gql.desk.conversations.models import MessageStatus


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a contact is at the provider, and what is known besides."""

    external_id: str
    name: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A button or list entry that the contact chose."""

    title: str
    value: str


@dataclass(frozen=True, slots=True)
class Place:
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    """`emoji` is None where one was taken back."""

    to: str
    emoji: str | None


@dataclass(frozen=True, slots=True)
class Media:
    """A file that the provider holds: `reference` is its id there, or its address."""

    kind: str
    reference: str | None
    mime_type: str | None = None
    file_name: str | None = None
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Something that we cannot show yet, by the provider's name for it."""

    kind: str


Content: TypeAlias = Words | Choice | Place | Reaction | Media | Unsupported


@dataclass(frozen=True, slots=True)
class Incoming:
    """A contact's message; `at` is by the provider's clock."""

    provider_id: str
    sender: Sender
    at: datetime
    content: Content
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class StatusTold:
    """What became of a message of ours. `message_id` is our own id of it, where the provider gives it back."""

    provider_id: str
    recipient: str
    status: MessageStatus
    message_id: UUID | None = None
    is_of_part: bool = False
    """Whether it is about one of the message's parts other than the last, which stands for all."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ReadUpTo:
    """The contact has read this message and all before it."""

    provider_id: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Echo:
    """The account has sent this: ours, or written elsewhere."""

    provider_id: str
    recipient: str
    text: str


Update: TypeAlias = Incoming | StatusTold | ReadUpTo | Echo


@dataclass(frozen=True, slots=True)
class Batch:
    """Updates for one number or account: the channel whose address this is."""

    address: str
    updates: Sequence[Update]


class UnreadableDelivery(Exception):
    """The body is not what the provider delivers."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file as the provider gave it; its type is what the provider says."""

    data: bytes
    mime_type: str | None


class MediumTooLarge(Exception):
    """The file has more bytes than were asked for."""


class MediaSource(Protocol):
    async def fetch(self, account: Account, reference: str, *, most_bytes: int) -> Fetched:
        """The bytes of what a `Media` refers to.

        Raises `ProviderFailed`, `AnswerLost`, or `MediumTooLarge` before more than that is held.
        """
        ...


class AddressSource(MediaSource, Protocol):
    """Of files that a flow names: the reference is an address that a tenant gave (F9)."""


MediaSources = Mapping[ChannelKind, MediaSource]


class Reader(Protocol):
    def read(self, body: Any) -> Sequence[Batch]:
        """Everything in it that concerns us; raises `UnreadableDelivery`."""
        ...


Readers = Mapping[ChannelKind, Reader]
