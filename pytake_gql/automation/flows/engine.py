"""The engine of flows: one pure function, total and deterministic (F1)."""

from collections.abc import Mapping
from uuid import UUID

from pytake_gql.automation.flows import acts, templates
from pytake_gql.automation.flows.fields import ERROR, NEXT, TIMEOUT
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.kinds import FlowNodeKind, FlowRunStatus
from pytake_gql.automation.flows.run import (
    Awaited,
    EffectFailed,
    EffectSucceeded,
    Happening,
    Replied,
    RunState,
    Started,
    Step,
    Surroundings,
    TimedOut,
)
from pytake_gql.automation.flows.walk import Breach, Walk


def step(graphs: Mapping[UUID, Graph], state: RunState, happening: Happening, surroundings: Surroundings) -> Step:
    """What becomes of a run when this happens.

    `graphs` holds, by flow, the graph of the version that the run has pinned: of its own flow, and of each that a
    JUMP may lead to. What does not fit what the run awaits changes nothing.
    """
    if not _fits(state, happening, surroundings):
        return Step(state, is_ignored=True)
    walk = Walk.of(graphs, state, surroundings)
    try:
        target = _begin(walk) if isinstance(happening, Started) else _go_on(walk, happening)
        walk.note_missing()
        while target is not None:
            target = _pass(walk, target)
            walk.note_missing()
    except Breach as breach:
        walk.fail(breach)
    except templates.TooMuch:
        walk.fail(Breach("The values in this node's texts are too long."))
    return walk.step()


def _fits(state: RunState, happening: Happening, surroundings: Surroundings) -> bool:
    match happening:
        case Started():
            return state.status is FlowRunStatus.RUNNING and state.node_id is None
        case Replied():
            return state.awaits is Awaited.REPLY
        case TimedOut():
            return state.wake_at is not None and state.wake_at <= surroundings.now
        case EffectSucceeded(number=number) | EffectFailed(number=number):
            return state.awaits is Awaited.EFFECT and state.effects == number


def _begin(walk: Walk) -> str:
    walk.check_variables()
    return walk.graph.start


def _go_on(walk: Walk, happening: Happening) -> str | None:
    """From the node that waited; None where it goes on waiting, or the run ends."""
    node = walk.here
    match happening:
        case Replied():
            handle = walk.act_of(acts.REPLIED)(walk, node.settings, happening)
        case EffectSucceeded(result=result):
            handle = walk.act_of(acts.SUCCEEDED)(walk, node.settings, result)
        case EffectFailed(reason=reason):
            return walk.leave(ERROR, reason)
        case _ if walk.state.expires:
            walk.expire()
            return None
        case _:
            handle = NEXT if node.kind is FlowNodeKind.WAIT else TIMEOUT
    return None if handle is None else walk.leave(handle)


def _pass(walk: Walk, node_id: str) -> str | None:
    """Through one node: the next one, or None where the run waits or ends."""
    node = walk.enter(node_id)
    handle = acts.ENTER[node.kind](walk, node.settings)
    if node.kind is FlowNodeKind.JUMP:
        return node.settings.node_id or walk.graph.start
    return None if handle is None else walk.leave(handle)
