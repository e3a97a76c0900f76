"""Trying again, by hand, what failed."""

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.automation.flow_executions import service, statuses
from pytake_gql.automation.flow_executions.events import FlowExecutionRetried
from pytake_gql.automation.flow_executions.models import (
    ExecutionRecipient,
    ExecutionStatus,
    FlowExecution,
    RecipientStatus,
)
from pytake_gql.automation.flow_executions.snapshots import Snapshot
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def retry(uow: UnitOfWork, execution_id: UUID) -> FlowExecution:
    """Tries those that FAILED again, from the beginning of the flow and with all their attempts.

    The window that the automation has now is for the event's listeners to set; one that has passed does not bind: who
    retries by hand says when.
    """
    execution = await service.get(uow, execution_id)
    if execution.status not in statuses.RETRIABLE or execution.is_dry_run:
        refuse(UserErrorCode.WRONG_STATE, "Only what has ended, and was not cancelled, can be tried again.", "id")
    failed = (
        sa.update(ExecutionRecipient)
        .where(
            col(ExecutionRecipient.execution_id) == execution.id,
            col(ExecutionRecipient.status) == RecipientStatus.FAILED,
        )
        .values(
            status=RecipientStatus.PENDING,
            reason=None,
            attempts=0,
            conversation_id=None,
            message_id=None,
            flow_run_id=None,
            due_at=uow.now(),
            updated_at=uow.now(),
            epoch=ExecutionRecipient.epoch + 1,
        )
        .returning(col(ExecutionRecipient.id))
        .execution_options(synchronize_session=False)
    )
    again = len((await uow.session.execute(failed)).all())
    is_begun = execution.started_at is not None
    if not again and is_begun:
        refuse(UserErrorCode.WRONG_STATE, "No recipient of it has failed.", "id")
    told = {"status": {"from": execution.status, "to": ExecutionStatus.RUNNING}, "recipients": {"from": 0, "to": again}}
    execution.status = ExecutionStatus.RUNNING if is_begun else ExecutionStatus.QUEUED
    execution.reason = execution.finished_at = None
    execution.started_at = uow.now() if is_begun else None
    execution.due_at, execution.is_paused = uow.now(), False
    snapshot = Snapshot.from_json(execution.snapshot)
    if snapshot.spans is not None and not any(span.closes_at > uow.now() for span in snapshot.spans):
        execution.snapshot = {**execution.snapshot, "spans": None}
    await uow.announce(
        FlowExecutionRetried(entity_id=execution.id, automation_id=execution.automation_id, changes=told)
    )
    service.wake(uow, execution.id)
    uow.wake(service.topic(execution.id))
    return execution
