"""The verbs of executions. An automation is known here by its id, and by what it gave along when it fired."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.automation.flow_executions import statuses
from pytake_gql.automation.flow_executions.events import (
    FlowExecutionCancelled,
    FlowExecutionCreated,
    FlowExecutionEnded,
)
from pytake_gql.automation.flow_executions.models import (
    ExecutionRecipient,
    ExecutionStatus,
    ExecutionTrigger,
    FlowExecution,
    RecipientStatus,
)
from pytake_gql.automation.flow_executions.snapshots import Snapshot
from pytake_gql.kernel.db import table_of
from pytake_gql.kernel.errors import UserErrorCode, not_found, refuse
from pytake_gql.kernel.frozen import fetch
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page
from pytake_gql.kernel.principal import System
from pytake_gql.kernel.unit_of_work import UnitOfWork

_AT_ONCE = 5000
"""How many recipients one statement ends; a worker ends the rest."""
_LATEST_FIRST = (Key(FlowExecution.scheduled_for, is_descending=True), Key(FlowExecution.id, is_descending=True))


@dataclass(frozen=True, slots=True)
class Firing:
    """What an automation asks for at one instant.

    `scheduled_for` is the nominal instant, `not_before` the one at which it really begins (deferral, jitter), by
    default at once. With a `status` (SKIPPED, MISSED) it is history only, and `reason` says why. `is_held`: it waits
    for `release` (BUFFER_ONE).
    """

    automation_id: UUID
    trigger: ExecutionTrigger
    scheduled_for: datetime
    version_id: UUID
    channel_id: UUID
    snapshot: Snapshot = field(default_factory=Snapshot)
    not_before: datetime | None = None
    client_key: str | None = None
    """Of a MANUAL one."""
    is_dry_run: bool = False
    triggered_by_id: UUID | None = None
    status: ExecutionStatus = ExecutionStatus.QUEUED
    reason: str | None = None
    is_held: bool = False


def topic(execution_id: UUID) -> str:
    """Told when anything about the execution or one of its recipients became another."""
    return f"execution:{execution_id.hex}"


def wake(uow: UnitOfWork, execution_id: UUID) -> None:
    """Lets a worker look at it after the commit (E11)."""
    uow.enqueue(Job("run_execution", (str(uow.organization_id), str(execution_id)), JobQueue.BULK))


async def create(uow: UnitOfWork, firing: Firing) -> FlowExecution:
    """The execution of that identity, whether it is new or was there: however many ask, there is one (S19)."""
    made = await create_all(uow, [firing])
    if made:
        (id_,) = made
        row = await uow.session.get_one(FlowExecution, (uow.organization_id, id_))
        if not isinstance(uow.principal, System):
            changes = {"trigger": {"from": None, "to": row.trigger}, "is_dry_run": {"from": None, "to": row.is_dry_run}}
            uow.emit(FlowExecutionCreated(entity_id=row.id, automation_id=row.automation_id, changes=changes))
        return row
    found: FlowExecution = (await uow.session.execute(_of_identity(firing))).scalar_one()
    return found


async def create_all(uow: UnitOfWork, firings: Sequence[Firing]) -> dict[UUID, Firing]:
    """Those that are new, in one statement; of identities that were there nothing changes (S19)."""
    if not firings:
        return {}
    rows = [{"organization_id": uow.organization_id, **_values(firing, uow.now())} for firing in firings]
    await uow.session.flush()
    made = {row["id"] for row in await fetch(uow.session, _CREATE, orjson.dumps(rows, default=str).decode())}
    for row in rows:
        if row["id"] in made and row["due_at"] is not None and row["due_at"] <= uow.now():
            wake(uow, row["id"])
    return {row["id"]: firing for row, firing in zip(rows, firings, strict=True) if row["id"] in made}


_COLUMNS = ", ".join(column.name for column in table_of(FlowExecution).columns if column.name != "started_at")
_CREATE = f"""
INSERT INTO flow_executions ({_COLUMNS})
SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::flow_executions, $1::text::jsonb)
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608 - names of ours


