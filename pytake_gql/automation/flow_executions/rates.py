"""How many recipients may begin now: the least that channel, organization and automation have (E6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, func, select

from pytake_gql.automation.flow_executions.models import ExecutionRecipient, ExecutionStatus, FlowExecution
from pytake_gql.automation.flow_executions.snapshots import Limits
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.conversations import pace
from pytake_gql.kernel.limiter import Bucket, Limiter, Rate
from pytake_gql.kernel.ports import Ports

OF_ORGANIZATION = Rate(1000, 1000)
"""However many automations it runs: nobody has the workers alone (G27)."""


@dataclass(frozen=True, slots=True)
class Share:
    """Tokens that were taken; what is not used is given back."""

    buckets: Sequence[Bucket]
    count: int
    wait_seconds: float
    """Until there is one, where there is none."""


async def take(ports: Ports, organization_id: UUID, execution_id: UUID, wanted: int) -> Share:
    """None for an execution that sends nothing now; no more than it can use: others share the buckets."""
    statement = (
        sa.select(
            col(FlowExecution.automation_id),
            col(FlowExecution.snapshot),
            col(FlowExecution.status),
            col(Channel.kind),
            col(Channel.id),
            _due_now(ports, wanted),
        )
        .join(Channel, col(Channel.id) == FlowExecution.channel_id)
        .where(col(FlowExecution.id) == execution_id, col(FlowExecution.is_dry_run).is_(False))
    )
    async with ports.database.session(organization_id) as session:
        found = (await session.execute(statement)).one_or_none()
    if found is None:
        return Share((), 0, 0.0)
    automation_id, snapshot, status, kind, channel_id, due_now = found
    if status is ExecutionStatus.QUEUED:
        contact_ids = snapshot["audience"]["contact_ids"]
        due_now = wanted if contact_ids is None else len(contact_ids)
    if due_now == 0:
        return Share((), 0, 0.0)
    buckets = [Bucket(f"organization-sends:{organization_id.hex}", OF_ORGANIZATION)]
    buckets.append(Bucket(f"automation-sends:{automation_id.hex}", of_automation(Limits(**snapshot["limits"]))))
    if of_account := pace.bucket(kind, channel_id):
        buckets.append(of_account)
    granted = await ports.limiter.take_some(buckets, min(due_now, wanted))
    return Share(buckets, granted.count, granted.wait_seconds)


def _due_now(ports: Ports, at_most: int) -> sa.ScalarSelect[int]:
    due = (
        select(ExecutionRecipient.id)
        .where(
            ExecutionRecipient.execution_id == FlowExecution.id,
            ExecutionRecipient.organization_id == FlowExecution.organization_id,
            col(ExecutionRecipient.due_at) <= ports.clock.now(),
        )
        .correlate(FlowExecution)
        .limit(at_most)
    )
    return select(func.count()).select_from(due.subquery()).scalar_subquery()


def of_automation(limits: Limits) -> Rate:
    """What comes in a second may go at once; a slow one goes one by one."""
    per_second = limits.rate_per_minute / 60
    return Rate(max(1.0, per_second), per_second)


async def give_back(limiter: Limiter, share: Share, count: int) -> None:
    await limiter.give_back_some(share.buckets, count)
