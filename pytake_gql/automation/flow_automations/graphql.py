from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flow_automations import audiences, models, previews, queries, runs, service
from pytake_gql.automation.flow_automations.automation_inputs import (
    BackfillFlowAutomationInput,
    CreateFlowAutomationInput,
    DeleteFlowAutomationInput,
    FlowAutomationFilter,
    RunFlowAutomationInput,
    SetAutomationStatusInput,
    UpdateFlowAutomationInput,
)
from pytake_gql.automation.flow_automations.models import AutomationStatus
from pytake_gql.automation.flow_automations.schedule_graphql import organization_of
from pytake_gql.automation.flow_automations.types import AutomationLimits, Schedule, ScheduleOccurrence
from pytake_gql.automation.flow_executions import audience as reach
from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.automation.flow_executions.graphql import FlowExecutionPayload
from pytake_gql.automation.flow_executions.models import ExecutionStatus
from pytake_gql.automation.flow_executions.nodes import FlowExecution
from pytake_gql.automation.flows.nodes import Flow, flow_of_run
from pytake_gql.desk.channels.graphql import Channel, find_channel
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, find, finds
from pytake_gql.kernel.graphql.types import extend, field, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.pagination import Page, window
from pytake_gql.kernel.principal import Role


@object_type
class FlowAutomation(Node):
    """A flow for a whole audience, by schedule or by hand."""

    row: strawberry.Private[models.FlowAutomation]
    name: str
    """What it is called."""
    description: str | None
    """What it is for."""
    status: AutomationStatus
    """Whether it fires."""
    status_reason: str | None
    """Why it paused by itself."""
    audience: JSON
    """Has the shape of AudienceInput."""
    variables: JSON
    """Flow variables as templates over the contact, such as {{contact.name}}."""
    limits: AutomationLimits
    """How fast and how often it sends."""
    pause_on_failure: bool
    """Whether it pauses after three failed executions in a row, or when its channel fails."""
    next_firing_at: datetime | None
    """When it fires next; null when it is not active, or has no schedule."""
    last_fired_at: datetime | None
    """When its schedule last fired it."""
    revision: int
    """Raised by each change; pass it back to detect a lost update."""
    created_at: datetime
    """When it was made."""
    updated_at: datetime
    """When it was last changed."""

    @field
    async def flow(self, info: Info) -> Flow:
        """The flow that it runs."""
        return await flow_of_run(info, self.row.flow_id)

    @field
    async def channel(self, info: Info) -> Channel:
        """Where it speaks."""
        found: Channel = await find_channel(info, self.row.channel_id)  # by its foreign key
        return found

    @field
    async def schedule(self, info: Info) -> Schedule | None:
        """When it fires; null when by hand only."""
        settings = await info.context.load(queries.settings_by_ids, self.row.id)
        return Schedule.of(settings, self.limits, (await organization_of(info)).locale) if settings else None

    @field
    async def audience_size(self, info: Info) -> int:
        """Contacts that it would reach now; counted when selected."""
        async with info.context.read() as session:
            return await reach.count(session, audiences.from_json(self.row.audience))

    @field
    async def upcoming(self, info: Info, count: int = 10) -> list[ScheduleOccurrence]:
        """What its schedule does next, skipped ones included; at most 366, none while it is not active."""
        settings = await info.context.load(queries.settings_by_ids, self.row.id)
        if settings is None or self.status is not AutomationStatus.ACTIVE:
            return []
        organization, now = await organization_of(info), info.context.ports.clock.now()
        computed = queries.schedule_of(self.row, settings, organization.holiday_region)
        found = previews.upcoming(computed, self.row.id, now, min(count, previews.MOST))
        return [ScheduleOccurrence.of(one, computed, organization.locale) for one in found]

    @field
    async def executions(
        self,
        info: Info,
        status: list[ExecutionStatus] | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[FlowExecution]:
        """Its history, the latest first."""
        id_, wanted = self.row.id, window(first, after)

        async def count() -> int:
            async with info.context.read() as session:
                return await executions.count(session, id_, status)

        async with info.context.read() as session:
            page = await executions.list_page(session, id_, status, wanted)
        found: Connection[FlowExecution] = connection(page.map(FlowExecution.of), count)
        return found

    @classmethod
    def of(cls, row: models.FlowAutomation) -> Self:
        return cls(
            id=strawberry.ID(global_id("FlowAutomation", row.id)),
            row=row,
            name=row.name,
            description=row.description,
            status=row.status,
            status_reason=row.status_reason,
            audience=JSON(row.audience),
            variables=JSON(row.variables),
            limits=AutomationLimits(
                max_concurrent=row.max_concurrent, rate_per_minute=row.rate_per_minute, max_attempts=row.max_attempts
            ),
            pause_on_failure=row.pause_on_failure,
            next_firing_at=row.next_firing_at,
            last_fired_at=row.last_fired_at,
            revision=row.revision,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@finds("FlowAutomation")
async def find_automation(info: Info, id_: UUID) -> FlowAutomation | None:
    row = await info.context.load(queries.by_ids, id_)
    return FlowAutomation.of(row) if row and row.deleted_at is None else None


@extend(FlowExecution, "automation")
async def automation_of_execution(self: FlowExecution, info: Info) -> FlowAutomation:
    """What it is a run of; a deleted one too."""
    row = await info.context.load(queries.by_ids, self.row.automation_id)
    if row is None:
        raise LookupError("an execution has an automation")
    return FlowAutomation.of(row)


@object_type
class FlowAutomationPayload:
    """The automation that changed."""

    flow_automation: FlowAutomation | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class BackfillPayload:
    """The executions that were started, the oldest first."""

    executions: list[FlowExecution] = strawberry.field(
        default_factory=list, description="Those that were started, the oldest first."
    )
    user_errors: list[UserError] = user_errors()


@object_type
class FlowAutomationQuery:
    @query(Role.VIEWER)
    async def flow_automations(
        self, info: Info, filter: FlowAutomationFilter | None = None, first: int | None = None, after: str | None = None
    ) -> Connection[FlowAutomation]:
        """All automations that fit, the newest first."""
        criteria, wanted = filter.criteria() if filter else queries.Criteria(), window(first, after)

        async def count() -> int:
            async with info.context.read() as session:
                return await queries.count(session, criteria) if criteria else 0

        async with info.context.read() as session:
            page = await queries.list_page(session, criteria, wanted) if criteria else Page[models.FlowAutomation]([])
        found: Connection[FlowAutomation] = connection(page.map(FlowAutomation.of), count)
        return found

    @query(Role.VIEWER)
    async def flow_automation(self, info: Info, id: strawberry.ID) -> FlowAutomation | None:
        """One automation, or null."""
        found: FlowAutomation | None = await find(info, "FlowAutomation", id)
        return found


@object_type
class FlowAutomationMutation:
    @mutation(Role.ORG_ADMIN)
    async def create_flow_automation(self, info: Info, input: CreateFlowAutomationInput) -> FlowAutomationPayload:
        """Makes an automation."""
        uow = info.context.uow
        row = await service.create(uow, input.given(uow.now()), activate=input.activate)
        return FlowAutomationPayload(flow_automation=FlowAutomation.of(row))

    @mutation(Role.ORG_ADMIN)
    async def update_flow_automation(self, info: Info, input: UpdateFlowAutomationInput) -> FlowAutomationPayload:
        """Changes the fields that are present; executions that have not begun are cancelled."""
        uow, id_ = info.context.uow, local_id("FlowAutomation", input.id, "id")
        row = await service.update(uow, id_, input.given(uow.now()), input.revision)
        return FlowAutomationPayload(flow_automation=FlowAutomation.of(row))

    @mutation(Role.ORG_ADMIN)
    async def set_automation_status(self, info: Info, input: SetAutomationStatusInput) -> FlowAutomationPayload:
        """Lets it fire from now on, pauses it, or puts it away."""
        row = await service.set_status(info.context.uow, local_id("FlowAutomation", input.id, "id"), input.status)
        return FlowAutomationPayload(flow_automation=FlowAutomation.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_flow_automation(self, info: Info, input: DeleteFlowAutomationInput) -> FlowAutomationPayload:
        """Deletes it; what waits is cancelled, what runs stops."""
        row = await service.delete(info.context.uow, local_id("FlowAutomation", input.id, "id"))
        return FlowAutomationPayload(flow_automation=FlowAutomation.of(row))

    @mutation(Role.ORG_ADMIN)
    async def run_flow_automation(self, info: Info, input: RunFlowAutomationInput) -> FlowExecutionPayload:
        """Runs it now, whatever its schedule says."""
        id_, key = local_id("FlowAutomation", input.id, "id"), input.idempotency_key
        return FlowExecutionPayload.of(await runs.run(info.context.uow, id_, key, is_dry_run=input.dry_run))

    @mutation(Role.ORG_ADMIN)
    async def backfill_flow_automation(self, info: Info, input: BackfillFlowAutomationInput) -> BackfillPayload:
        """Fires what did not run in a range that has passed."""
        id_ = local_id("FlowAutomation", input.id, "id")
        rows = await runs.backfill(info.context.uow, id_, input.since, input.until)
        return BackfillPayload(executions=[FlowExecution.of(row) for row in rows])
