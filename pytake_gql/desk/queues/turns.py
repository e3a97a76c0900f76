"""Whose turn it is: when each member was last assigned something of a queue (D12)."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.desk.queues.models import QueueMember
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def remember(uow: UnitOfWork, queue_id: UUID | None, member_id: UUID, at: datetime | None) -> None:
    """Written in the claiming transaction, so that turns survive restarts; nothing for who does not serve it."""
    place = sa.update(QueueMember).where(col(QueueMember.queue_id) == queue_id, col(QueueMember.member_id) == member_id)
    await uow.session.execute(place.values(last_assigned_at=at))
