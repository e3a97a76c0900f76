"""What several agents take at once: one statement locks them, finds them as many conversations, and takes the slots.

Agents first, in the order of their ids, then conversations that nobody holds, so that no two statements wait for each
other and nothing is taken twice or above a capacity (D11). No statement reads or sorts a backlog: of several queues
the first few of each are compared, and only when others hold all of those is one queue asked after the other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from pytake_gql.desk.conversations import order
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues.models import QueueMember, QueueOrder
from pytake_gql.kernel.db import Instant, table_of
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Member

_PEEKED = 8
"""More than may be held at once by others who take from the same queue."""

_members, _places, _conversations = table_of(Member), table_of(QueueMember), table_of(Conversation)
_organization = sa.bindparam("of_organization", type_=sa.Uuid())
_now = sa.bindparam("now", type_=Instant())
_capped = sa.bindparam("capped", type_=sa.Integer())


Plan: TypeAlias = tuple[tuple[QueueOrder, tuple[UUID, ...]], ...]
"""Queues to take from, those of one priority and one order together, the higher priority first (D7)."""


@dataclass(slots=True)
class Claims:
    """`taken`: conversation by member. `ready` had a slot free, whether there was anything to take or not.

    `is_short`: others hold so many that what waits behind those was not looked at.
    """

    taken: dict[UUID, UUID] = field(default_factory=dict)
    ready: set[UUID] = field(default_factory=set)
    is_short: bool = False


async def take_from(
    uow: UnitOfWork, member_ids: Sequence[UUID], plan: Plan, *, besides: Collection[UUID] = ()
) -> Claims:
    """The first that wait, one for each member: the members are served in turn.

    `besides` are those that this transaction has taken before: they wait until they are given, and its own locks do
    not keep it from them.
    """
    claims = Claims()
    for queue_order, queue_ids in plan:
        await _take(uow, claims, member_ids, queue_ids, queue_order, besides)
        if claims.is_short:
            for queue_id in queue_ids:
                await _take(uow, claims, member_ids, [queue_id], queue_order, besides)
    for member_id in claims.taken:
        presence.tell(uow, member_id)
    return claims


async def _take(
    uow: UnitOfWork,
    claims: Claims,
    member_ids: Sequence[UUID],
    queue_ids: Sequence[UUID],
    queue_order: QueueOrder,
    besides: Collection[UUID],
) -> None:
    """For those who have none yet."""
    waiting = [id_ for id_ in member_ids if id_ not in claims.taken]
    if not waiting:
        return
    claim = _frozen(queue_order, is_one_queue=len(queue_ids) == 1)
    taken = [*besides, *claims.taken.values()]
    asked = parameters(uow.organization_id, uow.now(), waiting, queue_ids, taken)
    rows = await claim.rows(uow.session, asked)
    found = {row.member_id: row.conversation_id for row in rows if row.conversation_id}
    claims.taken |= found
    claims.ready |= {row.member_id for row in rows}
    claims.is_short = len(found) < len(rows) and rows[0].has_more


def parameters(
    organization_id: UUID,
    now: datetime,
    member_ids: Sequence[UUID],
    queue_ids: Sequence[UUID],
    taken: Sequence[UUID] = (),
) -> dict[str, Any]:
    """Of the `statement`."""
    return {
        "of_organization": organization_id,
        "now": now,
        "capped": order.capped_rank(now),
        "member_ids": list(member_ids),
        "taken": list(taken),
        **({"one_queue": queue_ids[0]} if len(queue_ids) == 1 else {"queue_ids": list(queue_ids)}),
    }


@cache
def _frozen(queue_order: QueueOrder, *, is_one_queue: bool) -> Frozen:
    return Frozen(statement(queue_order, is_one_queue=is_one_queue))


def statement(queue_order: QueueOrder, *, is_one_queue: bool) -> sa.Select[Any]:
    """Answers each member who has a slot free, and the conversation taken, if any."""
    ready = _ready()
    how_many = sa.select(sa.func.count()).select_from(ready).scalar_subquery()
    peeked = None if is_one_queue else _peeked(queue_order, how_many)
    found = (_of_one(queue_order, how_many) if peeked is None else _among(peeked, queue_order, how_many)).subquery()
    # Numbered as they come: they come in order.
    first = sa.select(found.c.id, found.c.queue_id, sa.func.row_number().over().label("place")).cte("first")
    is_left = sa.false() if peeked is None else sa.exists().where(peeked.c.id.not_in(sa.select(first.c.id)))
    turns = sa.select(ready.c.id, sa.func.row_number().over(order_by=ready.c.place).label("place")).cte("turns")
    pairs = (
        sa.select(turns.c.id.label("member_id"), first.c.id.label("conversation_id"), first.c.queue_id)
        .join_from(turns, first, turns.c.place == first.c.place)
        .cte("pairs")
    )
    slots = (
        sa.update(_members)
        .where(_members.c.organization_id == _organization, _members.c.id == pairs.c.member_id)
        .values(load=_members.c.load + 1, last_assigned_at=_now)
        .cte("slots")
    )
    cursors = (
        sa.update(_places)
        .where(
            _places.c.organization_id == _organization,
            _places.c.queue_id == pairs.c.queue_id,
            _places.c.member_id == pairs.c.member_id,
        )
        .values(last_assigned_at=_now)
        .cte("cursors")
    )
    return (
        sa.select(turns.c.id.label("member_id"), pairs.c.conversation_id, is_left.label("has_more"))
        .join_from(turns, pairs, turns.c.id == pairs.c.member_id, isouter=True)
        .order_by(turns.c.place)
        .add_cte(slots, cursors)
    )


def _ready() -> sa.CTE:
    """The members who have a slot free, locked. Messages that name them are not held up."""
    asked = (
        sa.func.unnest(sa.bindparam("member_ids", type_=ARRAY(sa.Uuid())))
        .table_valued(sa.column("id", sa.Uuid()), with_ordinality="place")
        .render_derived(name="asked")
    )
    return (
        sa.select(_members.c.id, asked.c.place)
        .join_from(asked, _members, sa.and_(_members.c.organization_id == _organization, _members.c.id == asked.c.id))
        .where(_members.c.is_active, _members.c.removed_at.is_(None), _members.c.load < _members.c.capacity)
        .order_by(_members.c.id)
        .with_for_update(of=_members, key_share=True)
        .cte("ready")
    )


def _of_one(queue_order: QueueOrder, how_many: Any) -> Any:
    """PostgreSQL appends in the order written and stops when it has enough: it looks into, and locks, no other."""
    queue_id = sa.bindparam("one_queue", type_=sa.Uuid())
    each = [
        _waiting(queue_id, *tier).limit(how_many).with_for_update(skip_locked=True, key_share=True)
        for tier in order.tiers(queue_order, _capped, _conversations.c)
    ]
    return sa.union_all(*(sa.select(piece.subquery()) for piece in each)).limit(how_many)


def _peeked(queue_order: QueueOrder, how_many: Any) -> sa.CTE:
    """The first few of each queue, without a lock."""
    asked = (
        sa.func.unnest(sa.bindparam("queue_ids", type_=ARRAY(sa.Uuid())))
        .table_valued(sa.column("id", sa.Uuid()))
        .render_derived(name="of_queue")
    )
    few = [
        sa.select(piece.c.id).select_from(asked, piece)
        for tier in order.tiers(queue_order, _capped, _conversations.c)
        for piece in [_waiting(asked.c.id, *tier).limit(how_many + _PEEKED).lateral()]
    ]
    return sa.union_all(*few).cte("peeked")


def _among(peeked: sa.CTE, queue_order: QueueOrder, how_many: Any) -> Any:
    # As an array: PostgreSQL looks up each, whatever it guesses of how many there are.
    ids = sa.func.array(sa.select(peeked.c.id).scalar_subquery(), type_=ARRAY(sa.Uuid()))
    keys = [key.expression for key in order.keys(queue_order, _capped, _conversations.c)]
    return (
        sa.select(_conversations.c.id, _conversations.c.queue_id)
        .where(_waits(), _conversations.c.id == sa.any_(ids))
        .order_by(*keys)
        .limit(how_many)
        .with_for_update(skip_locked=True, key_share=True)
    )


def _waits() -> sa.ColumnElement[bool]:
    """Literally, as the condition of the indexes says it."""
    is_queued = _conversations.c.status == sa.literal_column(f"'{ConversationStatus.QUEUED}'")
    is_left = _conversations.c.id != sa.all_(sa.bindparam("taken", type_=ARRAY(sa.Uuid())))
    return sa.and_(_conversations.c.organization_id == _organization, is_queued, is_left)


def _waiting(queue_id: Any, criterion: Any, keys: Sequence[Any]) -> Any:
    return (
        sa.select(_conversations.c.id, _conversations.c.queue_id)
        .where(_conversations.c.queue_id == queue_id, _waits(), criterion)
        .order_by(*keys)
    )