def _values(firing: Firing, now: datetime) -> dict[str, Any]:
    is_to_run = firing.status is ExecutionStatus.QUEUED
    return {
        "id": uuid7(),
        "automation_id": firing.automation_id,
        "trigger": firing.trigger,
        "scheduled_for": firing.scheduled_for,
        "client_key": firing.client_key,
        "status": firing.status,
        "reason": firing.reason,
        "is_dry_run": firing.is_dry_run,
        "triggered_by_id": firing.triggered_by_id,
        "version_id": firing.version_id,
        "channel_id": firing.channel_id,
        "snapshot": firing.snapshot.to_json(),
        "is_paused": False,
        "due_at": max(firing.not_before or now, now) if is_to_run and not firing.is_held else None,
        "finished_at": None if is_to_run else now,
        "created_at": now,
    }


def _of_identity(firing: Firing) -> Any:
    statement = select(FlowExecution).where(FlowExecution.automation_id == firing.automation_id)
    if firing.trigger is ExecutionTrigger.MANUAL:
        return statement.where(FlowExecution.client_key == firing.client_key)
    return statement.where(FlowExecution.scheduled_for == firing.scheduled_for, FlowExecution.trigger == firing.trigger)


async def find(uow: UnitOfWork, execution_id: UUID) -> FlowExecution | None:
    """The row, locked."""
    statement = select(FlowExecution).where(FlowExecution.id == execution_id).with_for_update(key_share=True)
    found = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return found.scalar_one_or_none()


async def get(uow: UnitOfWork, execution_id: UUID) -> FlowExecution:
    """The row, locked; or the refusal NOT_FOUND."""
    execution = await find(uow, execution_id)
    if execution is None:
        raise not_found("id")
    return execution


async def cancel(uow: UnitOfWork, execution_id: UUID) -> FlowExecution:
    """From the commit on no recipient begins; what is being sent just then ends (E5)."""
    execution = await get(uow, execution_id)
    if execution.status not in statuses.UNDER_WAY:
        refuse(UserErrorCode.WRONG_STATE, "The execution has ended already.", "id")
    await _stop(uow, execution, None)
    return execution


async def cancel_of(
    uow: UnitOfWork, automation_id: UUID, reason: str | None = None, *, only_waiting: bool = False
) -> Sequence[FlowExecution]:
    """Cancels all of the automation that are under way, or only those that have not begun (S17, S22, S23)."""
    wanted = [ExecutionStatus.QUEUED] if only_waiting else list(statuses.UNDER_WAY)
    found = await _of_automation(uow, automation_id, wanted)
    for execution in found:
        await _stop(uow, execution, reason)
    return found


async def pause_of(uow: UnitOfWork, automation_id: UUID) -> None:
    """None of the automation begins, and of those under way no recipient does, until `resume_of` (E5)."""
    for execution in await _of_automation(uow, automation_id, list(statuses.UNDER_WAY)):
        execution.is_paused = True
        uow.wake(topic(execution.id))


async def resume_of(uow: UnitOfWork, automation_id: UUID) -> None:
    for execution in await _of_automation(uow, automation_id, list(statuses.UNDER_WAY)):
        if execution.is_paused:
            execution.is_paused = False
            if execution.status is not ExecutionStatus.QUEUED:
                execution.due_at = uow.now()
            wake(uow, execution.id)


async def release(uow: UnitOfWork, automation_id: UUID) -> FlowExecution | None:
    """Lets the oldest one begin that was created as held; None where there is none."""
    for execution in await _of_automation(uow, automation_id, [ExecutionStatus.QUEUED]):
        if execution.due_at is None:
            execution.due_at = uow.now()
            wake(uow, execution.id)
            return execution
    return None


async def _stop(uow: UnitOfWork, execution: FlowExecution, reason: str | None) -> None:
    before = execution.status
    await end(uow, execution, ExecutionStatus.CANCELLED, reason=reason)
    changes = {"status": {"from": before, "to": ExecutionStatus.CANCELLED}}
    uow.emit(FlowExecutionCancelled(entity_id=execution.id, automation_id=execution.automation_id, changes=changes))


