"""The engine of flows: one pure function, total and deterministic (F1)."""

from collections.abc import Mapping
from uuid import UUID

from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.run import Happening, RunState, Step, Surroundings


def step(graphs: Mapping[UUID, Graph], state: RunState, happening: Happening, surroundings: Surroundings) -> Step:
    """What becomes of a run when this happens.

    `graphs` holds, by flow, the graph of the version that the run has pinned: of its own flow, and of each that a
    JUMP may lead to.
    """
    raise NotImplementedError
