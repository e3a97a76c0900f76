"""Recipients under a worker's lease: claimed, renewed, put back, and written only by the last claim (E4)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, func, select

from pytake_gql.automation.flow_executions import statuses
from pytake_gql.automation.flow_executions.models import (
    ExecutionRecipient,
    ExecutionStatus,
    FlowExecution,
    RecipientStatus,
)
from pytake_gql.kernel.unit_of_work import UnitOfWork

LEASE = timedelta(seconds=60)
RENEWED_AFTER = timedelta(seconds=5)
CHUNK = 100
"""Recipients that one job claims."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A recipient under this worker's lease. `message_id`: it was sent before, and is to be tried again."""

    id: UUID
    epoch: int
    attempts: int
    message_id: UUID | None

    @property
    def is_suspect(self) -> bool:
        """A worker had it before and told nothing: what broke there may break again, so it stands alone."""
        return self.attempts > 1 and self.message_id is None


class Superseded(Exception):
    """Some are no longer this worker's: nothing of the transaction may be committed."""

    def __init__(self, gone: frozenset[UUID]) -> None:
        super().__init__(gone)
        self.gone = gone


async def claim(uow: UnitOfWork, execution: FlowExecution, at_most: int) -> Sequence[Claimed]:
    """Takes those that are due, the earliest first; the execution is locked."""
    due = (
        select(ExecutionRecipient.id)
        .where(
            ExecutionRecipient.execution_id == execution.id,
            col(ExecutionRecipient.due_at) <= uow.now(),
            col(ExecutionRecipient.status).in_(statuses.OPEN),
        )
        .order_by(col(ExecutionRecipient.due_at), col(ExecutionRecipient.id))
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    ids = (await uow.session.execute(due)).scalars().all()
    taken = (
        sa.update(ExecutionRecipient)
        .where(col(ExecutionRecipient.id).in_(ids))
        .values(
            status=RecipientStatus.SENDING,
            due_at=uow.now() + LEASE,
            epoch=ExecutionRecipient.epoch + 1,
            attempts=ExecutionRecipient.attempts + 1,
            updated_at=uow.now(),
        )
        .returning(
            col(ExecutionRecipient.id),
            col(ExecutionRecipient.epoch),
            col(ExecutionRecipient.attempts),
            col(ExecutionRecipient.message_id),
        )
        .execution_options(synchronize_session=False)
    )
    rows = (await uow.session.execute(taken)).all() if ids else []
    return sorted((Claimed(*row) for row in rows), key=lambda it: it.id)


async def in_flight(uow: UnitOfWork, execution_id: UUID) -> int:
    statement = select(func.count()).where(
        ExecutionRecipient.execution_id == execution_id, ExecutionRecipient.status == RecipientStatus.SENDING
    )
    return (await uow.session.execute(statement)).scalar_one()


async def next_due(uow: UnitOfWork, execution_id: UUID) -> tuple[bool, datetime | None]:
    """Whether anything is open, and when a claim finds something; None: when messages have told what became of them."""
    is_open = select(ExecutionRecipient.due_at).where(
        ExecutionRecipient.execution_id == execution_id, col(ExecutionRecipient.status).in_(statuses.OPEN)
    )
    earliest = is_open.order_by(col(ExecutionRecipient.due_at).asc().nulls_last()).limit(1)
    row = (await uow.session.execute(earliest)).one_or_none()
    return (False, None) if row is None else (True, row[0])


async def hold(uow: UnitOfWork, claimed: Collection[Claimed]) -> dict[UUID, ExecutionRecipient]:
    """The rows, locked last of all; raises `Superseded` where another worker, or a cancel, has taken any of them."""
    rows = await _lock(uow, [it.id for it in claimed])
    epochs = {it.id: it.epoch for it in claimed}
    mine = {
        id_: row
        for id_, row in rows.items()
        if row.epoch == epochs[id_] and row.status is RecipientStatus.SENDING and row.due_at is not None
    }
    if gone := epochs.keys() - mine.keys():
        raise Superseded(frozenset(gone))
    return mine


async def look(uow: UnitOfWork, claimed: Collection[Claimed]) -> dict[UUID, ExecutionRecipient]:
    """The rows as they stand, not locked."""
    rows = await uow.session.execute(
        select(ExecutionRecipient).where(col(ExecutionRecipient.id).in_([it.id for it in claimed]))
    )
    return {row.id: row for row in rows.scalars()}


async def renew(uow: UnitOfWork, claimed: Sequence[Claimed]) -> None:
    """A new lease for what is still this worker's, and not done."""
    statement = sa.update(ExecutionRecipient).where(*_mine(claimed)).values(due_at=uow.now() + LEASE)
    await uow.session.execute(statement.execution_options(synchronize_session=False))


async def put_back(uow: UnitOfWork, claimed: Sequence[Claimed], due_at: datetime) -> None:
    """As they were before the claim; due then."""
    values = {
        "status": RecipientStatus.PENDING,
        "due_at": due_at,
        "attempts": ExecutionRecipient.attempts - 1,
        "updated_at": uow.now(),
    }
    statement = sa.update(ExecutionRecipient).where(*_mine(claimed)).values(**values)
    await uow.session.execute(statement.execution_options(synchronize_session=False))


async def is_running(uow: UnitOfWork, execution_id: UUID) -> bool:
    """Read before every send (E5)."""
    statement = select(FlowExecution.status, FlowExecution.is_paused).where(FlowExecution.id == execution_id)
    status, is_paused = (await uow.session.execute(statement)).one()
    return status is ExecutionStatus.RUNNING and not is_paused


def change(uow: UnitOfWork, row: ExecutionRecipient, status: RecipientStatus, **values: Any) -> None:
    """What became of one that is held: nothing is to be done for it any more, unless the values say so."""
    row.status, row.due_at, row.updated_at = status, None, uow.now()
    for name, value in values.items():
        setattr(row, name, value)


async def _lock(uow: UnitOfWork, ids: Collection[UUID]) -> Mapping[UUID, ExecutionRecipient]:
    statement = (
        select(ExecutionRecipient).where(col(ExecutionRecipient.id).in_(ids)).order_by(col(ExecutionRecipient.id))
    )
    rows = await uow.session.execute(statement.with_for_update(), execution_options={"populate_existing": True})
    return {row.id: row for row in rows.scalars()}


def _mine(claimed: Sequence[Claimed]) -> list[sa.ColumnElement[bool]]:
    """Still this worker's and not begun, by one array each of ids and epochs."""
    pairs = sa.tuple_(col(ExecutionRecipient.id), col(ExecutionRecipient.epoch))
    return [
        pairs.in_([(it.id, it.epoch) for it in claimed]),
        col(ExecutionRecipient.status) == RecipientStatus.SENDING,
        col(ExecutionRecipient.due_at).is_not(None),
    ]
