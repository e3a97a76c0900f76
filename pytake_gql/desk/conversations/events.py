from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pytake_gql.desk.conversations.models import MessageStatus, MoveReason
from pytake_gql.kernel.events import Event


class ConversationEvent(Event):
    entity: ClassVar[str] = "Conversation"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationMoved(ConversationEvent):
    """Its state or its assignee became another. `has_sla`: it has clocks. `number` is the conversation's."""

    has_sla: bool
    number: int


class ConversationGivenToFlow(ConversationMoved):
    """A flow speaks in it from now on: it is new."""


class ConversationBegunByFlow(ConversationMoved):
    """A flow has begun it, and speaks: nobody wrote before."""


class ConversationQueued(ConversationMoved):
    """It waits in a queue: new, handed back, or reopened."""


class ConversationAssigned(ConversationMoved):
    """A member has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationTransferred(ConversationEvent):
    """It went to another queue: a member sent it, or the one before could not take it (OVERFLOW).

    Once it waits there, `ConversationQueued` follows or has come before.
    """

    reason: MoveReason


class ConversationSnoozed(ConversationMoved):
    """Put aside."""


class ConversationClosed(ConversationMoved):
    """Done, until somebody reopens it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageReceived(ConversationEvent):
    """The contact wrote; the conversation's row has it already."""

    is_audited: ClassVar[bool] = False
    message_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageSent(ConversationEvent):
    """A member said something to the contact: notes are no messages to them."""

    is_audited: ClassVar[bool] = False
    message_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowSpoke(ConversationEvent):
    """A flow said something to the contact: no answer of a member (D24)."""

    is_audited: ClassVar[bool] = False
    message_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowMessageSettled(ConversationEvent):
    """What became of something that a flow said is known, or more of it than before."""

    is_audited: ClassVar[bool] = False
    message_id: UUID
    status: MessageStatus


class ConversationChanged(ConversationEvent):
    """Subject, priority or rating became another."""
