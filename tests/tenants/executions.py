"""An execution that is paused, and its one recipient: rows that no worker touches while the walk goes on."""

from datetime import date, time, timedelta
from uuid import UUID, uuid4

from sqlmodel import select

from pytake_gql.automation.flow_automations import settings as schedules
from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, SpecialDays
from pytake_gql.automation.flow_automations.models import FlowAutomation, ScheduleException
from pytake_gql.automation.flow_automations.recurrences import Daily
from pytake_gql.automation.flow_automations.settings import Settings
from pytake_gql.automation.flow_executions.models import (
    ExecutionRecipient,
    ExecutionStatus,
    ExecutionTrigger,
    FlowExecution,
    RecipientStatus,
)
from pytake_gql.automation.flow_executions.snapshots import Snapshot
from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.kernel.ids import global_id
from tests.factories import Factory

_EVE = date(2030, 12, 24)


async def fired(
    make: Factory, organization_id: UUID, run_id: UUID, channel_id: UUID, contact_id: UUID, member_id: UUID
) -> dict[str, str]:
    """Their global ids, by type."""
    async with make.ports.database.session(organization_id) as session:
        run = (await session.execute(select(FlowRun).where(FlowRun.id == run_id))).scalar_one()
    now = make.ports.clock.now()
    automation = FlowAutomation(
        name=f"Automação {uuid4().hex}",
        flow_id=run.flow_id,
        channel_id=channel_id,
        audience={"all": True},
        schedule=schedules.to_json(Settings("America/Sao_Paulo", Daily(1, (time(9),)))),
        description=f"Descrição {uuid4().hex}",
        max_concurrent=1,
        rate_per_minute=1,
        max_attempts=1,
        created_at=now,
        updated_at=now,
    )
    day = ScheduleException(
        automation_id=automation.id,
        kind=ExceptionKind.SKIP,
        starts_on=_EVE,
        ends_on=_EVE,
        details=schedules.special_to_json(SpecialDays(ExceptionKind.SKIP, _EVE, _EVE, reason=uuid4().hex)),
    )
    execution = FlowExecution(
        automation_id=automation.id,
        trigger=ExecutionTrigger.MANUAL,
        scheduled_for=now,
        client_key=f"chave-{uuid4().hex}",
        status=ExecutionStatus.RUNNING,
        reason=f"Porque {uuid4().hex}",
        triggered_by_id=member_id,
        version_id=run.version_id,
        channel_id=channel_id,
        snapshot=Snapshot().to_json(),
        is_paused=True,
        due_at=now + timedelta(days=30),
        started_at=now,
        created_at=now,
    )
    recipient = ExecutionRecipient(
        execution_id=execution.id,
        contact_id=contact_id,
        status=RecipientStatus.SENT,
        reason=f"Porque {uuid4().hex}",
        attempts=1,
        conversation_id=run.conversation_id,
        flow_run_id=run.id,
        variables={"segredo": uuid4().hex},
        updated_at=now,
    )
    await make.save(organization_id, automation, day, execution, recipient)
    return {
        "FlowAutomation": global_id("FlowAutomation", automation.id),
        "FlowExecution": global_id("FlowExecution", execution.id),
        "ExecutionRecipient": global_id("ExecutionRecipient", recipient.id),
    }
