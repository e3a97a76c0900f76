"""One step of a run: one transaction, from the lock to the effects (F1, F2, F3).

Locks are taken in the one order that cannot deadlock: who is who, contact, agent, conversation, run. What a step does
is known only after the engine was asked, with conversation and run locked: a step that touches a contact or a member
raises `MustHold`, and is taken again in a new transaction that locks them first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from pytake_gql.automation.flow_runs import doing, pins, service
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowRun, FlowRunStep
from pytake_gql.automation.flows import engine, surroundings
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
    Replied,
    RunState,
    Started,
    Step,
    Surroundings,
    TimedOut,
    UpdateContact,
)
from pytake_gql.desk.contacts import identities
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations.locks import lock_if
from pytake_gql.desk.conversations.models import Conversation, Message, TimelineKind
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations.models import Organization

_LONGEST_ERROR = 1000


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
    found = await _lock(uow, run_id, held)
    if found is None:
        return False
    conversation, run = found
    if failing is not None:
        state = replace(RunState.from_json(run.state), status=FlowRunStatus.FAILED, awaits=None, error=failing)
        await _write(uow, conversation, run, Step(state, (HandOff(),)))
        return True
    state = RunState.from_json(run.state)
    if outcome is not None and not await _take_outcome(uow, run, outcome):
        return False
    with uow.session.no_autoflush:  # what is read is not what is written: all of that goes at once
        happening = outcome.happening if outcome else await _happening(uow, run, state)
        if happening is None:
            return False
        graphs = await pins.graphs_of(uow.session, run.pinned)
        known = await _known(uow, run, conversation, graphs.values())
    step = engine.step(graphs, state, happening, known)
    if step.is_ignored:
        _rest(uow, run, state)
        return False
    if (needed := _needed(step.effects)) != held and needed != Held():
        raise MustHold(needed)
    try:
        await _write(uow, conversation, run, step)
    except Refusal as refusal:
        raise StepRefused(refusal.problems[0].message(known.locale)) from refusal
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


async def _lock(uow: UnitOfWork, run_id: UUID, held: Held) -> tuple[Conversation, FlowRun] | None:
    """None for a run that ended."""
    is_live = (FlowRun.id == run_id, col(FlowRun.status).in_(service.LIVE))
    conversation_id = select(FlowRun.conversation_id).where(*is_live)
    contact_id = None
    if held != Held():
        of_run = select(Conversation.contact_id).where(col(Conversation.id) == conversation_id.scalar_subquery())
        contact_id = (await uow.session.execute(of_run)).scalar_one_or_none()
        if contact_id is None:
            return None
        if held.is_phone:
            await one_at_a_time(uow, identities.WHO_IS_WHO)
        if held.is_contact and not await _lock_contact(uow, contact_id):
            return None
    conversation = await _lock_conversation(uow, conversation_id, held)
    if conversation is None:
        return None
    if held.is_contact and conversation.contact_id != contact_id:
        raise MustHold(held)  # it was merged meanwhile
    statement = select(FlowRun).where(*is_live).with_for_update()
    locked = await uow.session.execute(statement, execution_options={"populate_existing": True})
    run = locked.scalar_one_or_none()
    return (conversation, run) if run else None


async def _lock_contact(uow: UnitOfWork, contact_id: UUID) -> bool:
    try:
        await contacts.get(uow, contact_id)
    except Refusal:
        return False  # it was erased, and its conversations were closed
    return True


async def _lock_conversation(uow: UnitOfWork, id_: SelectOfScalar[UUID], held: Held) -> Conversation | None:
    if held.member_id is not None:
        known = (await uow.session.execute(id_)).scalar_one_or_none()
        return await lock_if(uow, known, besides=held.member_id) if known else None
    # What a flow has is nobody else's: there is no agent to be locked before it.
    statement = select(Conversation).where(col(Conversation.id) == id_.scalar_subquery()).with_for_update()
    locked = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return locked.scalar_one_or_none()


async def _take_outcome(uow: UnitOfWork, run: FlowRun, outcome: Outcome) -> bool:
    """The effect is done with, if the claim is still the last one."""
    mine = sa.delete(FlowEffect).where(
        col(FlowEffect.id) == outcome.effect_id,
        col(FlowEffect.run_id) == run.id,
        col(FlowEffect.epoch) == outcome.epoch,
    )
    taken = await uow.session.execute(mine.returning(col(FlowEffect.id)))
    return taken.scalar_one_or_none() is not None


async def _happening(uow: UnitOfWork, run: FlowRun, state: RunState) -> Happening | None:
    """What is due: the next reply before the end of patience. None for nothing, and then no worker looks again."""
    if state.node_id is None:
        return Started()
    if state.awaits is Awaited.TIME:
        # What is said while a flow waits for time answers nothing that it asks later.
        run.unheard = []
    if state.awaits is Awaited.REPLY and run.unheard:
        seq, *later = run.unheard
        run.unheard = later
        statement = select(Message.text, Message.chosen).where(
            Message.conversation_id == run.conversation_id, Message.seq == seq
        )
        text, chosen = (await uow.session.execute(statement)).one()
        return Replied(text or "", chosen)
    if state.wake_at is not None and state.wake_at <= uow.now():
        return TimedOut()
    _rest(uow, run, state)
    return None


async def _known(uow: UnitOfWork, run: FlowRun, conversation: Conversation, graphs: Iterable[Graph]) -> Surroundings:
    statement = (
        select(Contact, Organization)
        .join(Organization, col(Organization.id) == Contact.organization_id)
        .where(Contact.id == conversation.contact_id)
    )
    contact, organization = (await uow.session.execute(statement)).one()
    return await surroundings.read(
        uow.session, organization, contact, graphs, now=uow.now(), seed=run.id.int, number=conversation.number
    )


def _rest(uow: UnitOfWork, run: FlowRun, state: RunState) -> None:
    """When the next step is due, as far as it is known; another reply that waits is taken at once."""
    has_turn = bool(run.unheard) and state.awaits is Awaited.REPLY
    run.wake_at = uow.now() if has_turn else state.wake_at
    if has_turn:
        service.wake(uow, run)


def _needed(effects: tuple[Effect, ...]) -> Held:
    updates = [effect for effect in effects if isinstance(effect, UpdateContact)]
    members = [effect.member_id for effect in effects if isinstance(effect, HandOff) and effect.member_id]
    return Held(
        is_contact=bool(updates),
        is_phone=any(update.phone for update in updates),
        member_id=members[0] if members else None,
    )


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
    run.error = state.error[:_LONGEST_ERROR] if state.error else None
    if state.status in service.LIVE:
        run.status = state.status
        _rest(uow, run, state)
    else:
        await service.end(uow, run, state.status)


async def _pass(uow: UnitOfWork, conversation: Conversation, run: FlowRun, passed: Passed) -> dict[str, Any]:
    """What is to be written of a node that was entered; one that the run stood in has its row and its event already."""
    error = passed.error[:_LONGEST_ERROR] if passed.error else None
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
