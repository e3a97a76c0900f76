"""What clients say about flows."""

from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flows import kinds, simulation
from pytake_gql.automation.flows.rehearsals import NOWHERE, Rehearsal
from pytake_gql.kernel.errors import BadUserInput
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.mutation import present
from pytake_gql.kernel.graphql.types import enum_type, input_type
from pytake_gql.kernel.ids import parse_global_id

enum_type(kinds.FlowNodeKind)

MOST_REPLIES = 500


@input_type
class FlowNodeInput:
    """A node of a graph."""

    node_id: str
    """Unique in its graph, one line of at most 120 characters."""
    kind: kinds.FlowNodeKind
    """What it does."""
    label: str | None = None
    """What editors call it."""
    settings: JSON | None = None
    """An object in the shape that `flowNodeSchema` tells."""
    position: JSON | None = None
    """Where an editor draws it; kept as it is."""

    def stored(self) -> dict[str, Any]:
        return {
            "nodeId": self.node_id,
            "kind": self.kind.value,
            "label": self.label,
            "settings": {} if self.settings is None else self.settings,
            "position": self.position,
        }


@input_type
class FlowEdgeInput:
    """A way from one node to another."""

    source: str
    """The node that it leaves."""
    target: str
    """The node that it leads to."""
    handle: str = "next"
    """Which way out of the source node it is."""


@input_type
class FlowGraphInput:
    """Nodes and the ways between them; FlowGraph has the same shape, so what was read can be sent again."""

    nodes: list[FlowNodeInput]
    """At most 500."""
    edges: list[FlowEdgeInput]
    """At most 2,000."""

    def stored(self) -> dict[str, Any]:
        return {"nodes": [node.stored() for node in self.nodes], "edges": [dict(vars(edge)) for edge in self.edges]}


@input_type
class CreateFlowInput:
    """A new flow."""

    name: str
    """Unique in the organization."""
    description: str | None = None
    """What it is for, at most 1,000 characters."""
    graph: FlowGraphInput | None = None
    """Its draft; without one a START alone."""

    def given(self) -> Changes:
        told: Changes = {"name": self.name, "description": self.description}
        return told if self.graph is None else {**told, "graph": self.graph.stored()}


@input_type
class UpdateFlowInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The flow."""
    name: strawberry.Maybe[str | None]
    """Unique in the organization."""
    description: strawberry.Maybe[str | None]
    """What it is for, at most 1,000 characters."""
    graph: strawberry.Maybe[FlowGraphInput | None]
    """The whole draft from then on; what is published stays as it is."""
    revision: int | None = None
    """Refused as STALE when the flow has moved on."""

    def given(self) -> Changes:
        changes = present(self, "id", "revision")
        if changes.get("graph") is not None:
            changes["graph"] = changes["graph"].stored()
        return changes


@input_type
class PublishFlowInput:
    """The flow whose draft becomes its next version."""

    id: strawberry.ID
    """The flow."""
    revision: int | None = None
    """Refused as STALE when the flow has moved on."""


@input_type
class DeleteFlowInput:
    """The flow to delete."""

    id: strawberry.ID
    """The flow."""


@input_type
class SimulateFlowInput:
    """Runs a flow (its draft, or the graph given) without sending anything.

    Replies are given up front, and waits pass at once.
    """

    flow_id: strawberry.ID | None = None
    """The flow; needed without a graph."""
    graph: FlowGraphInput | None = None
    """Instead of the flow's draft."""
    replies: list[str] | None = None
    """What the contact writes, each when a reply is awaited; at most 500."""
    variables: JSON | None = None
    """What the run begins with: names to texts, numbers, true or false."""
    effects: JSON | None = None
    """By nodeId what an API_CALL or AI_REPLY answers, or "error" for its error way out.

    A node not named answers nothing.
    """
    contact_id: strawberry.ID | None = None
    """Whose values the templates show; without one nothing is known of the contact."""
    at: datetime | None = None
    """The instant it pretends to be; now by default."""

    def read(self, now: datetime) -> Rehearsal:
        """Raises `BadUserInput`."""
        if self.flow_id is None and self.graph is None:
            raise BadUserInput("Name a flowId or give a graph.")
        if len(self.replies or ()) > MOST_REPLIES:
            raise BadUserInput(f"At most {MOST_REPLIES} replies.")
        variables = simulation.as_variables(_object(self.variables, "variables"))
        if variables is None:
            raise BadUserInput("variables: names of letters, digits and underscores to texts, numbers, true or false.")
        return Rehearsal(
            at=self.at or now,
            flow_id=_id("Flow", self.flow_id),
            graph=self.graph.stored() if self.graph else None,
            contact_id=_id("Contact", self.contact_id),
            replies=self.replies or [],
            variables=variables,
            effects=_object(self.effects, "effects"),
        )


def _object(given: Any, name: str) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise BadUserInput(f"{name}: this is an object of keys and values.")
    return given or {}


def _id(type_name: str, text: str | None) -> UUID | None:
    if text is None:
        return None
    parsed = parse_global_id(text)
    return parsed[1] if parsed is not None and parsed[0] == type_name else NOWHERE
