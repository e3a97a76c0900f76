"""Why routing chose an assignee, or why nobody could be chosen (D17)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.live import ConversationAssigned
from pytake_gql.desk.conversations.models import ConversationStatus
from pytake_gql.desk.conversations.nodes import Conversation
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.models import RoutingStrategy
from pytake_gql.desk.routing import roster, verdicts
from pytake_gql.desk.routing.engine import waited_seconds
from pytake_gql.desk.routing.models import RoutingDecision as Decision
from pytake_gql.desk.routing.roster import Roster
from pytake_gql.desk.routing.strategies import RoutingReason
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.types import enum_type, extend, field, object_type
from pytake_gql.kernel.ids import id_of
from pytake_gql.tenancy.members.graphql import Member, load_member

enum_type(RoutingReason)


@object_type
class RoutingCandidate:
    """A member of the queue, and whether they may have the conversation."""

    member_id: strawberry.Private[UUID]
    is_eligible: bool
    """Whether routing could choose the member."""
    reason_code: RoutingReason
    """What keeps the member from it; it may gain values."""
    reason: str
    """As a sentence, such as: lacks skill 'billing' (level 3)."""
    score: float | None
    """How well the preferred skills fit, under SKILLS_BASED."""

    @field
    async def member(self, info: Info) -> Member:
        """Who."""
        member = await load_member(info, self.member_id)
        if member is None:
            raise LookupError("members stay for what they did")
        return member

    @classmethod
    def of(cls, told: verdicts.Told) -> Self:
        return cls(
            member_id=told.member_id,
            is_eligible=told.is_eligible,
            reason_code=told.reason,
            reason=told.text,
            score=told.score,
        )


@object_type
class RoutingDecision:
    """Who could have had it, and who was chosen; of one that waits, as things stand now."""

    is_unroutable: bool
    """No member of the queue could ever meet the mandatory skills."""
    strategy: RoutingStrategy
    """How the queue chooses."""
    chosen_id: strawberry.Private[UUID | None]
    decided_at: datetime
    """When it was decided; now for one that waits."""
    candidates: list[RoutingCandidate]
    """The eligible in the order of choice, then the others."""

    @field
    async def chosen(self, info: Info) -> Member | None:
        """Who got it."""
        return await load_member(info, self.chosen_id)


@extend(Conversation)
async def routing_decision(self: Conversation, info: Info) -> RoutingDecision | None:
    """Why routing chose this assignee, or why nobody could be chosen."""
    id_ = id_of(self.id)
    if self.status is ConversationStatus.QUEUED:
        return await _of_waiting(info, self)
    stored = await info.context.load(decisions_of, id_)
    return _of_stored(info, stored) if stored and stored.chosen_id == self.row.assignee_id else None


@extend(ConversationAssigned)
async def decision(self: ConversationAssigned, info: Info) -> RoutingDecision | None:
    """Of an assignment that routing made."""
    hexadecimal = self.row.data.get("decision_id")
    stored = await info.context.load(by_ids, UUID(hexadecimal)) if hexadecimal else None
    return _of_stored(info, stored) if stored else None


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Decision]:
    rows = await session.execute(select(Decision).where(col(Decision.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def decisions_of(session: AsyncSession, conversation_ids: Sequence[UUID]) -> dict[UUID, Decision]:
    """The last decision of each."""
    statement = (
        select(Decision)
        .where(col(Decision.conversation_id).in_(conversation_ids))
        .order_by(col(Decision.conversation_id), col(Decision.id).desc())
        .ext(distinct_on(col(Decision.conversation_id)))
    )
    return {row.conversation_id: row for row in (await session.execute(statement)).scalars()}


async def _of_waiting(info: Info, conversation: Conversation) -> RoutingDecision | None:
    now = info.context.ports.clock.now()
    known = await info.context.load(_rosters, conversation.row.queue_id) if conversation.row.queue_id else None
    row = await info.context.load(conversations.by_ids, id_of(conversation.id))
    if known is None or row is None:
        return None
    ranking = known.contest().rank(waited_seconds(row, now))
    told = [verdicts.tell(verdict, info.context.locale) for verdict in ranking.verdicts]
    return RoutingDecision(
        is_unroutable=ranking.is_unroutable,
        strategy=known.queue.routing_strategy,
        chosen_id=None,
        decided_at=now,
        candidates=[RoutingCandidate.of(it) for it in told],
    )


async def _rosters(session: AsyncSession, queue_ids: Sequence[UUID]) -> dict[UUID, Roster]:
    rows = await queues.by_ids(session, queue_ids)
    return await roster.read(session, list(rows.values()))


def _of_stored(info: Info, stored: Decision) -> RoutingDecision:
    told = [verdicts.read(verdict, info.context.locale) for verdict in stored.verdicts]
    return RoutingDecision(
        is_unroutable=False,
        strategy=stored.strategy,
        chosen_id=stored.chosen_id,
        decided_at=stored.decided_at,
        candidates=[RoutingCandidate.of(it) for it in told],
    )
