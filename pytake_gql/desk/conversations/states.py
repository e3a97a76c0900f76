"""The states of a conversation and the ways between them (D1). The one place that says what may follow what."""

from pytake_gql.desk.conversations.models import ConversationStatus
from pytake_gql.kernel.errors import UserErrorCode, refuse

_NEXT = {
    ConversationStatus.BOT: {ConversationStatus.QUEUED, ConversationStatus.ACTIVE, ConversationStatus.CLOSED},
    ConversationStatus.QUEUED: {ConversationStatus.ACTIVE, ConversationStatus.CLOSED},
    ConversationStatus.ACTIVE: {ConversationStatus.QUEUED, ConversationStatus.SNOOZED, ConversationStatus.CLOSED},
    ConversationStatus.SNOOZED: {ConversationStatus.QUEUED, ConversationStatus.ACTIVE, ConversationStatus.CLOSED},
    ConversationStatus.CLOSED: {ConversationStatus.QUEUED, ConversationStatus.ACTIVE},
}


def may_follow(now: ConversationStatus, then: ConversationStatus) -> bool:
    return then in _NEXT[now]


def require(now: ConversationStatus, then: ConversationStatus) -> None:
    """Refuses as WRONG_STATE what the table does not have; the conversation is the input's `id`."""
    if not may_follow(now, then):
        template = "The conversation is {status}: it cannot become {then}."
        refuse(UserErrorCode.WRONG_STATE, template, "id", status=now, then=then)
