from typing import Self

import strawberry

from pytake_gql.automation.flow_executions import models, service
from pytake_gql.automation.flow_executions.nodes import FlowExecution
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import find
from pytake_gql.kernel.graphql.types import input_type, object_type
from pytake_gql.kernel.principal import Role


@input_type
class CancelExecutionInput:
    """What is to stop."""

    id: strawberry.ID
    """The execution."""


@input_type
class RetryExecutionInput:
    """Tries again the recipients that FAILED."""

    id: strawberry.ID
    """The execution."""


@object_type
class FlowExecutionPayload:
    """The execution that changed."""

    execution: FlowExecution | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()

    @classmethod
    def of(cls, row: models.FlowExecution) -> Self:
        return cls(execution=FlowExecution.of(row))


@object_type
class FlowExecutionQuery:
    @query(Role.VIEWER)
    async def flow_execution(self, info: Info, id: strawberry.ID) -> FlowExecution | None:
        """One execution, or null."""
        found: FlowExecution | None = await find(info, "FlowExecution", id)
        return found


@object_type
class FlowExecutionMutation:
    @mutation(Role.ORG_ADMIN)
    async def cancel_execution(self, info: Info, input: CancelExecutionInput) -> FlowExecutionPayload:
        """Sends to nobody else, within a second; those who were sent to go on with their flow."""
        row = await service.cancel(info.context.uow, local_id("FlowExecution", input.id, "id"))
        return FlowExecutionPayload.of(row)

    @mutation(Role.ORG_ADMIN)
    async def retry_execution(self, info: Info, input: RetryExecutionInput) -> FlowExecutionPayload:
        """Tries again the recipients that FAILED, from the beginning of the flow."""
        row = await service.retry(info.context.uow, local_id("FlowExecution", input.id, "id"))
        return FlowExecutionPayload.of(row)
