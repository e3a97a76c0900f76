"""Whose turn it is: when each member was last assigned something of a queue (D12)."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.desk.queues.models import QueueMember
from pytake_gql.kernel.db import Instant
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def remember(uow: UnitOfWork, queue_id: UUID | None, member_id: UUID, at: datetime | None) -> None:
    """Written in the claiming transaction, so that turns survive restarts; nothing for who does not serve it."""
    place = sa.update(QueueMember).where(col(QueueMember.queue_id) == queue_id, col(QueueMember.member_id) == member_id)
    await uow.session.execute(place.values(last_assigned_at=at))


async def remember_all(uow: UnitOfWork, queue_id: UUID, turns: Mapping[UUID, datetime | None]) -> None:
    """The same for several members of one queue, in one statement."""
    if not turns:
        return
    given = sa.values(sa.column("member_id", sa.Uuid()), sa.column("at", Instant()), name="given").data(
        [*turns.items()]
    )
    places = sa.update(QueueMember).where(
        col(QueueMember.queue_id) == queue_id, col(QueueMember.member_id) == given.c.member_id
    )
    values = places.values(last_assigned_at=given.c.at)
    await uow.session.execute(values, execution_options={"synchronize_session": False})
