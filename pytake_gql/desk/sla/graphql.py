"""Deadlines on conversations."""

from datetime import datetime
from typing import Self

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.desk.conversations.nodes import Conversation
from pytake_gql.desk.sla import models, service
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.types import extend, object_type


@object_type
class SlaClock:
    """A clock runs while it is neither met nor paused; breachedAt may stand beside metAt."""

    target: SlaTarget
    """What is to happen in time."""
    started_at: datetime
    """Since when it counts."""
    due_at: datetime | None
    """The deadline; null while it is paused."""
    met_at: datetime | None
    """When it happened."""
    paused_at: datetime | None
    """Since when it stands still."""
    breached_at: datetime | None
    """The deadline that was missed."""

    @classmethod
    def of(cls, row: models.SlaClock) -> Self:
        return cls(
            target=row.target,
            started_at=row.started_at,
            due_at=row.due_at,
            met_at=row.met_at,
            paused_at=row.paused_at,
            breached_at=row.breached_at,
        )


@extend(Conversation)
async def first_response_due_at(self: Conversation, info: Info) -> datetime | None:
    """When a member is to have answered first; null without a target, when it was met, and while it is paused."""
    return await _due_at(self, info, SlaTarget.FIRST_RESPONSE)


@extend(Conversation)
async def next_response_due_at(self: Conversation, info: Info) -> datetime | None:
    """When a member is to have answered what the contact wrote since; null as for firstResponseDueAt."""
    return await _due_at(self, info, SlaTarget.NEXT_RESPONSE)


@extend(Conversation)
async def resolution_due_at(self: Conversation, info: Info) -> datetime | None:
    """When it is to be closed; null as for firstResponseDueAt."""
    return await _due_at(self, info, SlaTarget.RESOLUTION)


@extend(Conversation)
async def is_sla_breached(self: Conversation) -> bool:
    """Whether it ever missed a deadline."""
    missed: bool = self.row.is_sla_breached
    return missed


@extend(Conversation)
async def sla_clocks(self: Conversation, info: Info) -> list[SlaClock]:
    """One for each target of the queue: what a countdown shows."""
    return [SlaClock.of(row) for row in await _clocks(self, info)]


async def _clocks(conversation: Conversation, info: Info) -> list[models.SlaClock]:
    if not conversation.row.has_sla:
        return []
    return await info.context.load(service.clocks_of, conversation.row.id) or []


async def _due_at(conversation: Conversation, info: Info, target: SlaTarget) -> datetime | None:
    running = [clock for clock in await _clocks(conversation, info) if clock.running_since and clock.target is target]
    return running[0].due_at if running else None