async def end(uow: UnitOfWork, execution: FlowExecution, status: ExecutionStatus, *, reason: str | None = None) -> None:
    """Ends one that is locked, and with it the recipients that have not begun: cancelled, expired or failed like it."""
    execution.status, execution.reason, execution.finished_at = status, reason, uow.now()
    execution.due_at = None
    if status in _TAKES_ALONG and not await end_recipients(uow, execution):
        execution.due_at = uow.now()
        wake(uow, execution.id)
    uow.wake(topic(execution.id))
    uow.emit(
        FlowExecutionEnded(entity_id=execution.id, automation_id=execution.automation_id, status=status, reason=reason)
    )


_TAKES_ALONG: Mapping[ExecutionStatus, RecipientStatus] = {
    ExecutionStatus.CANCELLED: RecipientStatus.CANCELLED,
    ExecutionStatus.EXPIRED: RecipientStatus.EXPIRED,
    ExecutionStatus.FAILED: RecipientStatus.FAILED,
}


async def end_recipients(uow: UnitOfWork, execution: FlowExecution) -> bool:
    """Ends those that have not begun, like their execution, as many as one statement should; whether that was all.

    Whoever is about to begin one holds its row, or finds that it is no longer there to be begun.
    """
    status = _TAKES_ALONG.get(execution.status)
    if status is None:
        return True
    rest = (
        select(ExecutionRecipient.id)
        .where(
            ExecutionRecipient.execution_id == execution.id,
            col(ExecutionRecipient.due_at).is_not(None),
            col(ExecutionRecipient.status).in_(statuses.OPEN),
        )
        .order_by(col(ExecutionRecipient.due_at), col(ExecutionRecipient.id))
        .limit(_AT_ONCE)
    )
    values = {"status": status, "reason": execution.reason, "due_at": None, "updated_at": uow.now()}
    statement = (
        sa.update(ExecutionRecipient)
        .where(
            col(ExecutionRecipient.id).in_(rest.scalar_subquery()),
            col(ExecutionRecipient.due_at).is_not(None),
        )
        .values(**values)
        .returning(col(ExecutionRecipient.id))
        .execution_options(synchronize_session=False)
    )
    return len((await uow.session.execute(statement)).all()) < _AT_ONCE


async def _of_automation(
    uow: UnitOfWork, automation_id: UUID, wanted: Sequence[ExecutionStatus]
) -> Sequence[FlowExecution]:
    """Locked, the oldest first."""
    statement = (
        select(FlowExecution)
        .where(FlowExecution.automation_id == automation_id, col(FlowExecution.status).in_(wanted))
        .order_by(col(FlowExecution.id))
        .with_for_update(key_share=True)
    )
    found = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return found.scalars().all()


async def running_of(session: AsyncSession, automation_id: UUID) -> Sequence[FlowExecution]:
    """Those of the automation that have begun or are to begin, held ones too, the oldest first (S17). Not locked."""
    statement = select(FlowExecution).where(
        FlowExecution.automation_id == automation_id, col(FlowExecution.status).in_(statuses.UNDER_WAY)
    )
    return (await session.execute(statement.order_by(col(FlowExecution.id)))).scalars().all()


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, FlowExecution]:
    rows = await session.execute(select(FlowExecution).where(col(FlowExecution.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_page(
    session: AsyncSession, automation_id: UUID, wanted: Collection[ExecutionStatus] | None, window: Window
) -> Page[FlowExecution]:
    """Of one automation, the latest first; `wanted` None is in any state."""
    return await fetch_page(session, _listed(sa.select(FlowExecution), automation_id, wanted), _LATEST_FIRST, window)


async def count(session: AsyncSession, automation_id: UUID, wanted: Collection[ExecutionStatus] | None) -> int:
    statement = _listed(sa.select(func.count()).select_from(FlowExecution), automation_id, wanted)
    found: int = (await session.execute(statement)).scalar_one()
    return found


def _listed(
    statement: sa.Select[Any], automation_id: UUID, wanted: Collection[ExecutionStatus] | None
) -> sa.Select[Any]:
    statement = statement.where(col(FlowExecution.automation_id) == automation_id)
    return statement if wanted is None else statement.where(col(FlowExecution.status).in_(wanted))


async def due(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, execution) of those that a worker is to look at, across organizations (E9)."""
    found = await session.execute(
        sa.text("SELECT organization_id, execution_id FROM engine_due_executions(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.execution_id) for row in found]
