"""Whose turn it is: when each member was last assigned something of a queue (D12)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from pytake_gql.desk.queues.models import QueueMember
from pytake_gql.kernel.db import Instant, table_of
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def remember(uow: UnitOfWork, queue_id: UUID | None, member_id: UUID, at: datetime | None) -> None:
    """Written in the claiming transaction, so that turns survive restarts; nothing for who does not serve it."""
    place = sa.update(QueueMember).where(col(QueueMember.queue_id) == queue_id, col(QueueMember.member_id) == member_id)
    await uow.session.execute(place.values(last_assigned_at=at))


_places = table_of(QueueMember)
_turns: Any = (
    sa.func.unnest(sa.bindparam("member_ids", type_=ARRAY(sa.Uuid())), sa.bindparam("instants", type_=ARRAY(Instant())))
    .table_valued(sa.column("member_id", sa.Uuid()), sa.column("at", Instant()))
    .render_derived(name="turns")
)
_REMEMBER_ALL = Frozen(
    sa.update(_places)
    .where(
        _places.c.organization_id == sa.bindparam("of_organization", type_=sa.Uuid()),
        _places.c.queue_id == sa.bindparam("of_queue", type_=sa.Uuid()),
        _places.c.member_id == _turns.c.member_id,
    )
    .values(last_assigned_at=_turns.c.at)
)


async def remember_all(uow: UnitOfWork, queue_id: UUID, turns: Mapping[UUID, datetime]) -> None:
    """The same for several members of one queue, in one statement."""
    given = {"of_organization": uow.organization_id, "of_queue": queue_id}
    arrays = {"member_ids": list(turns), "instants": list(turns.values())}
    await _REMEMBER_ALL.rows(uow.session, {**given, **arrays})
