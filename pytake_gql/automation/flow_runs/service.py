"""The verbs of runs: begun by a channel's first message or by a campaign, ended by people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.automation.flow_runs import pins
from pytake_gql.automation.flow_runs.events import FlowRunEnded
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowRun, FlowRunStep
from pytake_gql.automation.flow_runs.standing import Standing
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.automation.flows.run import Awaited, RunState
from pytake_gql.automation.flows.templates import Value
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.unit_of_work import UnitOfWork

LIVE = (FlowRunStatus.RUNNING, FlowRunStatus.WAITING)


async def start(
    uow: UnitOfWork,
    conversation: Conversation,
    version: FlowVersion,
    *,
    variables: Mapping[str, Value] | None = None,
    is_bulk: bool = False,
    is_first: bool = False,
) -> FlowRun:
    """Begins a run in a locked conversation that is BOT; a worker takes its first step once this is committed.

    It keeps this version, whatever is published later (F5). CONFLICT where a flow speaks already (F2), WRONG_STATE
    where people have the conversation. A campaign's are bulk: they never delay an agent's message (E11).
    `is_first`: the conversation was begun for it, just now.
    """
    if conversation.status is not ConversationStatus.BOT:
        refuse(
            UserErrorCode.WRONG_STATE, "The conversation is {status}: no flow begins there.", status=conversation.status
        )
    if not is_first and await live_in(uow, conversation.id) is not None:
        refuse(UserErrorCode.CONFLICT, "A flow speaks in this conversation already.")
    run = FlowRun(
        flow_id=version.flow_id,
        version_id=version.id,
        conversation_id=conversation.id,
        status=FlowRunStatus.RUNNING,
        state=RunState.begin(version.flow_id, variables).to_json(),
        pinned=await pins.of_version(uow.session, version),
        is_bulk=is_bulk,
        wake_at=uow.now(),
        started_at=uow.now(),
    )
    uow.add(run)
    wake(uow, run)
    return run


def wake(uow: UnitOfWork, run: FlowRun | Standing) -> None:
    """A worker looks at it once this is committed."""
    uow.enqueue(job(uow, run))


def job(uow: UnitOfWork, run: FlowRun | Standing) -> Job:
    return Job("step_flow_run", (str(uow.organization_id), str(run.id)), queue_of(run))


def queue_of(run: FlowRun | Standing) -> JobQueue:
    return JobQueue.BULK if run.is_bulk else JobQueue.INTERACTIVE


def next_wake(uow: UnitOfWork, run: FlowRun | Standing, state: RunState) -> datetime | None:
    """When its next step is due, as far as it is known; another reply that waits is taken at once."""
    if not run.unheard or state.awaits is not Awaited.REPLY:
        return state.wake_at
    wake(uow, run)
    return uow.now()


async def cancel(uow: UnitOfWork, conversation_id: UUID) -> None:
    """Ends the run that speaks in a locked conversation, if there is one: people have it, or it is closed."""
    run = await live_in(uow, conversation_id)
    if run is not None:
        run.state = {**run.state, "status": FlowRunStatus.CANCELLED.value, "awaits": None, "wakeAt": None}
        await end(uow, run, FlowRunStatus.CANCELLED)


async def end(uow: UnitOfWork, run: FlowRun, status: FlowRunStatus) -> None:
    """Nothing is awaited any more, and what a worker still does for it comes to nothing."""
    run.status, run.finished_at, run.wake_at, run.unheard = status, uow.now(), None, []
    if run.state["effects"]:
        await uow.session.execute(sa.delete(FlowEffect).where(col(FlowEffect.run_id) == run.id))
    _ended_now(uow).add(run.conversation_id)
    uow.emit(FlowRunEnded(entity_id=run.id, status=status))


def has_ended_now(uow: UnitOfWork, conversation_id: UUID) -> bool:
    """Whether a run ended there in this transaction: there is none to be looked for."""
    return conversation_id in _ended_now(uow)


def _ended_now(uow: UnitOfWork) -> set[UUID]:
    ended: set[UUID] = uow.session.info.setdefault("conversations of ended runs", set())
    return ended


async def live_in(uow: UnitOfWork, conversation_id: UUID) -> FlowRun | None:
    """The run that speaks in a locked conversation, locked."""
    statement = (
        select(FlowRun)
        .where(FlowRun.conversation_id == conversation_id, col(FlowRun.status).in_(LIVE))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await uow.session.execute(statement)).scalar_one_or_none()


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, FlowRun]:
    rows = await session.execute(select(FlowRun).where(col(FlowRun.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def of_conversations(session: AsyncSession, conversation_ids: Sequence[UUID]) -> dict[UUID, FlowRun]:
    """Of each conversation the live one, or else the last: there is none after a live one."""
    statement = (
        select(FlowRun)
        .ext(distinct_on(col(FlowRun.conversation_id)))
        .where(col(FlowRun.conversation_id).in_(conversation_ids))
        .order_by(col(FlowRun.conversation_id), col(FlowRun.id).desc())
    )
    return {row.conversation_id: row for row in (await session.execute(statement)).scalars()}


async def steps_of(session: AsyncSession, run_ids: Sequence[UUID]) -> dict[UUID, list[FlowRunStep]]:
    """The path of each, in order."""
    statement = (
        select(FlowRunStep)
        .where(col(FlowRunStep.run_id).in_(run_ids))
        .order_by(col(FlowRunStep.run_id), col(FlowRunStep.position))
    )
    found: dict[UUID, list[FlowRunStep]] = {id_: [] for id_ in run_ids}
    for row in (await session.execute(statement)).scalars():
        found[row.run_id].append(row)
    return found


async def version_numbers(session: AsyncSession, version_ids: Sequence[UUID]) -> dict[UUID, int]:
    statement = select(FlowVersion.id, FlowVersion.number).where(col(FlowVersion.id).in_(version_ids))
    return {row[0]: row[1] for row in await session.execute(statement)}


async def due(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, run) of those whose next step is due, across organizations."""
    found = await session.execute(
        sa.text("SELECT organization_id, run_id FROM engine_due_flow_runs(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.run_id) for row in found]


async def due_effects(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, effect) of what is asked of the outside world, or was by a worker that is gone."""
    found = await session.execute(
        sa.text("SELECT organization_id, effect_id FROM engine_due_flow_effects(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.effect_id) for row in found]
