"""A flow as a graph: read from JSON with its limits, then looked up in constant time.

As JSON it has `nodes` and `edges` in the shape of `FlowGraphInput`; a draft may be anything that fits the limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from pytake_gql.automation.flows.faults import blame_settings
from pytake_gql.automation.flows.fields import NEXT, Settings
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.settings import BY_KIND

MOST_NODES = 500
MOST_EDGES = 2_000
LONGEST_ID = 120
LONGEST_LABEL = 200
LARGEST_SETTINGS = 64 * 1024
"""Bytes of one node's settings as JSON."""


class BrokenGraph(Exception):
    """A graph that was published can be read; this one cannot, so it was none."""


@dataclass(frozen=True, slots=True)
class Node:
    node_id: str
    kind: FlowNodeKind
    settings: Any
    """The model of its kind (`settings.BY_KIND`)."""


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    handle: str
    target: str


@dataclass(frozen=True, slots=True)
class Graph:
    """`ways` leads from (node, way out) to a node.

    `calendars` are the queues whose hours are asked for; None is the organization.
    """

    start: str
    nodes: Mapping[str, Node]
    ways: Mapping[tuple[str, str], str]
    calendars: frozenset[UUID | None]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What could be read of a graph that may be broken; `edges` lead between nodes that are there."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge]
    unread: frozenset[str] = frozenset()
    """Nodes that are there and whose settings could not be read."""
    is_whole: bool = True
    """Whether it was read to its end: what is too large, or no graph at all, is not."""

    def graph(self) -> Graph | None:
        """As it can be run, or None: one START, and settings that fit in every node."""
        starts = [node.node_id for node in self.nodes.values() if node.kind is FlowNodeKind.START]
        if len(starts) != 1 or self.unread or not self.is_whole:
            return None
        ways: dict[tuple[str, str], str] = {}
        for edge in self.edges:
            ways.setdefault((edge.source, edge.handle), edge.target)
        asked = (node.settings.queue_id for node in self.nodes.values() if node.kind is FlowNodeKind.OPENING_HOURS)
        return Graph(starts[0], self.nodes, ways, frozenset(asked))


def parse(stored: Any) -> Graph:
    """Of a published version. Raises `BrokenGraph`."""
    findings = Findings()
    graph = draw(stored, findings).graph()
    if graph is None or findings.has_errors:
        raise BrokenGraph("; ".join(finding.message("en") for finding in findings))
    return graph


def draw(stored: Any, findings: Findings) -> Drawing:
    """Reads what can be read, and tells what cannot."""
    nodes, edges = _lists(stored, findings)
    if nodes is None or edges is None:
        return Drawing({}, [], is_whole=False)
    read, unread = dict[str, Node](), set[str]()
    for node_id, given in _named(nodes, findings).items():
        node = _node(node_id, given, findings)
        if node is None:
            unread.add(node_id)
        else:
            read[node_id] = node
    between = [edge for edge in _edges(edges, findings) if _is_between(edge, read.keys() | unread, findings)]
    return Drawing(read, between, frozenset(unread))


def _lists(stored: Any, findings: Findings) -> tuple[list[Any] | None, list[Any] | None]:
    nodes, edges = (stored.get("nodes"), stored.get("edges")) if isinstance(stored, dict) else (None, None)
    if not isinstance(nodes, list) or not isinstance(edges, list):
        findings.blame(None, "A flow is an object with the lists nodes and edges.")
        return None, None
    if len(nodes) > MOST_NODES:
        one_more = nodes[MOST_NODES].get("nodeId") if isinstance(nodes[MOST_NODES], dict) else None
        told = one_more[:LONGEST_ID] if isinstance(one_more, str) else None
        findings.blame(told, "A flow has at most {most} nodes, and this is one more.", most=MOST_NODES)
        return None, None
    if len(edges) > MOST_EDGES:
        findings.blame(None, "A flow has at most {most} edges.", most=MOST_EDGES)
        return None, None
    return nodes, edges


def _named(nodes: Sequence[Any], findings: Findings) -> Mapping[str, Mapping[str, Any]]:
    """Each id once, with what is said about its node."""
    found: dict[str, Mapping[str, Any]] = {}
    for item in nodes:
        node_id = item.get("nodeId") if isinstance(item, dict) else None
        if not isinstance(node_id, str) or not is_id(node_id):
            told = node_id[:LONGEST_ID] if isinstance(node_id, str) else None
            findings.blame(told, "A node's id is one line of 1 to {longest} characters.", longest=LONGEST_ID)
        elif node_id in found:
            findings.blame(node_id, "Another node has this id.")
        else:
            found[node_id] = item
    return found


def _node(node_id: str, given: Mapping[str, Any], findings: Findings) -> Node | None:
    try:
        kind = FlowNodeKind(str(given.get("kind")))
    except ValueError:
        findings.blame(node_id, "There is no kind of node that is called {kind}.", kind=str(given.get("kind"))[:60])
        return None
    settings = _settings(node_id, kind, given.get("settings"), findings)
    return None if settings is None else Node(node_id, kind, settings)


def _settings(node_id: str, kind: FlowNodeKind, given: Any, findings: Findings) -> Settings | None:
    """Read as JSON: what is strict in Python, such as an enum, is a text there."""
    try:
        written = orjson.dumps({} if given is None else given)
        if len(written) <= LARGEST_SETTINGS:
            return BY_KIND[kind].model_validate_json(written)
        findings.blame(node_id, "A node's settings have at most {kib} KiB.", kib=LARGEST_SETTINGS // 1024)
    except ValidationError as error:
        blame_settings(node_id, error, findings)
    except orjson.JSONEncodeError:
        findings.blame(node_id, "This is no JSON.")
    return None


def _edges(given: Sequence[Any], findings: Findings) -> Sequence[Edge]:
    found: list[Edge] = []
    for item in given:
        ends = [item.get("source"), item.get("handle", NEXT), item.get("target")] if isinstance(item, dict) else []
        if len(ends) == len(Edge.__slots__) and all(isinstance(end, str) for end in ends):
            found.append(Edge(*ends))
        else:
            findings.blame(None, "An edge has a source, a target and a handle.")
    return found


def _is_between(edge: Edge, known: set[str], findings: Findings) -> bool:
    for there, missing in ((edge.target, edge.source), (edge.source, edge.target)):
        if missing not in known:
            where = there if there in known else None
            findings.blame(
                where, "An edge leads to or from {missing}, which is not there.", missing=missing[:LONGEST_ID]
            )
            return False
    return True


def is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and text == text.strip()
