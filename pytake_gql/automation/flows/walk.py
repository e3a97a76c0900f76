"""One step in the making: what the nodes of a flow may do to a run. It lives no longer than the step."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson

from pytake_gql.automation.flows import templates
from pytake_gql.automation.flows.fields import DEFAULT, ERROR, INVALID, LONGEST_TEXT, TIMEOUT
from pytake_gql.automation.flows.findings import Finding, ProblemSeverity
from pytake_gql.automation.flows.graph import Graph, Node
from pytake_gql.automation.flows.kinds import FlowNodeKind, FlowRunStatus
from pytake_gql.automation.flows.run import (
    Awaited,
    Effect,
    Finish,
    HandOff,
    Option,
    Passed,
    RunState,
    Say,
    Step,
    Surroundings,
)
from pytake_gql.automation.flows.templates import Scope, Value

MOST_STEPS = 500
MOST_WITHOUT_EVENT = 50
MOST_VISITS = 25
MOST_JUMPS = 8
MOST_VARIABLE_BYTES = 64 * 1024
EXPIRES_AFTER = timedelta(days=7)
"""How long a run waits for a reply that has no timeout of its own."""
_TO_PEOPLE = frozenset({ERROR, INVALID, TIMEOUT, DEFAULT})
"""Ways out that hand off where no edge leads on."""


T = TypeVar("T")


class Breach(Exception):
    """A limit is passed (F4), or the flow leads nowhere: the run fails with this sentence."""

    def __init__(self, template: str, **values: Any) -> None:
        super().__init__(template)
        self.finding = Finding(None, ProblemSeverity.ERROR, template, (), values)


@dataclass(slots=True)
class Walk:
    graphs: Mapping[UUID, Graph]
    around: Surroundings
    state: RunState
    variables: dict[str, Value]
    visits: dict[str, int]
    scope: Scope
    flow_id: UUID
    node_id: str | None
    attempts: int
    effect_number: int
    jumps: tuple[UUID, ...]
    steps: int
    entered_at: datetime | None
    status: FlowRunStatus = FlowRunStatus.RUNNING
    awaits: Awaited | None = None
    wake_at: datetime | None = None
    expires: bool = False
    error: str | None = None
    effects: list[Effect] = field(default_factory=list)
    path: list[Passed] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    entered: int = 0

    @classmethod
    def of(cls, graphs: Mapping[UUID, Graph], state: RunState, around: Surroundings) -> "Walk":
        variables = dict(state.variables)
        return cls(
            graphs=graphs,
            around=around,
            state=state,
            variables=variables,
            visits=dict(state.visits),
            scope=Scope(around.values, variables),
            flow_id=state.flow_id,
            node_id=state.node_id,
            attempts=state.attempts,
            effect_number=state.effects,
            jumps=state.jumps,
            steps=state.steps,
            entered_at=state.entered_at,
        )

    @property
    def graph(self) -> Graph:
        found = self.graphs.get(self.flow_id)
        if found is None:
            raise Breach("The flow that this leads to is not published.")
        return found

    @property
    def here(self) -> Node:
        return self.node(self.node_id or "")

    def node(self, node_id: str) -> Node:
        found = self.graph.nodes.get(node_id)
        if found is None:
            raise Breach("The node that this leads to is not there.")
        return found

    def act_of(self, acts: Mapping[FlowNodeKind, T]) -> T:
        """What this node does; a state of another graph may stand in a node that does nothing of the kind."""
        act = acts.get(self.here.kind)
        if act is None:
            raise Breach("The node that this leads to is not there.")
        return act

    def render(self, template: str, longest: int = LONGEST_TEXT) -> str:
        return templates.render(template, self.scope, longest)

    def enter(self, node_id: str) -> Node:
        """Stands in the next node. Raises `Breach` where a limit is passed."""
        node = self.node(node_id)
        self.node_id, self.attempts, self.entered_at = node_id, 0, self.around.now
        self.path.append(Passed(self.flow_id, node_id, node.kind, self.around.now))
        self._count(node_id)
        return node

    def set(self, name: str, value: Value) -> None:
        if value is None:
            self.variables.pop(name, None)
            return
        self.variables[name] = value
        self.check_variables()

    def check_variables(self) -> None:
        if len(orjson.dumps(self.variables)) > MOST_VARIABLE_BYTES:
            kib = MOST_VARIABLE_BYTES // 1024
            raise Breach("The variables hold more than {kib} KiB.", kib=kib)

    def say(self, text: str, options: tuple[Option, ...] = (), **more: Any) -> None:
        """Nothing is said where neither text nor anything else is left."""
        if text.strip() or options or more:
            self.effects.append(Say(self.node_id or "", text, options, **more))

    def wait_for_reply(self, timeout_seconds: int | None) -> None:
        patience = EXPIRES_AFTER if timeout_seconds is None else timedelta(seconds=timeout_seconds)
        self._wait(Awaited.REPLY, self.around.now + patience, expires=timeout_seconds is None)

    def wait_for_time(self, seconds: int) -> None:
        self._wait(Awaited.TIME, self.around.now + timedelta(seconds=seconds))

    def wait_for_effect(self) -> int:
        """The number of the effect to ask for."""
        self._wait(Awaited.EFFECT, None)
        self.effect_number += 1
        return self.effect_number

    def leave(self, handle: str, error: str | None = None) -> str | None:
        """The node that this way leads to; None where the run ends, because no edge does."""
        self._close(handle, error)
        target = self.graph.ways.get((self.node_id or "", handle))
        if target is None and handle in _TO_PEOPLE:
            self.hand_off(HandOff(self.node_id))
        elif target is None:
            self.finish()
        return target

    def finish(self, status: FlowRunStatus = FlowRunStatus.COMPLETED) -> None:
        self._end(status)
        self.effects.append(Finish())

    def expire(self) -> None:
        self.finish(FlowRunStatus.EXPIRED)

    def hand_off(self, effect: HandOff) -> None:
        self._end(FlowRunStatus.HANDED_OFF)
        self.effects.append(effect)

    def fail(self, breach: Breach) -> None:
        """What was said stays said; people take over."""
        reason = breach.finding.message(self.around.locale)
        self._end(FlowRunStatus.FAILED)
        self.error = reason
        if self.flow_id in self.graphs and self.node_id in self.graph.nodes:
            self._close(None, reason)
        self.effects = [effect for effect in self.effects if not isinstance(effect, HandOff | Finish)]
        self.effects.append(HandOff(self.node_id, note=reason))

    def note_missing(self) -> None:
        """Ascribes to this node what its templates found missing."""
        self.missing += [(self.node_id or "", name) for name in self.scope.missing]
        self.scope.missing.clear()

    def step(self) -> Step:
        return Step(
            RunState(
                flow_id=self.flow_id,
                status=self.status,
                node_id=self.node_id,
                variables=self.variables,
                awaits=self.awaits,
                wake_at=self.wake_at,
                expires=self.expires,
                entered_at=self.entered_at,
                attempts=self.attempts,
                effects=self.effect_number,
                steps=self.steps,
                visits=self.visits,
                jumps=self.jumps,
                error=self.error,
            ),
            tuple(self.effects),
            tuple(self.path),
            tuple(self.missing),
        )

    def _count(self, node_id: str) -> None:
        place = f"{len(self.jumps)}/{node_id}"
        self.steps, self.entered = self.steps + 1, self.entered + 1
        self.visits[place] = self.visits.get(place, 0) + 1
        if self.steps > MOST_STEPS:
            raise Breach("The run takes more than {most} steps.", most=MOST_STEPS)
        if self.entered > MOST_WITHOUT_EVENT:
            most = MOST_WITHOUT_EVENT
            raise Breach("The run takes more than {most} steps without a wait.", most=most)
        if self.visits[place] > MOST_VISITS:
            raise Breach("The run comes to this node more than {most} times.", most=MOST_VISITS)

    def _wait(self, awaited: Awaited, wake_at: datetime | None, *, expires: bool = False) -> None:
        self.status, self.awaits, self.wake_at, self.expires = FlowRunStatus.WAITING, awaited, wake_at, expires

    def _end(self, status: FlowRunStatus) -> None:
        self.status, self.awaits, self.wake_at, self.expires = status, None, None, False

    def _close(self, handle: str | None, error: str | None) -> None:
        """Tells by which way the node was left: the last of the path, or the one that waited until now."""
        last = self.path[-1] if self.path else None
        if last is not None and last.node_id == self.node_id and last.left_by is None:
            self.path[-1] = replace(last, left_by=handle, error=error)
        elif last is None and self.node_id is not None and self.entered_at is not None:
            node = self.graph.nodes[self.node_id]
            waited = Passed(self.flow_id, node.node_id, node.kind, self.entered_at, handle, error, is_continued=True)
            self.path.append(waited)
