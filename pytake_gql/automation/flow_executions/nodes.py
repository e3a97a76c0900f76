"""Executions and their recipients as GraphQL types."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flow_executions import models, queries, service
from pytake_gql.automation.flow_executions.models import ExecutionStatus, ExecutionTrigger, RecipientStatus
from pytake_gql.automation.flow_runs import service as runs
from pytake_gql.automation.flow_runs.graphql import FlowRun
from pytake_gql.desk.contacts.graphql import Contact, load_contact
from pytake_gql.desk.conversations import queries as conversations
from pytake_gql.desk.conversations.nodes import Conversation
from pytake_gql.kernel import pagination
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import enum_type, field, object_type
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.tenancy.members.graphql import Member, load_member

for kind in (ExecutionTrigger, ExecutionStatus, RecipientStatus):
    enum_type(kind)


@object_type
class RecipientCounts:
    """Each recipient counts once, under its present status: a funnel adds the later ones up."""

    total: int
    """All of them."""
    pending: int
    """To be sent to, or to be tried again."""
    sending: int
    """Being sent to."""
    sent: int
    """The provider has taken the message."""
    delivered: int
    """The contact has it."""
    read: int
    """The contact has read it."""
    replied: int
    """The contact has answered."""
    completed: int
    """The flow came to its end."""
    failed: int
    """Not reached, or the flow failed."""
    skipped: int
    """Left out, on purpose."""
    cancelled: int
    """The execution was cancelled before they were sent to, or the flow was stopped."""
    unknown: int
    """Perhaps sent: the answer was lost."""
    expired: int
    """The execution was not done in time, or the contact did not answer."""

    @classmethod
    def of(cls, counts: Mapping[RecipientStatus, int]) -> Self:
        each = {status.value.lower(): counts.get(status, 0) for status in RecipientStatus}
        return cls(total=sum(each.values()), **each)


@object_type
class ExecutionRecipient(Node):
    """One contact in one execution."""

    row: strawberry.Private[models.ExecutionRecipient]
    status: RecipientStatus
    """How it stands."""
    attempts: int
    """How often it was tried."""
    reason: str | None
    """Why it was skipped, failed, or is to be tried again."""
    variables: JSON
    """What the flow was given for this contact."""
    updated_at: datetime
    """When it came to stand as it does."""

    @field
    async def contact(self, info: Info) -> Contact:
        """Who."""
        return await load_contact(info, self.row.contact_id)

    @field
    async def conversation(self, info: Info) -> Conversation | None:
        """Where the flow speaks, or spoke; null until it does, and for those who may not see it."""
        row = await self._seen(info)
        return Conversation.of(row) if row else None

    @field
    async def flow_run(self, info: Info) -> FlowRun | None:
        """The flow as it runs, or ran, for this contact; null for those who may not see the conversation."""
        id_ = self.row.flow_run_id
        row = await info.context.load(runs.by_ids, id_) if id_ and await self._seen(info) else None
        return FlowRun.of(row) if row else None

    async def _seen(self, info: Info) -> Any:
        """The conversation, if the caller may see it."""
        id_ = self.row.conversation_id
        return await info.context.load_as_caller(conversations.visible, id_) if id_ else None

    @classmethod
    def of(cls, row: models.ExecutionRecipient) -> Self:
        return cls(
            id=strawberry.ID(global_id("ExecutionRecipient", row.id)),
            row=row,
            status=row.status,
            attempts=row.attempts,
            reason=row.reason,
            variables=JSON(row.variables),
            updated_at=row.updated_at,
        )


@object_type
class FlowExecution(Node):
    """One run of an automation for its audience, as it was when it was fired."""

    row: strawberry.Private[models.FlowExecution]
    trigger: ExecutionTrigger
    """What started it."""
    scheduled_for: datetime
    """The nominal instant, before it was deferred."""
    status: ExecutionStatus
    """How it stands."""
    reason: str | None
    """Why it was skipped, missed, cancelled or failed."""
    is_dry_run: bool
    """Whether audience and flow were resolved only, and nothing was sent."""
    started_at: datetime | None
    """When it began."""
    finished_at: datetime | None
    """When nothing was left to be sent."""

    @field
    async def triggered_by(self, info: Info) -> Member | None:
        """Who ran it by hand."""
        return await load_member(info, self.row.triggered_by_id)

    @field
    async def counts(self, info: Info) -> RecipientCounts:
        """How its recipients stand."""
        return RecipientCounts.of(await info.context.load(queries.counts, id_of(self.id)) or {})

    @field
    async def recipients(
        self,
        info: Info,
        status: list[RecipientStatus] | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[ExecutionRecipient]:
        """All of them, or those that stand so, in the order in which they were resolved."""
        id_, wanted = id_of(self.id), pagination.window(first, after)

        async def count() -> int:
            async with info.context.read() as session:
                return await queries.count(session, id_, status)

        async with info.context.read() as session:
            page = await queries.page(session, id_, status, wanted)
        found: Connection[ExecutionRecipient] = connection(page.map(ExecutionRecipient.of), count)
        return found

    @classmethod
    def of(cls, row: models.FlowExecution) -> Self:
        return cls(
            id=strawberry.ID(global_id("FlowExecution", row.id)),
            row=row,
            trigger=row.trigger,
            scheduled_for=row.scheduled_for,
            status=row.status,
            reason=row.reason,
            is_dry_run=row.is_dry_run,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


@finds("FlowExecution")
async def find_execution(info: Info, id_: UUID) -> FlowExecution | None:
    row = await info.context.load(service.by_ids, id_)
    return FlowExecution.of(row) if row else None


@finds("ExecutionRecipient")
async def find_recipient(info: Info, id_: UUID) -> ExecutionRecipient | None:
    row = await info.context.load(queries.by_ids, id_)
    return ExecutionRecipient.of(row) if row else None
