from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.channels.models import Channel
from pytake_gql.kernel.errors import not_found
from pytake_gql.kernel.settings import Settings
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def get(uow: UnitOfWork, channel_id: UUID, *path: str) -> Channel:
    """The row, locked; or the refusal NOT_FOUND under that path (`id` by default)."""
    statement = select(Channel).where(Channel.id == channel_id).with_for_update()
    channel = (await uow.session.execute(statement)).scalar_one_or_none()
    if channel is None:
        raise not_found(*(path or ("id",)))
    return channel


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Channel]:
    rows = await session.execute(select(Channel).where(col(Channel.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_all(session: AsyncSession) -> Sequence[Channel]:
    """In alphabetical order."""
    statement = select(Channel).order_by(func.lower(Channel.name), col(Channel.id))
    return (await session.execute(statement)).scalars().all()


def webhook_url(settings: Settings) -> str:
    """The address that the channel's provider calls; for web chat the widget's, which speaks GraphQL."""
    return f"{settings.public_url}/graphql"
