"""How an execution goes on, live: at each change, at most once a second."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeAlias
from uuid import UUID

import strawberry

from pytake_gql.automation.flow_executions import models, queries, service
from pytake_gql.automation.flow_executions.models import RecipientStatus
from pytake_gql.automation.flow_executions.nodes import FlowExecution
from pytake_gql.kernel.errors import NotFound
from pytake_gql.kernel.graphql.access import subscription
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.turns import follow
from pytake_gql.kernel.graphql.types import object_type
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.principal import Role

BETWEEN_SECONDS = 1.0

State: TypeAlias = tuple[str, str | None, frozenset[tuple[RecipientStatus, int]]]
"""Status, reason and counts: what is watched."""


@object_type
class FlowExecutionSubscription:
    @subscription(Role.VIEWER)
    async def execution_progress(self, info: Info, execution_id: strawberry.ID) -> AsyncGenerator[FlowExecution, None]:
        """As it stands, then at each change, at most once a second."""
        parsed = parse_global_id(execution_id)
        id_ = parsed[1] if parsed and parsed[0] == "FlowExecution" else None
        if id_ is None or await _read(info, id_) is None:
            raise NotFound
        told: State | None = None
        async with follow(info.context, service.topic(id_), at=told) as turns:
            async for _ in turns:
                found = await _read(info, id_)
                if found is None:
                    return
                row, state = found
                if state != told:
                    yield FlowExecution.of(row)
                turns.at = told = state
                await asyncio.sleep(BETWEEN_SECONDS)


async def _read(info: Info, execution_id: UUID) -> tuple[models.FlowExecution, State] | None:
    async with info.context.read() as session:
        row = (await service.by_ids(session, [execution_id])).get(execution_id)
        counts = (await queries.counts(session, [execution_id]))[execution_id] if row else {}
    return (row, (row.status.value, row.reason, frozenset(counts.items()))) if row else None
