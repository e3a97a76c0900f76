"""What a flow would do: the engine's own step, driven by replies given up front and no effects (F8). Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from pytake_gql.automation.flows import engine, templates
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.run import (
    AskAi,
    Awaited,
    CallApi,
    Effect,
    EffectFailed,
    EffectSucceeded,
    Happening,
    Passed,
    Replied,
    RunState,
    Say,
    Started,
    Surroundings,
    TimedOut,
    UpdateContact,
)
from pytake_gql.automation.flows.templates import Value

FAILS = "error"
"""As the effect of a node: it goes on by its way out of that name."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message: by a node of the flow, or without one by the contact."""

    node_id: str | None
    text: str


@dataclass(slots=True)
class Simulation:
    state: RunState
    transcript: list[Line] = field(default_factory=list)
    path: list[Passed] = field(default_factory=list)


@dataclass(slots=True)
class Script:
    """What is given up front. `effects`, by node: what an API_CALL or AI_REPLY answers, or `FAILS`."""

    replies: Sequence[str] = ()
    effects: Mapping[str, Any] = field(default_factory=dict)
    template_text: Callable[[Say], str] = lambda said: said.text
    """What people read of a message that is a template."""


def simulate(
    graphs: Mapping[UUID, Graph], state: RunState, script: Script, around: Surroundings, findings: Findings
) -> Simulation:
    """Until the run ends or the replies do; waits pass at once."""
    told, replies = Simulation(state), list(reversed(script.replies))
    happening: Happening | None = Started()
    while happening is not None:
        step = engine.step(graphs, told.state, happening, around)
        told.state = step.state
        _walk_on(told.path, step.path)
        for node_id, name in step.missing:
            findings.warn(node_id, "{name} was empty.", name=name)
        for effect in step.effects:
            _perform(told, script, effect)
            if isinstance(effect, UpdateContact):
                around = replace(around, values={**around.values, **effect.values()})
        happening = _next(told, script, step.effects, replies)
        if isinstance(happening, TimedOut) and told.state.wake_at is not None:
            around = replace(around, now=told.state.wake_at)
    if told.state.status is FlowRunStatus.FAILED:
        findings.blame(told.state.node_id, "The run fails here: {reason}", reason=told.state.error)
    return told


def _walk_on(path: list[Passed], more: Sequence[Passed]) -> None:
    for passed in more:
        if passed.is_continued:
            path.pop()
        path.append(passed)


def _perform(told: Simulation, script: Script, effect: Effect) -> None:
    if isinstance(effect, Say):
        text = script.template_text(effect) if effect.template_id else effect.text
        told.transcript.append(Line(effect.node_id, text or effect.attachment_url or ""))


def _next(told: Simulation, script: Script, effects: Sequence[Effect], replies: list[str]) -> Happening | None:
    match told.state.awaits:
        case Awaited.TIME:
            return TimedOut()
        case Awaited.REPLY if replies:
            told.transcript.append(Line(None, replies[-1]))
            return Replied(replies.pop())
        case Awaited.EFFECT:
            asked = next(effect for effect in effects if isinstance(effect, CallApi | AskAi))
            answer = script.effects.get(asked.node_id)
            if answer == FAILS:
                return EffectFailed(asked.number, FAILS)
            return EffectSucceeded(asked.number, answer)
        case _:
            return None


def as_variables(given: Mapping[str, Any]) -> dict[str, Value] | None:
    """Variables from outside, or None where a name or a value is none."""
    are_fit = all(templates.is_variable(name) and templates.is_value(value) for name, value in given.items())
    return dict(given) if are_fit else None
