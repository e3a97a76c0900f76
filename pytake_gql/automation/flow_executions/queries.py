"""Reading recipients. Counts are always the sum over them."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func

from pytake_gql.automation.flow_executions.models import ExecutionRecipient, RecipientStatus
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page

_IN_ORDER = (Key(ExecutionRecipient.id),)


async def counts(session: AsyncSession, execution_ids: Sequence[UUID]) -> dict[UUID, dict[RecipientStatus, int]]:
    """How many recipients of each execution stand where."""
    statement = (
        sa.select(col(ExecutionRecipient.execution_id), col(ExecutionRecipient.status), func.count())
        .where(col(ExecutionRecipient.execution_id).in_(execution_ids))
        .group_by(col(ExecutionRecipient.execution_id), col(ExecutionRecipient.status))
    )
    found: dict[UUID, dict[RecipientStatus, int]] = {id_: {} for id_ in execution_ids}
    for execution_id, status, number in await session.execute(statement):
        found[execution_id][status] = number
    return found


async def page(
    session: AsyncSession, execution_id: UUID, wanted: Collection[RecipientStatus] | None, window: Window
) -> Page[ExecutionRecipient]:
    """In the order in which they were resolved; `wanted` None is in any state."""
    return await fetch_page(session, _listed(sa.select(ExecutionRecipient), execution_id, wanted), _IN_ORDER, window)


async def count(session: AsyncSession, execution_id: UUID, wanted: Collection[RecipientStatus] | None) -> int:
    statement = _listed(sa.select(func.count()).select_from(ExecutionRecipient), execution_id, wanted)
    found: int = (await session.execute(statement)).scalar_one()
    return found


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, ExecutionRecipient]:
    rows = await session.execute(sa.select(ExecutionRecipient).where(col(ExecutionRecipient.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


def _listed(
    statement: sa.Select[Any], execution_id: UUID, wanted: Collection[RecipientStatus] | None
) -> sa.Select[Any]:
    statement = statement.where(col(ExecutionRecipient.execution_id) == execution_id)
    return statement if wanted is None else statement.where(col(ExecutionRecipient.status).in_(wanted))
