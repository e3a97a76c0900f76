"""A flow as a graph: read from JSON once, then looked up in constant time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytake_gql.automation.flows.kinds import FlowNodeKind


@dataclass(frozen=True, slots=True)
class Node:
    node_id: str
    kind: FlowNodeKind
    settings: Any
    """A model of `settings`, by kind."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One that can be run: what `problems` finds no error in."""

    start: str
    nodes: Mapping[str, Node]
    ways: Mapping[tuple[str, str], str]
    """(node, way out) to node."""
