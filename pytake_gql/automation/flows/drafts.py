"""What may be kept as a draft: anything that is a graph by its shape and fits the limits. Pure."""

from typing import Any

import orjson

from pytake_gql.automation.flows.graph import (
    LARGEST_SETTINGS,
    LONGEST_ID,
    LONGEST_LABEL,
    MOST_EDGES,
    MOST_NODES,
    is_id,
)
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse

MOST_PROBLEMS = 20
_LARGEST_POSITION = 1024

EMPTY: dict[str, Any] = {
    "nodes": [{"nodeId": "start", "kind": FlowNodeKind.START.value, "label": None, "settings": {}, "position": None}],
    "edges": [],
}
"""What a flow begins with."""


def checked(graph: dict[str, Any], *path: str) -> dict[str, Any]:
    """As it is stored, or a refusal that names the nodes that do not fit."""
    nodes, edges = graph["nodes"], graph["edges"]
    if len(nodes) > MOST_NODES:
        told = {"most": MOST_NODES, "node": str(nodes[MOST_NODES]["nodeId"])[:LONGEST_ID]}
        where = (*path, "nodes", str(MOST_NODES))
        refuse(UserErrorCode.TOO_MANY, "A flow has at most {most} nodes, and {node} is one more.", *where, **told)
    if len(edges) > MOST_EDGES:
        refuse(UserErrorCode.TOO_MANY, "A flow has at most {most} edges.", *path, "edges", most=MOST_EDGES)
    problems = Problems()
    for index, node in enumerate(nodes):
        if len(problems.found) < MOST_PROBLEMS:
            _check_node(node, problems, *path, "nodes", str(index))
    for index, edge in enumerate(edges):
        if len(problems.found) < MOST_PROBLEMS:
            _check_edge(edge, problems, *path, "edges", str(index))
    problems.raise_if_any()
    return graph


def _check_node(node: dict[str, Any], problems: Problems, *path: str) -> None:
    if not is_id(node["nodeId"]):
        longest = LONGEST_ID
        sentence = "A node's id is one line of 1 to {longest} characters."
        problems.add(UserErrorCode.INVALID, sentence, *path, "nodeId", longest=longest)
    if node["label"] is not None and len(node["label"]) > LONGEST_LABEL:
        problems.add(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, "label", longest=LONGEST_LABEL)
    if not isinstance(node["settings"], dict):
        problems.add(UserErrorCode.INVALID, "This is an object of keys and values.", *path, "settings")
    elif len(orjson.dumps(node["settings"])) > LARGEST_SETTINGS:
        kib = LARGEST_SETTINGS // 1024
        problems.add(UserErrorCode.TOO_LONG, "A node's settings have at most {kib} KiB.", *path, "settings", kib=kib)
    if len(orjson.dumps(node["position"])) > _LARGEST_POSITION:
        problems.add(UserErrorCode.TOO_LONG, "A position has at most 1 KiB.", *path, "position")


def _check_edge(edge: dict[str, Any], problems: Problems, *path: str) -> None:
    for end in ("source", "handle", "target"):
        if len(edge[end]) > LONGEST_ID:
            problems.add(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, end, longest=LONGEST_ID)
