"""One step of a run: one transaction, from the lock to the effects (F1, F2, F3).

Locks are taken in the one order that cannot deadlock: who is who, contact, agent, conversation, run. What a step does
is known only after the engine was asked, with conversation and run locked: a step that touches a contact or a member
raises `MustHold`, and is taken again in a new transaction that locks them first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.automation.flow_runs import doing, pins, plain, service, standing
from pytake_gql.automation.flow_runs.models import LONGEST_ERROR, FlowEffect, FlowRun, FlowRunStep
from pytake_gql.automation.flow_runs.standing import Around, Standing
from pytake_gql.automation.flows import engine
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.run import (
    Awaited,
    Effect,
    EffectFailed,
    EffectSucceeded,
    HandOff,
    Happening,
    Passed,
    RunState,
    Started,
    Step,
    Surroundings,
    TimedOut,
    UpdateContact,
)
from pytake_gql.desk.contacts import identities
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.conversations.locks import lock_if
from pytake_gql.desk.conversations.models import Conversation, TimelineKind
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Held:
    """What is locked before the conversation."""

    is_contact: bool = False
    is_phone: bool = False
    """Whether nobody else becomes who somebody is: the contact may get a phone."""
    member_id: UUID | None = None


class MustHold(Exception):
    """The step has to be taken again, with this held: nothing of it may be committed."""

    def __init__(self, held: Held) -> None:
        super().__init__(held)
        self.held = held


class StepRefused(Exception):
    """What the step wants cannot be done: nothing of it may be committed, and the run fails with this reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an effect, told by the worker that holds its claim."""

    effect_id: UUID
    epoch: int
    happening: EffectSucceeded | EffectFailed


async def take(
    uow: UnitOfWork,
    run_id: UUID,
    held: Held,
    *,
    outcome: Outcome | None = None,
    failing: str | None = None,
) -> bool:
    """Takes the step that is due; says whether there was one. Safe to run twice.

    With an outcome it is the one that follows it, as long as the claim is the worker's. `failing` ends the run with
    that reason, and hands the conversation over. Raises `MustHold` and `StepRefused`.
    """
    at = await _lock(uow, run_id, held)
    if at is None:
        return False
    if failing is not None:
        state = replace(at.state, status=FlowRunStatus.FAILED, awaits=None, error=failing)
        await _write_rows(uow, at, Step(state, (HandOff(),)))
        return True
    if outcome is not None and not await _take_outcome(uow, run_id, outcome):
        return False
    around = await standing.look_around(uow, at)
    happening = outcome.happening if outcome else _happening(uow, at, around)
    if happening is None:
        await plain.rest(uow, at)
        return False
    graphs = await pins.graphs_of(uow.session, at.pinned)
    step = engine.step(graphs, at.state, happening, await around.known(uow, at, graphs.values()))
    if step.is_ignored:
        await plain.rest(uow, at)
        return False
    if (needed := _needed(step.effects)) != held and needed != Held():
        raise MustHold(needed)
    try:
        if (effects := plain.plain_effects(step)) is not None:
            await plain.write(uow, at, around.channel_kind, step, effects)
        else:
            await _write_rows(uow, at, step)
    except Refusal as refusal:
        raise StepRefused(refusal.problems[0].message(around.organization.locale)) from refusal
    return True


def trial(graphs: Mapping[UUID, Graph], state: RunState, known: Surroundings) -> Step:
    """What the first step would be; nothing is written."""
    return engine.step(graphs, state, Started(), known)


async def take_first(
    uow: UnitOfWork, conversation: Conversation, run: FlowRun, graphs: Mapping[UUID, Graph], known: Surroundings
) -> bool:
    """Takes the first step in the transaction that began the run, for those who begin many.

    False, with nothing written, where it has to hold more than the conversation: a worker takes it later. Raises
    `StepRefused`.
    """
    step = trial(graphs, RunState.from_json(run.state), known)
    if _needed(step.effects) != Held():
        return False
    try:
        await _write(uow, conversation, run, step)
    except Refusal as refusal:
        raise StepRefused(refusal.problems[0].message(known.locale)) from refusal
    uow.withdraw(service.job(uow, run))
    return True


async def _lock(uow: UnitOfWork, run_id: UUID, held: Held) -> Standing | None:
    """None for a run that ended."""
    if held == Held():
        return await standing.lock(uow, run_id)
    of_run = (
        select(Conversation.id, Conversation.contact_id)
        .join(FlowRun, col(FlowRun.conversation_id) == Conversation.id)
        .where(FlowRun.id == run_id)
    )
    conversation_id, contact_id = (await uow.session.execute(of_run)).one()
    if held.is_phone:
        await one_at_a_time(uow, identities.WHO_IS_WHO)
    if held.is_contact and not await _lock_contact(uow, contact_id):
        return None
    if held.member_id is not None:
        await lock_if(uow, conversation_id, besides=held.member_id)
    at = await standing.lock(uow, run_id)
    if at is not None and held.is_contact and at.conversation.contact_id != contact_id:
        raise MustHold(held)  # it was merged meanwhile
    return at


async def _lock_contact(uow: UnitOfWork, contact_id: UUID) -> bool:
    try:
        await contacts.get(uow, contact_id)
    except Refusal:
        return False  # it was erased, and its conversations were closed
    return True


async def _take_outcome(uow: UnitOfWork, run_id: UUID, outcome: Outcome) -> bool:
    """The effect is done with, if the claim is still the last one."""
    mine = sa.delete(FlowEffect).where(
        col(FlowEffect.id) == outcome.effect_id,
        col(FlowEffect.run_id) == run_id,
        col(FlowEffect.epoch) == outcome.epoch,
    )
    taken = await uow.session.execute(mine.returning(col(FlowEffect.id)))
    return taken.scalar_one_or_none() is not None


def _happening(uow: UnitOfWork, at: Standing, around: Around) -> Happening | None:
    """What is due: the next reply before the end of patience. None for nothing, and then no worker looks again."""
    state = at.state
    if state.node_id is None:
        return Started()
    if state.awaits is Awaited.TIME:
        # What is said while a flow waits for time answers nothing that it asks later.
        at.unheard = []
    if around.reply is not None:
        at.unheard = at.unheard[1:]
        return around.reply
    if state.wake_at is not None and state.wake_at <= uow.now():
        return TimedOut()
    return None


def _needed(effects: tuple[Effect, ...]) -> Held:
    updates = [effect for effect in effects if isinstance(effect, UpdateContact)]
    members = [effect.member_id for effect in effects if isinstance(effect, HandOff) and effect.member_id]
    return Held(
        is_contact=bool(updates),
        is_phone=any(update.phone for update in updates),
        member_id=members[0] if members else None,
    )


async def _write_rows(uow: UnitOfWork, at: Standing, step: Step) -> None:
    """With rows of the session, which the verbs of other domains take: they are locked already."""
    of = uow.organization_id
    with uow.session.no_autoflush:
        conversation = await uow.session.get_one(Conversation, (of, at.conversation.id), populate_existing=True)
        run = await uow.session.get_one(FlowRun, (of, at.id), populate_existing=True)
    run.unheard = at.unheard
    await _write(uow, conversation, run, step)


async def _write(uow: UnitOfWork, conversation: Conversation, run: FlowRun, step: Step) -> None:
    """The path in the timeline, with what was said at each node; the effects; the run as it stands then."""
    waiting = list(step.effects)
    for passed in step.path:
        row = await _pass(uow, conversation, run, passed)
        while waiting and getattr(waiting[0], "node_id", None) == passed.node_id:
            row["error"] = await doing.do(uow, conversation, run, waiting.pop(0)) or row["error"]
        if passed.is_continued:
            await _write_on(uow, run, row)
    for effect in waiting:
        await doing.do(uow, conversation, run, effect)
    state = step.state
    run.state = state.to_json()
    run.error = state.error[:LONGEST_ERROR] if state.error else None
    if state.status in service.LIVE:
        run.status = state.status
        run.wake_at = service.next_wake(uow, run, state)
    else:
        await service.end(uow, run, state.status)


async def _pass(uow: UnitOfWork, conversation: Conversation, run: FlowRun, passed: Passed) -> dict[str, Any]:
    """What is to be written of a node that was entered; one that the run stood in has its row and its event already."""
    error = passed.error[:LONGEST_ERROR] if passed.error else None
    if passed.is_continued:
        return {"left_by": passed.left_by, "error": error}
    run.path_length += 1
    row = uow.append(
        FlowRunStep,
        {
            "run_id": run.id,
            "position": run.path_length,
            "node_id": passed.node_id,
            "kind": passed.kind,
            "entered_at": passed.entered_at,
            "left_by": passed.left_by,
            "error": error,
        },
    )
    told = {"flow_run_id": run.id.hex, "node_id": passed.node_id}
    record(uow, conversation, TimelineKind.FLOW_STEP_TAKEN, data=told)
    return row


async def _write_on(uow: UnitOfWork, run: FlowRun, values: Mapping[str, Any]) -> None:
    last = sa.update(FlowRunStep).where(col(FlowRunStep.run_id) == run.id, col(FlowRunStep.position) == run.path_length)
    with uow.session.no_autoflush:
        await uow.session.execute(last.values(**values).execution_options(synchronize_session=False))
