"""Which conversations a caller sees: one criterion for lists, counts, single reads and subscriptions (D21)."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.queues.models import QueueMember
from pytake_gql.kernel.principal import ConversationScope, MemberPrincipal, Principal, System


def visible_to(principal: Principal) -> Any:
    """The criterion; a caller who is neither a member nor the system sees nothing through it."""
    if isinstance(principal, System):
        return sa.true()
    if not isinstance(principal, MemberPrincipal):
        return sa.false()
    if principal.scope is ConversationScope.ORGANIZATION:
        return sa.true()
    own = col(Conversation.assignee_id) == principal.member_id
    if principal.scope is ConversationScope.OWN:
        return own
    queues = select(QueueMember.queue_id).where(QueueMember.member_id == principal.member_id)
    return sa.or_(own, col(Conversation.queue_id).in_(queues))
