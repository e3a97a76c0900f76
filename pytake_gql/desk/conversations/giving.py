"""Several waiting conversations to their agents by one statement: what `service.give` does, for routing and pulls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from pytake_gql.desk.conversations import events, service
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, MoveReason, TimelineKind
from pytake_gql.desk.conversations.queries import SHOWN
from pytake_gql.desk.conversations.timeline import tell
from pytake_gql.kernel.db import Instant, table_of
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Member


@dataclass(frozen=True, slots=True)
class Gift:
    """`uow` is the unit of whoever does it: it tells. `decision_id` is the routing decision that chose the member."""

    uow: UnitOfWork
    conversation_id: UUID
    member_id: UUID
    decision_id: UUID | None = None


_conversations, _members = table_of(Conversation), table_of(Member)
_shown = [_conversations.c[column.key] for column in SHOWN]
_now = sa.bindparam("now", type_=Instant())
_organization = sa.bindparam("of_organization", type_=sa.Uuid())
_gifts: Any = (
    sa.func.unnest(
        sa.bindparam("conversation_ids", type_=ARRAY(sa.Uuid())), sa.bindparam("member_ids", type_=ARRAY(sa.Uuid()))
    )
    .table_valued(sa.column("conversation_id", sa.Uuid()), sa.column("member_id", sa.Uuid()))
    .render_derived(name="gifts")
)
GIVE = (
    sa.update(_conversations)
    .where(
        _conversations.c.organization_id == _organization,
        _conversations.c.id == _gifts.c.conversation_id,
        _conversations.c.status == ConversationStatus.QUEUED,
        _members.c.organization_id == _organization,
        _members.c.id == _gifts.c.member_id,
    )
    .values(
        status=ConversationStatus.ACTIVE,
        assignee_id=_members.c.id,
        assignee_name=_members.c.name,
        last_assignee_id=_members.c.id,
        assigned_at=presence.after_leaving_of(_members.c, _now),
        waiting_rank=sa.null(),
        last_seq=_conversations.c.last_seq + 1,
        updated_at=_now,
    )
    .returning(*_shown)
)
_GIVE = Frozen(GIVE)


async def give_all(gifts: Sequence[Gift], *, reason: MoveReason) -> dict[UUID, Any]:
    """Assigns each, all in one transaction, and answers them by id, as rows that `Conversation.of` shows.

    The conversations wait and are locked; the members' slots have been taken before: always in the order agents,
    conversations (D11).
    """
    if not gifts:
        return {}
    uow = gifts[0].uow
    parameters = {
        "now": uow.now(),
        "of_organization": uow.organization_id,
        "conversation_ids": [gift.conversation_id for gift in gifts],
        "member_ids": [gift.member_id for gift in gifts],
    }
    given: dict[UUID, Any] = {row.id: row for row in await _GIVE.rows(uow.session, parameters)}
    if with_clocks := [id_ for id_, row in given.items() if row.has_sla]:
        for row in (await service.by_ids(uow.session, with_clocks)).values():
            uow.keep(row)
            given[row.id] = row
    for gift in gifts:
        _tell(gift, given[gift.conversation_id], reason)
    return given


def _tell(gift: Gift, conversation: Any, reason: MoveReason) -> None:
    data = {
        "status": ConversationStatus.ACTIVE.value,
        "reason": reason.value,
        "decision_id": gift.decision_id.hex if gift.decision_id else None,
        "assignee_id": gift.member_id.hex,
    }
    tell(gift.uow, conversation, TimelineKind.ASSIGNED, data=data, before=(None, conversation.queue_id))
    changes = {
        "status": {"from": ConversationStatus.QUEUED, "to": ConversationStatus.ACTIVE},
        "assignee_id": {"from": None, "to": gift.member_id},
    }
    gift.uow.emit(
        events.ConversationAssigned(
            entity_id=conversation.id,
            changes=changes,
            has_sla=conversation.has_sla,
            number=conversation.number,
        )
    )
