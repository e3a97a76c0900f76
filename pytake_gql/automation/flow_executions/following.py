"""Recipients follow what they were sent and the run that speaks with them (F10): inside the transaction that tells it.

Whoever tells it holds the conversation; recipients are locked last of all.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.automation.flow_executions import service, statuses
from pytake_gql.automation.flow_executions.models import ExecutionRecipient, FlowExecution, RecipientStatus
from pytake_gql.automation.flow_runs.events import FlowRunEnded
from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.desk.channels.events import ChannelDeleted
from pytake_gql.desk.contacts.events import ContactErased, ContactMerged
from pytake_gql.desk.conversations.events import FlowMessageSettled, MessageReceived
from pytake_gql.desk.conversations.models import Message
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations


async def on_message_settled(uow: UnitOfWork, event: FlowMessageSettled) -> None:
    """What becomes of its first message becomes of the recipient."""
    theirs = sa.or_(
        col(ExecutionRecipient.message_id) == event.message_id, col(ExecutionRecipient.message_id).is_(None)
    )
    for row in await _locked(uow, col(ExecutionRecipient.conversation_id) == event.entity_id, theirs):
        row.message_id = event.message_id
        await catch_up(uow, row)


async def on_message_received(uow: UnitOfWork, event: MessageReceived) -> None:
    """The contact answered."""
    of_conversation = col(ExecutionRecipient.conversation_id) == event.entity_id
    for row in await _locked(uow, of_conversation, col(ExecutionRecipient.status).in_(statuses.HEARD_NOTHING)):
        _move(uow, row, RecipientStatus.REPLIED, None)


async def on_run_ended(uow: UnitOfWork, event: FlowRunEnded) -> None:
    """A run ends its recipient; whoever began it in this very transaction sees by itself how it ended."""
    run = await uow.session.get_one(FlowRun, (uow.organization_id, event.entity_id))
    if run.started_at == uow.now():
        return
    for row in await _locked(uow, col(ExecutionRecipient.flow_run_id) == run.id):
        await catch_up(uow, row)


async def catch_up(uow: UnitOfWork, row: ExecutionRecipient) -> None:
    """Lets one that is held stand where its message and its run stand."""
    message = await _get(uow, Message, row.message_id)
    run = await _get(uow, FlowRun, row.flow_run_id)
    status = statuses.standing(message.status if message else None, run.status if run else None)
    await apply(uow, row, status, message.error if message else None, run)


async def apply(
    uow: UnitOfWork, row: ExecutionRecipient, status: RecipientStatus, error: str | None, run: FlowRun | None
) -> None:
    """Moves it there if that is forward; one that goes wrong says why."""
    if not statuses.moves(row.status, status):
        return
    reason = error
    if status in {RecipientStatus.CANCELLED, RecipientStatus.EXPIRED}:
        reason = await _why_ended(uow, status)
    elif status is RecipientStatus.FAILED and error is None and run is not None:
        reason = run.error
    _move(uow, row, status, reason)


def _move(uow: UnitOfWork, row: ExecutionRecipient, status: RecipientStatus, reason: str | None) -> None:
    row.status, row.reason, row.due_at, row.updated_at = status, reason, None, uow.now()
    uow.wake(service.topic(row.execution_id))
    if status is RecipientStatus.FAILED:
        service.wake(uow, row.execution_id)  # an execution that was thought to be without errors has one


async def _why_ended(uow: UnitOfWork, status: RecipientStatus) -> str:
    locale = (await organizations.current(uow.session, uow.organization_id)).locale
    if status is RecipientStatus.CANCELLED:
        return translate("Its conversation went to somebody else, or was closed.", locale)
    return translate("The contact did not answer in time.", locale)


async def on_contact_merged(uow: UnitOfWork, event: ContactMerged) -> None:
    """Its recipients are the kept contact's. Where both are in one execution, the one that got further stays."""
    rows = await _locked(uow, col(ExecutionRecipient.contact_id).in_([event.entity_id, event.merged_id]))
    by_execution: dict[UUID, list[ExecutionRecipient]] = {}
    for row in rows:
        by_execution.setdefault(row.execution_id, []).append(row)
    for same in by_execution.values():
        kept, *others = sorted(same, key=lambda row: (row.message_id is None, row.flow_run_id is None, row.id))
        for other in others:
            await uow.session.delete(other)
        await uow.session.flush()
        kept.contact_id = event.entity_id


async def on_contact_erased(uow: UnitOfWork, event: ContactErased) -> None:
    """What was known of the contact is gone, and it is sent nothing more."""
    locale = (await organizations.current(uow.session, uow.organization_id)).locale
    for row in await _locked(uow, col(ExecutionRecipient.contact_id) == event.entity_id):
        row.variables = {}
        if row.due_at is not None and row.status in statuses.OPEN:
            _move(uow, row, RecipientStatus.SKIPPED, translate("The contact was erased.", locale))


async def on_channel_deleted(uow: UnitOfWork, event: ChannelDeleted) -> None:
    """Refuses while something was sent there: its history would lose where."""
    found = select(FlowExecution.id).where(FlowExecution.channel_id == event.entity_id).limit(1)
    if (await uow.session.execute(found)).first():
        refuse(UserErrorCode.WRONG_STATE, "Automations have run on this channel.", "id")


async def _locked(uow: UnitOfWork, *which: Any) -> Sequence[ExecutionRecipient]:
    statement = select(ExecutionRecipient).where(*which).order_by(col(ExecutionRecipient.id)).with_for_update()
    rows = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return rows.scalars().all()


async def _get(uow: UnitOfWork, model: Any, id_: UUID | None) -> Any:
    return await uow.session.get(model, (uow.organization_id, id_)) if id_ is not None else None
