"""Assigning by itself: what waits in a queue goes to whom may have it (D11-D17).

The choice is pure (`strategies`), the claim is SQL. A pass takes up to `AT_ONCE` conversations in one transaction:
the queue's turn first, then the agents' rows, then the conversations' rows that nobody holds. Any number of
processes may route at once; they take turns by queue, and meet pulls and transfers at the agents' rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.conversations import order
from pytake_gql.desk.conversations.giving import Gift, give_all
from pytake_gql.desk.conversations.models import Conversation, MoveReason
from pytake_gql.desk.queues import hours, turns
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.models import Queue, RoutingStrategy
from pytake_gql.desk.routing import roster, verdicts
from pytake_gql.desk.routing.events import QueueUnroutable
from pytake_gql.desk.routing.models import RoutingDecision
from pytake_gql.desk.routing.roster import Roster
from pytake_gql.desk.routing.strategies import Candidate, Ranking, Verdict, assigned_cursor
from pytake_gql.kernel.db import confined
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.jobs import Work
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import System
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence, slots
from pytake_gql.tenancy.members.models import Member

AT_ONCE = 50


def jobs(ports: Ports) -> Mapping[str, Work]:
    """What `triggers` ask for; arguments are ids as text."""
    return {
        "route_queue": lambda of, id_: route_queue(ports, UUID(of), UUID(id_)),
        "route_member": lambda of, id_: route_member(ports, UUID(of), UUID(id_)),
    }


async def route_queue(ports: Ports, organization_id: UUID, queue_id: UUID) -> int:
    """Routes until nothing more can be assigned; says how many were. Safe to run at any time, any number of times."""
    total = 0
    while True:
        async with ports.units.open_together([System(organization_id)], keeps_plans=True) as (uow,):
            passed = await route(uow, queue_id)
        total += passed.assigned
        if not passed.may_go_on:
            return total


async def route_member(ports: Ports, organization_id: UUID, member_id: UUID) -> int:
    """Routes the queues that a member serves, those of higher priority first (D7), as long as they have a slot free."""
    async with ports.database.session(organization_id) as session:
        served = (await queues.queues_of_members(session, [member_id]))[member_id]
    total = 0
    for queue in sorted(served, key=lambda it: (-it.priority, it.id)):
        if total and not await _has_slot(ports, organization_id, member_id):
            break
        total += await route_queue(ports, organization_id, queue.id)
    return total


async def routable(session: AsyncSession, now: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, queue) where something waits while somebody at work is free, across organizations (D16)."""
    found = await session.execute(
        sa.text("SELECT organization_id, queue_id FROM engine_routable_queues(:present_since, :at_most)"),
        {"present_since": now - presence.TTL, "at_most": at_most},
    )
    return [(row.organization_id, row.queue_id) for row in found]


@dataclass(frozen=True, slots=True)
class Passed:
    """`may_go_on`: something was assigned and slots are left, so that another pass may find more."""

    assigned: int = 0
    may_go_on: bool = False


async def route(uow: UnitOfWork, queue_id: UUID) -> Passed:
    """One pass: assigns at most `AT_ONCE` conversations of the queue."""
    queue = (await queues.by_ids(uow.session, [queue_id])).get(queue_id)
    if queue is None or not _routes_by_itself(queue) or not await _has_waiting(uow, queue_id):
        return Passed()
    if not await hours.is_open(uow.session, queue, uow.now()):
        return Passed()
    known = (await roster.read(uow.session, [queue], uow.now()))[queue_id]
    prospect = known.contest().rank(float("inf"))
    if prospect.is_unroutable:
        uow.emit(QueueUnroutable(entity_id=queue_id))
    if prospect.chosen is None:
        return Passed()
    await one_at_a_time(uow, f"route {queue_id}")
    await _lock_members(uow, [candidate.member_id for candidate in known.candidates])
    # Who joined since is not locked, and skills may have changed: that wakes routing by itself.
    routing_pass = _Pass(uow, await roster.again(uow.session, known, uow.now()))
    for criterion, keys in order.tiers(queue.order, order.capped_rank(uow.now())):
        await routing_pass.give(criterion, keys)
    if not routing_pass.gifts:
        # Relaxation goes by the wait alone: who waits longest may be served though those before may not (D14).
        await routing_pass.give(sa.true(), (col(Conversation.eligible_since), col(Conversation.id)))
    await routing_pass.write()
    return Passed(len(routing_pass.gifts), may_go_on=0 < len(routing_pass.gifts) < routing_pass.free)


