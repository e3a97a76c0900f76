"""One look at an execution: begins it, sends to some of its recipients, or ends it (E4-E9).

A job carries ids, claims its work, and comes again while there is more; nobody sleeps in it. Any number may run at
once, and a lost one costs time: the row says when somebody must have looked.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from pytake_gql.automation.flow_executions import (
    audience,
    beginning,
    chunks,
    plans,
    queries,
    rates,
    room,
    sending,
    service,
    statuses,
    windows,
)
from pytake_gql.automation.flow_executions.beginning import Begun
from pytake_gql.automation.flow_executions.chunks import Claimed, Superseded
from pytake_gql.automation.flow_executions.models import ExecutionStatus, FlowExecution
from pytake_gql.automation.flow_executions.plans import CannotBegin, Plan
from pytake_gql.automation.flow_executions.snapshots import Snapshot
from pytake_gql.automation.flow_executions.windows import Gate
from pytake_gql.automation.flow_runs.stepping import StepRefused
from pytake_gql.desk.conversations.ports import Channels
from pytake_gql.kernel.db import was_too_busy
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

BATCH = 25
"""Recipients that begin in one transaction, and are sent to at once: what is in flight of one job."""
AT_ONCE = 4
"""Jobs of one execution."""
_HEARTBEAT = timedelta(seconds=30)
"""When somebody must have looked again: a wake-up that waits longer is taken for lost (E9)."""
_PATIENCE = timedelta(seconds=15)
"""How long a job begins batches: the last one may take as long as a channel takes to answer."""
_SOON = timedelta(seconds=2)
_PAUSED = timedelta(seconds=60)
_CROWDED_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Work:
    """What this look claimed, and how to go on after it."""

    plan: Plan
    claimed: Sequence[Claimed]


async def run_execution(ports: Ports, by_kind: Channels, organization_id: UUID, execution_id: UUID) -> bool:
    """Says whether it claimed anything. Safe to run twice, and at the same time."""
    granted = await rates.take(ports, organization_id, execution_id, chunks.CHUNK)
    async with room.turn(), ports.units.of_system(organization_id) as uow:
        work = await _look(uow, execution_id, granted)
    if work is None:
        await rates.give_back(ports.limiter, granted, granted.count)
        return False
    await rates.give_back(ports.limiter, granted, granted.count - len(work.claimed))
    not_begun = await _serve(ports, by_kind, work)
    await rates.give_back(ports.limiter, granted, not_begun)
    async with ports.units.of_system(organization_id) as uow:
        if not await _is_over(uow, execution_id):
            service.wake(uow, execution_id)
    return True


async def _is_over(uow: UnitOfWork, execution_id: UUID) -> bool:
    """Ends it where nobody is left, without another look; locked only then, for other jobs of it go on."""
    if (await chunks.next_due(uow, execution_id))[0]:
        return False
    execution = await service.find(uow, execution_id)
    if execution is None or execution.status is not ExecutionStatus.RUNNING or execution.is_paused:
        return False
    if (await chunks.next_due(uow, execution_id))[0]:
        return False  # it was tried again meanwhile
    await _end(uow, execution)
    return True


async def _end(uow: UnitOfWork, execution: FlowExecution) -> None:
    counts = (await queries.counts(uow.session, [execution.id]))[execution.id]
    await service.end(uow, execution, statuses.outcome(counts))


async def _look(uow: UnitOfWork, execution_id: UUID, granted: rates.Share) -> Work | None:
    execution = await service.find(uow, execution_id)
    if execution is None or not await _may_run(uow, execution):
        return None
    was_due = _is_due(uow, execution)
    try:
        plan = await plans.make(uow, execution)
    except CannotBegin as cannot:
        await service.end(uow, execution, ExecutionStatus.FAILED, reason=str(cannot))
        return None
    snapshot = Snapshot.from_json(execution.snapshot)
    if execution.status is ExecutionStatus.QUEUED:
        execution.started_at, execution.status = uow.now(), ExecutionStatus.RUNNING
        await audience.resolve(uow, execution, snapshot.audience)
        uow.wake(service.topic(execution.id))
    if not await _is_open(uow, execution, snapshot):
        return None
    return await _claim(uow, execution, plan, granted, is_left=was_due)


async def _may_run(uow: UnitOfWork, execution: FlowExecution) -> bool:
    if execution.status not in statuses.UNDER_WAY:
        await _tidy(uow, execution)
        return False
    if execution.is_paused:
        execution.due_at = uow.now() + _PAUSED
        return False
    return execution.status is not ExecutionStatus.QUEUED or _is_due(uow, execution)


def _is_due(uow: UnitOfWork, execution: FlowExecution) -> bool:
    return execution.due_at is not None and execution.due_at <= uow.now()


async def _tidy(uow: UnitOfWork, execution: FlowExecution) -> None:
    """Ends what its end has left, and tells errors that came after it."""
    if execution.due_at is not None and await service.end_recipients(uow, execution):
        execution.due_at = None
        uow.wake(service.topic(execution.id))
    elif execution.due_at is not None:
        service.wake(uow, execution.id)
    if execution.status is ExecutionStatus.COMPLETED:
        counts = (await queries.counts(uow.session, [execution.id]))[execution.id]
        if (outcome := statuses.outcome(counts)) is not ExecutionStatus.COMPLETED:
            execution.status = outcome
            uow.wake(service.topic(execution.id))


async def _is_open(uow: UnitOfWork, execution: FlowExecution, snapshot: Snapshot) -> bool:
    """Whether a chunk may start now; else it waits for its window, or has waited too long (S16)."""
    seen = windows.look(snapshot.spans, execution.started_at or uow.now(), uow.now())
    if seen.gate is Gate.EXPIRED:
        await service.end(uow, execution, ExecutionStatus.EXPIRED)
        return False
    status = ExecutionStatus.RUNNING if seen.gate is Gate.OPEN else ExecutionStatus.WAITING_WINDOW
    if execution.status is not status:
        execution.status = status
        uow.wake(service.topic(execution.id))
    if seen.gate is Gate.CLOSED:
        execution.due_at = seen.until
    return seen.gate is Gate.OPEN


async def _claim(
    uow: UnitOfWork, execution: FlowExecution, plan: Plan, granted: rates.Share, *, is_left: bool
) -> Work | None:
    """What this look is to send; else it says when the next one is, or that there is nothing left.

    `is_left`: nobody has looked in time, so others are called to help.
    """
    room = plan.limits.max_concurrent - await chunks.in_flight(uow, execution.id)
    at_most = min(granted.count if not plan.is_dry_run else chunks.CHUNK, room)
    execution.due_at = uow.now() + _HEARTBEAT
    claimed = await chunks.claim(uow, execution, at_most) if at_most > 0 else []
    if claimed:
        if is_left and len(claimed) == at_most:
            _call_others(uow, execution.id)
        uow.wake(service.topic(execution.id))
        return Work(plan, claimed)
    is_unfinished, due_at = await chunks.next_due(uow, execution.id)
    if not is_unfinished:
        await _end(uow, execution)
    elif due_at is None or due_at > uow.now():
        execution.due_at = min(due_at or uow.now() + _SOON, uow.now() + _HEARTBEAT)
    else:
        wait = granted.wait_seconds if granted.count == 0 else _CROWDED_SECONDS
        _come_again(uow, execution.id, wait)
    return None


def _call_others(uow: UnitOfWork, execution_id: UUID) -> None:
    for number in range(AT_ONCE - 1):
        _come_again(uow, execution_id, 0.01 * (number + 1))


def _come_again(uow: UnitOfWork, execution_id: UUID, seconds: float) -> None:
    ids = (str(uow.organization_id), str(execution_id))
    uow.enqueue(Job("run_execution", ids, JobQueue.BULK, delay_seconds=max(seconds, 0.01)))


async def _serve(ports: Ports, by_kind: Channels, work: Work) -> int:
    """Answers to how many nothing was sent."""
    plan, began_at, not_begun = work.plan, ports.clock.now(), 0
    renewed_at, batches = began_at, _batches(work.claimed)
    for index, batch in enumerate(batches):
        left = [it for later in batches[index:] for it in later]
        now = ports.clock.now()
        if now - renewed_at >= chunks.RENEWED_AFTER:
            await _renew(ports, plan, left)
            renewed_at = now
        begun = await _begin(ports, plan, batch) if now - began_at < _PATIENCE else None
        if begun is None:
            await _put_back(ports, plan, left)
            return not_begun + len(left)
        not_begun += begun.not_begun
        if not await sending.send(ports, by_kind[plan.channel.kind], plan, begun):
            await _put_back(ports, plan, left[len(batch) :])
            return not_begun + len(left) - len(batch)
    return not_begun


def _batches(claimed: Sequence[Claimed]) -> list[Sequence[Claimed]]:
    """Those that begin, those that are tried again, and each alone that a worker has left before."""
    fresh = [it for it in claimed if it.message_id is None and not it.is_suspect]
    again = [it for it in claimed if it.message_id is not None]
    parts = [part[start : start + BATCH] for part in (fresh, again) for start in range(0, len(part), BATCH)]
    return [*parts, *([it] for it in claimed if it.is_suspect)]


async def _begin(ports: Ports, plan: Plan, batch: Sequence[Claimed]) -> Begun | None:
    """None once the execution does not run any more (E5), or where the database is too busy to begin any."""
    verb = beginning.begin if batch[0].message_id is None else beginning.again
    try:
        async with room.turn(), ports.units.of_system(plan.channel.organization_id) as uow:
            if not await chunks.is_running(uow, plan.execution_id):
                return None
            return await verb(uow, ports.files, plan, batch)
    except DBAPIError as error:
        if not was_too_busy(error):
            raise
        log.warning("recipients did not begin, and are put back: %s", error)
        return None
    except Superseded as lost:
        mine = [it for it in batch if it.id not in lost.gone]
        return await _begin(ports, plan, mine) if mine else Begun()
    except StepRefused as refused:
        if len(batch) > 1:
            return await _begin_each(ports, plan, batch)
        async with ports.units.of_system(plan.channel.organization_id) as uow:
            await beginning.fail(uow, plan, batch[0], str(refused))
        return Begun(not_begun=1)


async def _begin_each(ports: Ports, plan: Plan, batch: Sequence[Claimed]) -> Begun | None:
    """One of them cannot be told what it is to be told: the others are begun without it."""
    together = Begun()
    for claimed in batch:
        begun = await _begin(ports, plan, [claimed])
        if begun is None:
            return together if together.ready else None
        together.ready += begun.ready
        together.unstepped += begun.unstepped
        together.not_begun += begun.not_begun
    return together


async def _renew(ports: Ports, plan: Plan, claimed: Sequence[Claimed]) -> None:
    async with ports.units.of_system(plan.channel.organization_id) as uow:
        await chunks.renew(uow, claimed)


async def _put_back(ports: Ports, plan: Plan, claimed: Sequence[Claimed]) -> None:
    """For whoever looks next; what was ended with the execution stays so."""
    if claimed:
        async with ports.units.of_system(plan.channel.organization_id) as uow:
            await chunks.put_back(uow, claimed, uow.now())
