"""What automations hear: inside the transaction that tells it."""

from collections.abc import Mapping

from sqlmodel import col, select

from pytake_gql.automation.flow_automations import queries, service
from pytake_gql.automation.flow_automations.events import FlowAutomationPaused
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation
from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.automation.flow_executions.events import FlowExecutionEnded
from pytake_gql.automation.flow_executions.models import ExecutionStatus, FlowExecution
from pytake_gql.automation.flows.events import FlowDeleted
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.events import ChannelDeleted
from pytake_gql.desk.channels.models import ChannelStatus
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations
from pytake_gql.tenancy.organizations.events import OrganizationUpdated

MOST_FAILURES = 3
_FAILED: Mapping[ExecutionStatus, bool] = {
    ExecutionStatus.FAILED: True,
    ExecutionStatus.COMPLETED: False,
    ExecutionStatus.COMPLETED_WITH_ERRORS: False,
}
"""The other ends say nothing about whether it works."""


async def on_execution_ended(uow: UnitOfWork, event: FlowExecutionEnded) -> None:
    """The next one begins that waited for this; an automation that keeps failing pauses and says why (S17, S21).

    Whoever tells it holds the execution; the automation is locked after it.
    """
    statement = select(FlowAutomation).where(FlowAutomation.id == event.automation_id)
    found = await uow.session.execute(
        statement.with_for_update(key_share=True), execution_options={"populate_existing": True}
    )
    row = found.scalar_one()
    execution = await uow.session.get_one(FlowExecution, (uow.organization_id, event.entity_id))
    if event.status in _FAILED and not execution.is_dry_run:
        row.failures = row.failures + 1 if _FAILED[event.status] else 0
        if _FAILED[event.status] and row.status is AutomationStatus.ACTIVE and row.pause_on_failure:
            await _pause_if_hopeless(uow, row, event.reason)
    if row.deleted_at is None and not (await queries.begun(uow.session, row.id)):
        await executions.release(uow, row.id)


async def refuse_flow_in_use(uow: UnitOfWork, event: FlowDeleted) -> None:
    name = await _name_of_first(uow, FlowAutomation.flow_id == event.entity_id)
    if name is not None:
        refuse(UserErrorCode.WRONG_STATE, "The automation {name} runs it: change that first.", "id", name=name)


async def refuse_channel_in_use(uow: UnitOfWork, event: ChannelDeleted) -> None:
    """A deleted automation keeps its channel, too: what it did is shown with where."""
    statement = select(FlowAutomation.name).where(FlowAutomation.channel_id == event.entity_id).limit(1)
    name = (await uow.session.execute(statement)).scalar_one_or_none()
    if name is not None:
        refuse(UserErrorCode.WRONG_STATE, "The automation {name} speaks there: change that first.", "id", name=name)


async def on_organization_updated(uow: UnitOfWork, event: OrganizationUpdated) -> None:
    """Other holidays are skipped from now on (S15)."""
    if "holiday_region" not in event.changes:
        return
    statement = (
        select(FlowAutomation)
        .where(FlowAutomation.status == AutomationStatus.ACTIVE, col(FlowAutomation.schedule).is_not(None))
        .order_by(col(FlowAutomation.id))
        .with_for_update(key_share=True)
    )
    rows = {row.id: row for row in (await uow.session.execute(statement)).scalars()}
    for id_, wanted in (await queries.settings_by_ids(uow.session, list(rows))).items():
        if wanted.skip_holidays and rows[id_].deleted_at is None:
            await service.aim_anew(uow, rows[id_], wanted)


async def _pause_if_hopeless(uow: UnitOfWork, row: FlowAutomation, reason: str | None) -> None:
    organization = await organizations.current(uow.session, uow.organization_id)
    channel = (await channels.by_ids(uow.session, [row.channel_id])).get(row.channel_id)
    told = None
    if channel is not None and channel.status is not ChannelStatus.CONNECTED:
        told = translate("The channel {name} does not work: {reason}", organization.locale, name=channel.name,
                         reason=channel.last_error or channel.status.value)  # fmt: skip
    elif row.failures >= MOST_FAILURES:
        template_values = {"count": row.failures, "reason": reason or ""}
        told = translate("{count} executions failed in a row. {reason}", organization.locale, **template_values).strip()
    if told is not None:
        await service.stop_firing(uow, row, AutomationStatus.PAUSED, told)
        changes = {"status": {"from": AutomationStatus.ACTIVE, "to": AutomationStatus.PAUSED}}
        uow.emit(FlowAutomationPaused(entity_id=row.id, changes=changes, reason=told))


async def _name_of_first(uow: UnitOfWork, which: bool) -> str | None:
    statement = select(FlowAutomation.name).where(which, col(FlowAutomation.deleted_at).is_(None)).limit(1)
    return (await uow.session.execute(statement)).scalar_one_or_none()
