"""What a channel's provider must be able to hear of what was read; each adapter implements it."""

from dataclasses import dataclass
from typing import Protocol

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations.ports import Address


@dataclass(frozen=True, slots=True)
class Seen:
    """The contact's message, by its id at the provider, and all before it."""

    address: Address
    provider_message_id: str


class Receipts(Protocol):
    async def mark_read(self, seen: Seen) -> None:
        """Telling it twice does no harm.

        Raises `ProviderFailed` or `AnswerLost`.
        """
        ...


ReceiptsByKind = dict[ChannelKind, Receipts]
