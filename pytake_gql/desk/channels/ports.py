"""What a channel's provider is asked for besides messages; each adapter implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from pytake_gql.desk.channels.models import ChannelKind, TemplateStatus


@dataclass(frozen=True, slots=True)
class Account:
    """What an adapter needs to speak for a channel: its public settings and its secrets (D32)."""

    channel_id: UUID
    kind: ChannelKind
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)


class ProviderFailed(Exception):
    """The provider refused. A transient failure is worth another try.

    Where the access is at fault (a token that expired, a number that was blocked), nothing else will pass either.
    """

    def __init__(self, reason: str, *, is_transient: bool, is_access_at_fault: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_transient = is_transient
        self.is_access_at_fault = is_access_at_fault


class AnswerLost(Exception):
    """The provider was asked, and what it did about it is not known."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Something that a template leaves open. `index` is the button's."""

    component: str
    name: str
    is_named: bool = False
    index: int = 0


@dataclass(frozen=True, slots=True)
class ProviderTemplate:
    """A template as the provider tells it."""

    name: str
    language: str
    category: str
    status: TemplateStatus
    body: str
    placeholders: tuple[Placeholder, ...]


class TemplateSource(Protocol):
    async def templates(self, account: Account) -> Sequence[ProviderTemplate]:
        """All that can be sent; raises `ProviderFailed` or `AnswerLost`."""
        ...
