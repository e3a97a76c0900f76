"""Which conversations a caller sees: one criterion for lists, counts, single reads and subscriptions (D21)."""

from collections.abc import Hashable
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.queues.models import QueueMember
from pytake_gql.kernel.principal import (
    ConversationScope,
    MemberPrincipal,
    Principal,
    Role,
    System,
    VisitorPrincipal,
)


def visible_to(principal: Principal) -> Any:
    """The criterion for a member; a visitor's are their own, and the system's are all."""
    if isinstance(principal, System):
        return sa.true()
    if isinstance(principal, VisitorPrincipal):
        contact = select(ContactIdentity.contact_id).where(
            ContactIdentity.channel_id == principal.channel_id, ContactIdentity.external_id == principal.external_id
        )
        on_channel = col(Conversation.channel_id) == principal.channel_id
        return sa.and_(on_channel, col(Conversation.contact_id).in_(contact))
    if not isinstance(principal, MemberPrincipal):
        return sa.false()
    if principal.scope is ConversationScope.ORGANIZATION:
        return sa.true()
    own = col(Conversation.assignee_id) == principal.member_id
    if principal.scope is ConversationScope.OWN:
        return own
    queues = select(QueueMember.queue_id).where(QueueMember.member_id == principal.member_id)
    return sa.or_(own, col(Conversation.queue_id).in_(queues))


def authority_of(principal: Principal) -> Hashable:
    """Equal for callers of one organization to whom `visible_to` shows the same: what they read may be shared."""
    if isinstance(principal, MemberPrincipal):
        is_all = principal.scope is ConversationScope.ORGANIZATION
        return principal.role, principal.scope, None if is_all else principal.member_id
    return principal


_UNASKED: Any = sa.null()
_SYSTEM = System()
_MEMBER: Any = sa.bindparam("member_id", type_=sa.Uuid())
_CHANNEL: Any = sa.bindparam("channel_id", type_=sa.Uuid())
_EXTERNAL: Any = sa.bindparam("external_id", type_=sa.String())
_VISITOR = VisitorPrincipal(_UNASKED, _CHANNEL, _EXTERNAL)
_MEMBERS = {
    scope: MemberPrincipal(_UNASKED, _MEMBER, _UNASKED, _UNASKED, _UNASKED, Role.VIEWER, scope, "")
    for scope in ConversationScope
}


def by_name(principal: Principal) -> tuple[Principal, dict[str, Any]]:
    """Who stands for all for whom `visible_to` says the same but for values, with names for those; and the values.

    Nothing else is asked of the principal than `visible_to` asks.
    """
    if isinstance(principal, MemberPrincipal):
        scope = principal.scope
        is_all = scope is ConversationScope.ORGANIZATION
        return _MEMBERS[scope], {} if is_all else {"member_id": principal.member_id}
    if isinstance(principal, VisitorPrincipal):
        return _VISITOR, {"channel_id": principal.channel_id, "external_id": principal.external_id}
    return (_SYSTEM if isinstance(principal, System) else principal), {}
