"""What is due of runs: the next step of one, and what it asks of the outside world (F1, F3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.automation.ai.ports import Turn
from pytake_gql.automation.flow_runs import outside, stepping
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowEffectKind, FlowRun
from pytake_gql.automation.flow_runs.outside import Outside
from pytake_gql.automation.flow_runs.stepping import Held, MustHold, Outcome, StepRefused
from pytake_gql.automation.flows.run import EffectFailed, EffectSucceeded
from pytake_gql.desk.conversations.models import Message, MessageDirection
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork

_GRACE = timedelta(seconds=10)
"""Of a lease, above what the effect may take."""
_MOST_TURNS = 30
_LOST = "Its outcome was lost: it is not done again."


@dataclass(frozen=True, slots=True)
class Claim:
    """An effect under this worker's lease."""

    effect: FlowEffect
    turns: Sequence[Turn]
    is_lost: bool
    """Whether a worker had it before, and told no outcome: it may have been done."""


async def step_flow_run(ports: Ports, organization_id: UUID, run_id: UUID, outcome: Outcome | None = None) -> bool:
    """Takes the run's next step, if one is due; says whether it did. Safe to run twice."""
    held, failing = Held(), None
    while True:
        try:
            async with ports.units.of_system(organization_id) as uow:
                return await stepping.take(uow, run_id, held, outcome=outcome, failing=failing)
        except MustHold as must:
            held = must.held
        except StepRefused as refused:
            held, outcome, failing = Held(), None, str(refused)


async def perform_flow_effect(ports: Ports, world: Outside, organization_id: UUID, effect_id: UUID) -> bool:
    """Does what a run asks of the outside world, at most once, and takes the step that follows; says whether it did.

    A worker that dies in between leaves a lease that runs out, and the run goes on as if it had failed.
    """
    async with ports.units.of_system(organization_id) as uow:
        claim = await _claim(uow, effect_id)
    if claim is None:
        return False
    effect = claim.effect
    told: EffectSucceeded | EffectFailed = EffectFailed(effect.number, _LOST)
    if not claim.is_lost:
        told = await outside.perform(world, effect, claim.turns)
    return await step_flow_run(ports, organization_id, effect.run_id, Outcome(effect.id, effect.epoch, told))


async def _claim(uow: UnitOfWork, effect_id: UUID) -> Claim | None:
    """None: another worker has it, or it is done with."""
    statement = (
        select(FlowEffect)
        .where(FlowEffect.id == effect_id, col(FlowEffect.due_at) <= uow.now())
        .with_for_update(skip_locked=True)
    )
    effect = (await uow.session.execute(statement)).scalar_one_or_none()
    if effect is None:
        return None
    is_lost = effect.attempts > 0
    effect.due_at = uow.now() + timedelta(seconds=outside.seconds_of(effect)) + _GRACE
    effect.epoch, effect.attempts = effect.epoch + 1, effect.attempts + 1
    needs_turns = effect.kind is FlowEffectKind.ASK_AI and not is_lost
    return Claim(effect, await _turns(uow, effect.run_id) if needs_turns else (), is_lost)


async def _turns(uow: UnitOfWork, run_id: UUID) -> Sequence[Turn]:
    """The end of what was said to each other; notes are for members."""
    statement = (
        select(Message.direction, Message.text)
        .join(FlowRun, col(FlowRun.conversation_id) == Message.conversation_id)
        .where(FlowRun.id == run_id, col(Message.is_note).is_(False), col(Message.text).is_not(None))
        .order_by(col(Message.seq).desc())
        .limit(_MOST_TURNS)
    )
    found = (await uow.session.execute(statement)).all()
    return [Turn(direction is MessageDirection.INBOUND, text or "") for direction, text in reversed(found)]
