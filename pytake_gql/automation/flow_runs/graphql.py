"""Runs as GraphQL types: seen by whoever sees their conversation."""

from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flow_runs import models, service
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.nodes import Flow, FlowStep, find_flow, flow_of_run
from pytake_gql.desk.channels.graphql import Channel
from pytake_gql.desk.conversations.nodes import Conversation, find_conversation
from pytake_gql.kernel.errors import NotFound
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import extend, field, object_type
from pytake_gql.kernel.ids import global_id, id_of


@object_type
class FlowRun(Node):
    """A flow that speaks, or spoke, in a conversation. It keeps the version that it began with."""

    row: strawberry.Private[models.FlowRun]
    status: FlowRunStatus
    """How it stands."""
    current_node_id: str | None
    """Where it waits, or ended."""
    variables: JSON
    """What it knows by now."""
    error: str | None
    """Why it failed."""
    started_at: datetime
    """When it began."""
    finished_at: datetime | None
    """When it ended."""

    @classmethod
    def of(cls, row: models.FlowRun) -> Self:
        return cls(
            id=strawberry.ID(global_id("FlowRun", row.id)),
            row=row,
            status=row.status,
            current_node_id=row.state["nodeId"],
            variables=JSON(row.state["variables"]),
            error=row.error,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )

    @field
    async def flow(self, info: Info) -> Flow:
        """The flow that it began with."""
        return await flow_of_run(info, self.row.flow_id)

    @field
    async def version(self, info: Info) -> int:
        """The number of the version of the flow."""
        return await info.context.load(service.version_numbers, self.row.version_id) or 0

    @field
    async def conversation(self, info: Info) -> Conversation:
        """Where it speaks."""
        found: Conversation | None = await find_conversation(info, self.row.conversation_id)
        if found is None:
            raise NotFound
        return found

    @field
    async def steps(self, info: Info) -> list[FlowStep]:
        """The nodes that it entered, in order: at most 500."""
        return [FlowStep.of(row) for row in await info.context.load(service.steps_of, self.row.id) or []]


@finds("FlowRun")
async def find_flow_run(info: Info, id_: UUID) -> FlowRun | None:
    """The run, if the caller may see its conversation."""
    row = await info.context.load(service.by_ids, id_)
    seen = await find_conversation(info, row.conversation_id) if row else None
    return FlowRun.of(row) if row and seen else None


@extend(Conversation)
async def flow_run(self: Conversation, info: Info) -> FlowRun | None:
    """The live one, or else the last."""
    row = await info.context.load(service.of_conversations, id_of(self.id))
    return FlowRun.of(row) if row else None


@extend(Channel)
async def flow(self: Channel, info: Info) -> Flow | None:
    """The published flow that greets a new conversation."""
    return await find_flow(info, self.flow_id) if self.flow_id else None
