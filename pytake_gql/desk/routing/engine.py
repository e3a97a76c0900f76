"""Assigning by itself: what waits in a queue goes to whom may have it (D11-D17).

The choice is pure (`strategies`), the claim is SQL. A pass takes up to `AT_ONCE` conversations in one transaction:
the queue's turn first, then the agents' rows, then the conversations' rows that nobody holds. Any number of
processes may route at once; they take turns by queue, and meet pulls and transfers at the agents' rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.conversations import order, service
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, MoveReason
from pytake_gql.desk.queues import hours, turns
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.models import Queue, RoutingStrategy
from pytake_gql.desk.routing import roster, verdicts
from pytake_gql.desk.routing.events import QueueUnroutable
from pytake_gql.desk.routing.models import RoutingDecision
from pytake_gql.desk.routing.roster import Roster
from pytake_gql.desk.routing.strategies import Candidate, Ranking, assigned_cursor
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Member

AT_ONCE = 50


async def route_queue(ports: Ports, organization_id: UUID, queue_id: UUID) -> int:
    """Routes until nothing more can be assigned; says how many were. Safe to run at any time, any number of times."""
    total = 0
    while True:
        async with ports.units.of_system(organization_id) as uow:
            assigned = await route(uow, queue_id)
        total += assigned
        if assigned < AT_ONCE:
            return total


async def route_member(ports: Ports, organization_id: UUID, member_id: UUID) -> int:
    """Routes the queues that a member serves, those of higher priority first (D7)."""
    async with ports.database.session(organization_id) as session:
        served = (await queues.queues_of_members(session, [member_id]))[member_id]
    total = 0
    for queue in sorted(served, key=lambda it: (-it.priority, it.id)):
        total += await route_queue(ports, organization_id, queue.id)
    return total


async def routable(session: AsyncSession, now: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, queue) where something waits while somebody at work is free, across organizations (D16)."""
    found = await session.execute(
        sa.text("SELECT organization_id, queue_id FROM engine_routable_queues(:present_since, :at_most)"),
        {"present_since": now - presence.TTL, "at_most": at_most},
    )
    return [(row.organization_id, row.queue_id) for row in found]


async def route(uow: UnitOfWork, queue_id: UUID) -> int:
    """One pass: assigns at most `AT_ONCE` conversations of the queue, and says how many."""
    queue = (await queues.by_ids(uow.session, [queue_id])).get(queue_id)
    if queue is None or not _routes_by_itself(queue) or not await _has_waiting(uow, queue_id):
        return 0
    if not await hours.is_open(uow.session, queue, uow.now()):
        return 0
    known = (await roster.read(uow.session, [queue], uow.now()))[queue_id]
    prospect = known.rank(float("inf"))
    if prospect.is_unroutable:
        uow.emit(QueueUnroutable(entity_id=queue_id))
    if not any(verdict.is_eligible for verdict in prospect.verdicts):
        return 0
    await one_at_a_time(uow, f"route {queue_id}")
    members = await _lock_members(uow, [candidate.member_id for candidate in known.candidates])
    known = (await roster.read(uow.session, [queue], uow.now()))[queue_id]
    # Who joined since is not locked: that change wakes routing by itself.
    known = replace(known, candidates=[it for it in known.candidates if it.member_id in members])
    assigned = await _assign(uow, known, members, order.tiers(queue.order, uow.now()))
    if assigned == 0:
        # Relaxation goes by the wait alone: who waits longest may be served though those before may not (D14).
        longest = (col(Conversation.eligible_since), col(Conversation.id))
        assigned = await _assign(uow, known, members, ((sa.true(), longest),))
    return assigned


async def _assign(
    uow: UnitOfWork, known: Roster, members: dict[UUID, Member], tiers: Sequence[tuple[Any, Sequence[Any]]]
) -> int:
    """Everything is written together at the end of the pass, the cursors in one statement."""
    assigned = 0
    turns_taken: dict[UUID, datetime | None] = {}
    for criterion, keys in tiers:
        if assigned == AT_ONCE:
            break
        for conversation in await _lock_waiting(uow, known.queue.id, criterion, keys, AT_ONCE - assigned):
            ranking = known.rank(waited_seconds(conversation, uow.now()))
            if ranking.chosen is None:
                continue
            known = _give(uow, known, members, conversation, ranking, ranking.chosen)
            turns_taken[ranking.chosen.member_id] = members[ranking.chosen.member_id].last_assigned_at
            assigned += 1
    await turns.remember_all(uow, known.queue.id, turns_taken)
    return assigned


def _give(
    uow: UnitOfWork,
    known: Roster,
    members: dict[UUID, Member],
    conversation: Conversation,
    ranking: Ranking,
    chosen: Candidate,
) -> Roster:
    """Assigns, and says why; answers the roster as it is then."""
    member = members[chosen.member_id]
    cursor = assigned_cursor(uow.now(), [it.last_assigned_in_queue_at for it in known.candidates])
    member.load, member.last_assigned_at = member.load + 1, cursor
    presence.tell(uow, member.id)
    decision = RoutingDecision(
        conversation_id=conversation.id,
        strategy=known.queue.routing_strategy,
        chosen_id=member.id,
        decided_at=uow.now(),
        verdicts=[verdicts.write(verdict) for verdict in ranking.verdicts],
    )
    uow.add(decision)
    uow.keep(conversation)
    service.give(uow, conversation, member, reason=MoveReason.ROUTING, decision_id=decision.id)
    busier = replace(chosen, load=chosen.load + 1, last_assigned_in_queue_at=cursor, last_assigned_at=cursor)
    return replace(known, candidates=[busier if it.member_id == member.id else it for it in known.candidates])


def waited_seconds(conversation: Any, now: datetime) -> float:
    since = conversation.eligible_since
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _routes_by_itself(queue: Queue) -> bool:
    return queue.auto_assign and queue.routing_strategy is not RoutingStrategy.MANUAL


async def _has_waiting(uow: UnitOfWork, queue_id: UUID) -> bool:
    waiting = select(Conversation.id).where(
        Conversation.queue_id == queue_id, Conversation.status == ConversationStatus.QUEUED
    )
    return (await uow.session.execute(waiting.limit(1))).first() is not None


async def _lock_members(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Member]:
    """In order of id, as everybody locks agents; messages that name them are not held up."""
    statement = select(Member).where(col(Member.id).in_(ids)).order_by(col(Member.id)).with_for_update(key_share=True)
    locked = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return {member.id: member for member in locked.scalars()}


async def _lock_waiting(
    uow: UnitOfWork, queue_id: UUID, criterion: Any, keys: Sequence[Any], at_most: int
) -> Sequence[Conversation]:
    statement = (
        select(Conversation)
        .where(Conversation.queue_id == queue_id, Conversation.status == ConversationStatus.QUEUED, criterion)
        .order_by(*keys)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return (await uow.session.execute(statement, execution_options={"populate_existing": True})).scalars().all()
