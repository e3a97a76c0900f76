"""Sends what a batch of recipients is told first, all at once, and writes what came of it in one transaction (E8)."""

import asyncio
from datetime import datetime
from random import Random
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.automation.flow_executions import following, retries, service, statuses
from pytake_gql.automation.flow_executions.beginning import Begun, Ready
from pytake_gql.automation.flow_executions.models import ExecutionRecipient, RecipientStatus
from pytake_gql.automation.flow_executions.plans import Plan
from pytake_gql.automation.flow_executions.room import turn
from pytake_gql.automation.flow_runs import jobs as runs
from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.conversations import attempts, outcomes, turns
from pytake_gql.desk.conversations.attempts import Attempt
from pytake_gql.desk.conversations.models import Message, MessageStatus
from pytake_gql.desk.conversations.outcomes import Told
from pytake_gql.desk.conversations.ports import ChannelPort
from pytake_gql.kernel.jobs import JobQueue
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork

_dice = Random()
_NOWHERE = Attempt(MessageStatus.FAILED, "The contact is not on this channel.")


async def send(ports: Ports, channel: ChannelPort, plan: Plan, begun: Begun) -> bool:
    """Says whether the channel's access still holds."""
    tried = await asyncio.gather(*(_attempt(channel, ready) for ready in begun.ready))
    fault = next((it.reason for it in tried if it.is_access_at_fault), None)
    if begun.ready:
        async with turn(), ports.units.of_system(plan.channel.organization_id) as uow:
            await _settle(uow, plan, begun.ready, tried)
    if fault is not None:
        async with ports.units.of_system(plan.channel.organization_id) as uow:
            await channels.fail(uow, plan.channel.id, fault)
    for run_id in begun.unstepped:
        await runs.step_flow_run(ports, plan.channel.organization_id, run_id)
    return fault is None


async def _attempt(channel: ChannelPort, ready: Ready) -> Attempt:
    if ready.outgoing is None:
        return _NOWHERE
    return await attempts.attempt(channel, ready.outgoing, ready.message.parts_sent)


async def _settle(uow: UnitOfWork, plan: Plan, sent: list[Ready], tried: list[Attempt]) -> None:
    """Locks conversations, then runs, then recipients."""
    counts = await _attempts_of(uow, [ready.recipient_id for ready in sent])
    told = [
        Told(
            ready.message.id,
            ready.message.conversation_id,
            ready.message.epoch,
            attempt,
            try_again_at=_try_again_at(uow, plan, attempt, counts[ready.recipient_id]),
        )
        for ready, attempt in zip(sent, tried, strict=True)
    ]
    messages = await outcomes.settle_all(uow, told)
    found = await _rows(uow, [ready.recipient_id for ready in sent])
    for ready, it in zip(sent, told, strict=True):
        await asyncio.sleep(0)
        row, run = found[ready.recipient_id]
        message = messages[ready.message.id]
        if row.message_id != message.id or message.epoch != it.epoch:
            continue  # somebody has begun it anew, or tells of it
        if message.status is MessageStatus.QUEUED and it.try_again_at is not None:
            _try_again(uow, row, message, it.try_again_at)
        else:
            status = statuses.standing(message.status, run.status if run else None)
            await following.apply(uow, row, status, message.error, run)
        if not ready.is_alone and kinds.KINDS[plan.channel.kind].has_provider:
            await turns.wake_next(uow, message, JobQueue.BULK)
    uow.wake(service.topic(plan.execution_id))


def _try_again_at(uow: UnitOfWork, plan: Plan, attempt: Attempt, attempts_made: int) -> datetime | None:
    """When it is tried again by itself; None where it is not (E7)."""
    if not attempt.may_pass_later or attempts_made >= plan.limits.max_attempts:
        return None
    return uow.now() + retries.pause(attempts_made, _dice)


def _try_again(uow: UnitOfWork, row: ExecutionRecipient, message: Message, at: datetime) -> None:
    row.status, row.reason, row.due_at, row.updated_at = RecipientStatus.PENDING, message.error, at, uow.now()


async def _attempts_of(uow: UnitOfWork, ids: list[UUID]) -> dict[UUID, int]:
    statement = select(ExecutionRecipient.id, ExecutionRecipient.attempts).where(col(ExecutionRecipient.id).in_(ids))
    return {row[0]: row[1] for row in await uow.session.execute(statement)}


async def _rows(uow: UnitOfWork, ids: list[UUID]) -> dict[UUID, tuple[ExecutionRecipient, FlowRun | None]]:
    statement = (
        select(ExecutionRecipient, FlowRun)
        .outerjoin(FlowRun, col(FlowRun.id) == ExecutionRecipient.flow_run_id)
        .where(col(ExecutionRecipient.id).in_(ids))
        .order_by(col(ExecutionRecipient.id))
        .with_for_update(of=ExecutionRecipient)
    )
    rows = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return {row.id: (row, run) for row, run in rows}
