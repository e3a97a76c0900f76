"""What an AI must be able to do for a flow; each provider's adapter implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said: by the contact, or by our side."""

    is_contact: bool
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """What the organization wants answered, and the end of the conversation, the oldest first."""

    organization_id: UUID
    instruction: str
    turns: Sequence[Turn]


class AssistantFailed(Exception):
    """No answer came; the message says why."""


class Assistant(Protocol):
    async def answer(self, request: Request) -> str:
        """The text to say next; raises `AssistantFailed`."""
        ...
