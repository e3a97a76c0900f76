"""What a flow names of its organization: queues, members, tags, templates, other flows (F6). Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.graph import Drawing, Node
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.walk import MOST_JUMPS

_SETTINGS: Mapping[FlowNodeKind, Mapping[str, str]] = MappingProxyType(
    {
        FlowNodeKind.MESSAGE: {"template_id": "MessageTemplate"},
        FlowNodeKind.OPENING_HOURS: {"queue_id": "Queue"},
        FlowNodeKind.UPDATE_CONTACT: {"add_tag_ids": "Tag", "remove_tag_ids": "Tag"},
        FlowNodeKind.JUMP: {"flow_id": "Flow"},
        FlowNodeKind.HANDOFF: {"queue_id": "Queue", "department_id": "Department", "member_id": "Member"},
    }
)
"""By kind, which setting names what."""
_OUTSIDE = {
    "template_id": "templateId",
    "queue_id": "queueId",
    "add_tag_ids": "addTagIds",
    "remove_tag_ids": "removeTagIds",
    "flow_id": "flowId",
    "department_id": "departmentId",
    "member_id": "memberId",
}


@dataclass(frozen=True, slots=True)
class Reference:
    node_id: str
    setting: str
    type_name: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Known:
    """What there is of what flows name, by type; of flows those that are published and not deleted."""

    ids: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    leads: Mapping[UUID, frozenset[UUID]] = field(default_factory=dict)
    """Published flows to the flows that they jump to."""


def named_in(drawing: Drawing) -> Iterator[Reference]:
    for node in drawing.nodes.values():
        for setting, type_name in _SETTINGS.get(node.kind, {}).items():
            for id_ in _ids(node, setting):
                yield Reference(node.node_id, _OUTSIDE[setting], type_name, id_)


def check(drawing: Drawing, known: Known, flow_id: UUID | None, findings: Findings) -> None:
    """`flow_id` is the flow's own, where it has one already."""
    for reference in named_in(drawing):
        path = (reference.setting,)
        if reference.type_name == "Flow":
            _check_flow(reference, known, flow_id, findings)
        elif reference.id not in known.ids.get(reference.type_name, ()):
            findings.blame(reference.node_id, "Nothing was found by this id.", *path)


def _check_flow(reference: Reference, known: Known, flow_id: UUID | None, findings: Findings) -> None:
    if reference.id == flow_id:
        findings.blame(reference.node_id, "A flow does not call itself: name a node of it.", reference.setting)
    elif reference.id not in known.ids.get("Flow", ()):
        findings.blame(reference.node_id, "The flow that this leads to is not published.", reference.setting)
    elif flow_id is not None and _leads_to(reference.id, flow_id, known.leads):
        findings.warn(
            reference.node_id,
            "This flow leads back here, and a run jumps through at most {most} flows.",
            reference.setting,
            most=MOST_JUMPS,
        )


def _leads_to(start: UUID, goal: UUID, leads: Mapping[UUID, frozenset[UUID]]) -> bool:
    seen, ahead = {start}, [start]
    while ahead:
        for target in leads.get(ahead.pop(), ()):
            if target == goal:
                return True
            if target not in seen:
                seen.add(target)
                ahead.append(target)
    return False


def _ids(node: Node, setting: str) -> tuple[UUID, ...]:
    found = getattr(node.settings, setting)
    if found is None:
        return ()
    return found if isinstance(found, tuple) else (found,)
