"""What a channel must be able to do for conversations; each adapter implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.channels.ports import Account, ProviderFailed


@dataclass(frozen=True, slots=True)
class Address:
    """Through which account, and to whom."""

    account: Account
    recipient: str


@dataclass(frozen=True, slots=True)
class Option:
    """A button or list entry; `value` is what choosing it answers."""

    value: str
    title: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """What stands in a template's placeholder: the fields of `channels.ports.Placeholder`, and the text."""

    component: str
    name: str
    is_named: bool
    index: int
    text: str


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """A template of the provider's, filled."""

    name: str
    language: str
    parameters: tuple[Parameter, ...]


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
    address: Address | None = None
    """None in web chat, where nobody else carries it."""
    reply_to: str | None = None
    """The provider's id of the message that it answers."""
    options: tuple[Option, ...] = ()
    options_label: str = ""
    """What opens the options, where they are a list."""
    template: TemplateMessage | None = None
    attachments: tuple[OutgoingFile, ...] = ()
    is_last_part: bool = True
    """What becomes of the last part becomes of the whole."""

    def addressed(self) -> Address:
        """For the adapters of providers; raises where there is none."""
        if self.address is None:
            raise TypeError("a message through a provider has an address")
        return self.address


class DeliveryFailed(ProviderFailed):
    """The provider refused a message."""


class ChannelPort(Protocol):
    is_idempotent: bool
    """Whether the same message id may be sent again after a crash without reaching the contact twice."""

    def parts(self, message: Outgoing) -> Sequence[Outgoing]:
        """What is sent by one call each, in order; raises `ProviderFailed` where one of them would be refused."""
        ...

    async def send(self, message: Outgoing) -> str | None:
        """Sends a part and answers the provider's id of the message.

        Raises `ProviderFailed`, or `AnswerLost` when it cannot be told whether the provider took it.
        """
        ...


Channels = dict[ChannelKind, ChannelPort]
