from typing import ClassVar

from pytake_gql.kernel.events import Event


class ConversationEvent(Event):
    entity: ClassVar[str] = "Conversation"


class ConversationQueued(ConversationEvent):
    """It waits in a queue: new, handed back, or reopened."""


class ConversationAssigned(ConversationEvent):
    """A member has it."""


class ConversationSnoozed(ConversationEvent):
    """Put aside."""


class ConversationClosed(ConversationEvent):
    """Done, until somebody reopens it."""


class ConversationChanged(ConversationEvent):
    """Subject, priority or rating became another."""
