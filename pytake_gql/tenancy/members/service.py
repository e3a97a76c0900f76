from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.tenancy.members.models import Member


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Member]:
    """Members, removed ones too: history names them."""
    rows = await session.execute(select(Member).where(col(Member.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}
