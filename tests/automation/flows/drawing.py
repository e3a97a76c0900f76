"""Small flows, written short."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pytake_gql.automation.flows import engine, graph
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.run import Effect, Happening, RunState, Say, Started, Step, Surroundings

FLOW = UUID("0198c7f2-8d5e-7cc1-9f3e-1b2a3c4d5e6f")
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
START = {"nodeId": "start", "kind": "START", "settings": {}}


def node(node_id: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"nodeId": node_id, "kind": kind, "settings": settings}


def edge(source: str, target: str, handle: str = "next") -> dict[str, str]:
    return {"source": source, "target": target, "handle": handle}


def flow(*nodes: dict[str, Any], edges: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """START leads to the first node; each of these to the one behind it by `next`, unless edges are given."""
    chain = [START, *nodes]
    drawn = list(edges) or [
        edge(one["nodeId"], other["nodeId"])
        for one, other in itertools.pairwise(chain)
        if one["kind"] not in {"END", "HANDOFF", "JUMP"}
    ]
    return {"nodes": chain, "edges": drawn}


def parsed(*nodes: dict[str, Any], edges: Sequence[dict[str, str]] = ()) -> Graph:
    return graph.parse(flow(*nodes, edges=edges))


def around(**given: Any) -> Surroundings:
    return Surroundings(**{"now": NOW, "locale": "en", **given})


def play(
    of: Graph,
    *happenings: Happening,
    variables: dict[str, Any] | None = None,
    graphs: dict[UUID, Graph] | None = None,
    **given: Any,
) -> Step:
    """The step of the last happening; every state goes through JSON on the way."""
    known, state = {FLOW: of, **(graphs or {})}, RunState.begin(FLOW, variables)
    step = engine.step(known, state, Started(), around(**given))
    for happening in happenings:
        state = RunState.from_json(step.state.to_json())
        assert state == step.state
        step = engine.step(known, state, happening, around(**given))
    return step


def said(effects: Sequence[Effect]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, Say)]


def ways(step: Step) -> list[tuple[str, str | None]]:
    return [(passed.node_id, passed.left_by) for passed in step.path]
