"""Whether queues are open: their own opening hours, in their organization's zone and with its holidays (D23)."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from pytake_gql.desk.queues.models import Queue
from pytake_gql.tenancy.organizations.calendar import Calendar
from pytake_gql.tenancy.organizations.models import Organization


async def is_open(session: AsyncSession, queue: Queue, at: datetime) -> bool:
    return queue.id in await open_among(session, [queue], at)


async def open_among(session: AsyncSession, queues: Collection[Any], at: datetime) -> set[UUID]:
    """The ids of those that are open at that instant; a queue without opening hours always is.

    `queues` are rows with their columns id, organization_id and opening_hours.
    """
    with_hours = [queue for queue in queues if queue.opening_hours]
    found = {queue.id for queue in queues if not queue.opening_hours}
    if with_hours:
        organization = select(Organization.timezone, Organization.holiday_region).where(
            Organization.id == with_hours[0].organization_id
        )
        zone, region = (await session.execute(organization)).one()
        found |= {queue.id for queue in with_hours if Calendar.of(queue.opening_hours, zone, region).is_open(at)}
    return found