class _Pass:
    """What one pass gives out, chosen one after the other and written together at its end."""

    def __init__(self, uow: UnitOfWork, known: Roster) -> None:
        self.gifts: list[Gift] = []
        self._uow = uow
        self._queue = known.queue
        self._contest = known.contest()
        self._cursor = max(
            (it.last_assigned_in_queue_at for it in known.candidates if it.last_assigned_in_queue_at), default=None
        )
        self.free = sum(max(0, it.capacity - it.load) for it in known.candidates)
        self._taken: dict[UUID, tuple[int, datetime]] = {}
        self._written: dict[int, tuple[Verdict, dict[str, Any]]] = {}

    async def give(self, criterion: Any, keys: Sequence[Any]) -> None:
        """To the best for each of the first that wait and nobody holds, as far as there is one."""
        at_most = min(AT_ONCE, self.free) - len(self.gifts)
        if at_most <= 0:
            return
        for conversation in await _lock_waiting(self._uow, self._queue.id, criterion, keys, at_most):
            ranking = self._contest.rank(waited_seconds(conversation, self._uow.now()))
            if ranking.chosen is not None:
                self._give(conversation.id, ranking, ranking.chosen)

    def _give(self, conversation_id: UUID, ranking: Ranking, chosen: Candidate) -> None:
        self._cursor = cursor = assigned_cursor(self._uow.now(), [self._cursor])
        decision_id = uuid7()
        decision = {
            "id": decision_id,
            "conversation_id": conversation_id,
            "strategy": self._queue.routing_strategy,
            "chosen_id": chosen.member_id,
            "decided_at": self._uow.now(),
            "verdicts": [self._write(verdict) for verdict in ranking.verdicts],
        }
        self._uow.append(RoutingDecision, decision)
        self.gifts.append(Gift(self._uow, conversation_id, chosen.member_id, decision_id))
        self._taken[chosen.member_id] = self._taken.get(chosen.member_id, (0, cursor))[0] + 1, cursor
        busier = replace(chosen, load=chosen.load + 1, last_assigned_in_queue_at=cursor, last_assigned_at=cursor)
        self._contest.change(busier)

    def _write(self, verdict: Verdict) -> dict[str, Any]:
        """Of those that have not changed since the last decision, what was written then."""
        known = self._written.get(id(verdict))
        if known is None:
            known = self._written[id(verdict)] = verdict, verdicts.write(verdict)
        return known[1]

    async def write(self) -> None:
        if self.gifts:
            await slots.take_slots(self._uow, self._taken)
            await turns.remember_all(self._uow, self._queue.id, {id_: at for id_, (_, at) in self._taken.items()})
            await give_all(self.gifts, reason=MoveReason.ROUTING)


def waited_seconds(conversation: Any, now: datetime) -> float:
    since = conversation.eligible_since
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _routes_by_itself(queue: Queue) -> bool:
    return queue.auto_assign and queue.routing_strategy is not RoutingStrategy.MANUAL


async def _has_slot(ports: Ports, organization_id: UUID, member_id: UUID) -> bool:
    async with ports.database.session(organization_id) as session:
        free = select(Member.id).where(Member.id == member_id, col(Member.load) < col(Member.capacity))
        return (await session.execute(free)).first() is not None


async def _has_waiting(uow: UnitOfWork, queue_id: UUID) -> bool:
    return bool(await _first_waiting().rows(uow.session, {"queue_id": queue_id}))


@cache
def _first_waiting() -> Frozen:
    in_queue = col(Conversation.queue_id) == sa.bindparam("queue_id", type_=sa.Uuid())
    return Frozen(confined(select(Conversation.id).where(in_queue, order.WAITS).limit(1)))


async def _lock_members(uow: UnitOfWork, ids: Sequence[UUID]) -> None:
    """In order of id, as everybody locks agents; messages that name them are not held up."""
    await _locking().rows(uow.session, {"member_ids": list(ids)})


@cache
def _locking() -> Frozen:
    these = col(Member.id) == sa.any_(sa.bindparam("member_ids", type_=ARRAY(sa.Uuid())))
    return Frozen(confined(select(Member.id).where(these).order_by(col(Member.id)).with_for_update(key_share=True)))


async def _lock_waiting(
    uow: UnitOfWork, queue_id: UUID, criterion: Any, keys: Sequence[Any], at_most: int
) -> Sequence[Any]:
    statement = (
        select(Conversation.id, Conversation.eligible_since)
        .where(Conversation.queue_id == queue_id, order.WAITS, criterion)
        .order_by(*keys)
        .limit(at_most)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return (await uow.session.execute(statement)).all()
