from typing import Self

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flows import queries, ready, rehearsals, service, settings
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.inputs import (
    CreateFlowInput,
    DeleteFlowInput,
    FlowGraphInput,
    PublishFlowInput,
    SimulateFlowInput,
    UpdateFlowInput,
)
from pytake_gql.automation.flows.kinds import FlowNodeKind, FlowRunStatus
from pytake_gql.automation.flows.nodes import Flow, FlowConnection, FlowProblem, FlowStep, ReadyFlow
from pytake_gql.automation.flows.simulation import Simulation
from pytake_gql.desk.conversations.models import MessageDirection
from pytake_gql.kernel.errors import Problem, UserErrorCode
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, as_user_errors, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import find
from pytake_gql.kernel.graphql.types import enum_type, object_type
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role

enum_type(MessageDirection)


@object_type
class SimulatedMessage:
    """A message of a transcript."""

    direction: MessageDirection
    """OUTBOUND: the flow's. INBOUND: a reply that was given."""
    node_id: str | None
    """The node that says it; null for a reply."""
    text: str
    """What it says; of a file where it is."""


@object_type
class FlowSimulation:
    """What a flow would do. The transcript begins with what it says first."""

    status: FlowRunStatus
    """How it stands when the replies are used up; FAILED with an ERROR among problems that lets nothing run."""
    transcript: list[SimulatedMessage]
    """All messages in their order; nothing was sent."""
    steps: list[FlowStep]
    """The path."""
    variables: JSON
    """What they hold in the end."""
    problems: list[FlowProblem]
    """All that is wrong with the graph, what was missing on the way, and why it failed."""

    @classmethod
    def of(cls, told: Simulation, found: Findings, locale: str) -> Self:
        return cls(
            status=told.state.status,
            transcript=[
                SimulatedMessage(
                    direction=MessageDirection.OUTBOUND if line.node_id is not None else MessageDirection.INBOUND,
                    node_id=line.node_id,
                    text=line.text,
                )
                for line in told.transcript
            ],
            steps=[FlowStep.of(passed) for passed in told.path],
            variables=JSON(dict(told.state.variables)),
            problems=FlowProblem.all_of(found, locale),
        )


@object_type
class FlowPayload:
    """The flow that changed."""

    flow: Flow | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class PublishFlowPayload:
    """With an ERROR among problems nothing is published: flow is null and userErrors says INVALID."""

    flow: Flow | None = None
    """Null when nothing was published."""
    problems: list[FlowProblem] = strawberry.field(default_factory=list, description="All that is wrong with it.")
    user_errors: list[UserError] = user_errors()


@object_type
class FlowQuery:
    @query(Role.VIEWER)
    async def flows(
        self, info: Info, search: str | None = None, first: int | None = None, after: str | None = None
    ) -> FlowConnection:
        """All flows, or those whose name or description holds the text; the newest first."""

        async def count() -> int:
            async with info.context.read() as session:
                return await queries.count(session, search)

        async with info.context.read() as session:
            page = await queries.list_page(session, search, window(first, after))
        return FlowConnection.of(page.map(lambda row: Flow.of(row, info.context.principal)), count)

    @query(Role.VIEWER)
    async def flow(self, info: Info, id: strawberry.ID) -> Flow | None:
        """One flow, or null."""
        found: Flow | None = await find(info, "Flow", id)
        return found

    @query(Role.VIEWER)
    async def flow_node_schema(self, info: Info, kind: FlowNodeKind) -> JSON:  # noqa: ARG002
        """JSON Schema of the settings of one kind of node."""
        return JSON(settings.schema(kind))

    @query(Role.VIEWER)
    async def ready_flows(self, info: Info) -> list[ReadyFlow]:
        """Flows to begin with."""
        context = info.context
        return [ReadyFlow.of(ready.load(key, context.locale), context.principal) for key in ready.ReadyFlowKey]

    @query(Role.VIEWER)
    async def validate_flow(self, info: Info, graph: FlowGraphInput) -> list[FlowProblem]:
        """All that is wrong with a graph, at once."""
        async with info.context.read() as session:
            _, found = await queries.check(session, graph.stored())
        return FlowProblem.all_of(found, info.context.locale)

    @query(Role.VIEWER)
    async def simulate_flow(self, info: Info, input: SimulateFlowInput) -> FlowSimulation:
        """Runs a flow without sending anything, by the code that runs it in earnest."""
        context = info.context
        wanted = input.read(context.ports.clock.now())
        async with context.read() as session:
            told, found = await rehearsals.rehearse(session, context.organization_id, wanted)
        return FlowSimulation.of(told, found, context.locale)


@object_type
class FlowMutation:
    @mutation(Role.ORG_ADMIN)
    async def create_flow(self, info: Info, input: CreateFlowInput) -> FlowPayload:
        """Makes a flow; its draft may be broken until it is published."""
        row = await service.create(info.context.uow, input.given())
        return FlowPayload(flow=Flow.of(row, info.context.principal))

    @mutation(Role.ORG_ADMIN)
    async def update_flow(self, info: Info, input: UpdateFlowInput) -> FlowPayload:
        """Changes the fields that are present; what is published stays as it is."""
        flow_id = local_id("Flow", input.id, "id")
        row = await service.update(info.context.uow, flow_id, input.given(), input.revision)
        return FlowPayload(flow=Flow.of(row, info.context.principal))

    @mutation(Role.ORG_ADMIN)
    async def publish_flow(self, info: Info, input: PublishFlowInput) -> PublishFlowPayload:
        """Freezes the draft as the next version, which new runs take; runs keep the version that they began with."""
        context = info.context
        row, found = await service.publish(context.uow, local_id("Flow", input.id, "id"), input.revision)
        broken = [] if row else [Problem(UserErrorCode.INVALID, "The flow has errors: see its problems.")]
        return PublishFlowPayload(
            flow=Flow.of(row, context.principal) if row else None,
            problems=FlowProblem.all_of(found, context.locale),
            user_errors=as_user_errors(broken, context.locale),
        )

    @mutation(Role.ORG_ADMIN)
    async def delete_flow(self, info: Info, input: DeleteFlowInput) -> FlowPayload:
        """Deletes a flow that nothing begins any more; runs that still speak end as they would."""
        row = await service.delete(info.context.uow, local_id("Flow", input.id, "id"))
        return FlowPayload(flow=Flow.of(row, info.context.principal))
