"""The ways through a flow: what cannot be reached, what never ends, and what is used before it is known (F6). Pure.

A node whose settings could not be read counts as one that waits and ends: it has its own problem already.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytake_gql.automation.flows import templates
from pytake_gql.automation.flows.deciding import ConditionSettings
from pytake_gql.automation.flows.fields import DEFAULT
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.graph import Drawing, Node
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.rules import Operator

_WAITS = frozenset({FlowNodeKind.MENU, FlowNodeKind.QUESTION, FlowNodeKind.WAIT})
_ENDS = frozenset({FlowNodeKind.END, FlowNodeKind.HANDOFF})
_MOST_NAMED = 10
_WRITTEN_AS_THEY_ARE = {"variable", "pattern", "choices", "save", "method"}
"""Settings that take no placeholders."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What follows each node, by way out; a JUMP to a node is a way, too."""

    drawing: Drawing
    after: Mapping[str, Sequence[tuple[str, str]]]

    @classmethod
    def of(cls, drawing: Drawing) -> "Ways":
        after: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for edge in drawing.edges:
            source = drawing.nodes.get(edge.source)
            if source is None or edge.handle in source.settings.ways:
                after[edge.source].append((edge.handle, edge.target))
        for node in drawing.nodes.values():
            if node.kind is FlowNodeKind.JUMP and node.settings.node_id in drawing.nodes.keys() | drawing.unread:
                after[node.node_id].append(("", node.settings.node_id))
        return cls(drawing, after)

    def of_node(self, node_id: str) -> Sequence[tuple[str, str]]:
        return self.after.get(node_id, ())

    def waits(self, node_id: str) -> bool:
        return node_id in self.drawing.unread or self.drawing.nodes[node_id].kind in _WAITS

    def ends(self, node_id: str) -> bool:
        """Whether a run may end here, or wait; a way out without an edge ends it."""
        if self.waits(node_id):
            return True
        node, led = self.drawing.nodes[node_id], {handle for handle, _ in self.of_node(node_id)}
        if node.kind is FlowNodeKind.JUMP:
            return not led
        return node.kind in _ENDS or any(handle not in led for handle in node.settings.ways)


def check(drawing: Drawing, findings: Findings) -> None:
    ways = Ways.of(drawing)
    _check_edges(drawing, findings)
    starts = [node.node_id for node in drawing.nodes.values() if node.kind is FlowNodeKind.START]
    if not starts and not drawing.unread:
        findings.blame(None, "A flow begins with one START.")
    for node_id in starts[1:]:
        findings.blame(node_id, "A flow has one START, and this is another one.")
    if not starts:
        return
    reached = _reached(ways, starts[0])
    for node_id in (*drawing.nodes, *sorted(drawing.unread)):
        if node_id not in reached and node_id not in starts:
            findings.blame(node_id, "Nothing leads here.")
    _check_ends(ways, reached, findings)
    _check_circles(ways, findings)
    _check_names(ways, starts[0], reached, findings)


def _check_edges(drawing: Drawing, findings: Findings) -> None:
    led: set[tuple[str, str]] = set()
    for edge in drawing.edges:
        node = drawing.nodes.get(edge.source)
        if (edge.source, edge.handle) in led:
            findings.blame(edge.source, "The way out {handle} has more than one edge.", handle=edge.handle[:100])
        elif node is not None and edge.handle not in node.settings.ways:
            findings.blame(edge.source, "There is no way out that is called {handle}.", handle=edge.handle[:100])
        led.add((edge.source, edge.handle))
    for node in drawing.nodes.values():
        if node.kind is FlowNodeKind.CONDITION and (node.node_id, DEFAULT) not in led:
            findings.blame(node.node_id, "A CONDITION needs an edge for its way out default.")
        target = node.settings.node_id if node.kind is FlowNodeKind.JUMP else None
        if target is not None and target not in drawing.nodes.keys() | drawing.unread:
            findings.blame(node.node_id, "The node that this leads to is not there.", "nodeId")


def _reached(ways: Ways, start: str) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        for _, target in ways.of_node(ahead.pop()):
            if target not in reached:
                reached.add(target)
                ahead.append(target)
    return reached


def _check_ends(ways: Ways, reached: set[str], findings: Findings) -> None:
    before: dict[str, list[str]] = defaultdict(list)
    for source, several in ways.after.items():
        for _, target in several:
            before[target].append(source)
    ending = {node_id for node_id in reached if ways.ends(node_id)}
    ahead = list(ending)
    while ahead:
        for source in before[ahead.pop()]:
            if source not in ending:
                ending.add(source)
                ahead.append(source)
    for node_id in ways.drawing.nodes:
        if node_id in reached and node_id not in ending:
            findings.blame(node_id, "No path from here comes to an END, a HANDOFF or a wait.")


def _check_circles(ways: Ways, findings: Findings) -> None:
    for circle in _circles(ways):
        named = " → ".join([*circle[:_MOST_NAMED], *(["…"] if len(circle) > _MOST_NAMED else []), circle[0]])
        findings.blame(circle[0], "This goes round without a wait for a reply or for time: {nodes}.", nodes=named)


def _circles(ways: Ways) -> Iterator[list[str]]:
    """The strongly connected parts of what is left without the nodes that wait (Tarjan's, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    trail: list[str] = []
    on_trail: set[str] = set()
    for root in ways.drawing.nodes:
        if root in order or ways.waits(root):
            continue
        work = [(root, _free(ways, root))]
        order[root] = low[root] = len(order)
        trail.append(root)
        on_trail.add(root)
        while work:
            at, ahead = work[-1]
            target = next(ahead, None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[at])
                if low[at] == order[at]:
                    part = _cut(trail, on_trail, at)
                    if len(part) > 1 or at in [target for _, target in ways.of_node(at)]:
                        yield part
            elif target not in order:
                order[target] = low[target] = len(order)
                trail.append(target)
                on_trail.add(target)
                work.append((target, _free(ways, target)))
            elif target in on_trail:
                low[at] = min(low[at], order[target])


def _free(ways: Ways, node_id: str) -> Iterator[str]:
    return (target for _, target in ways.of_node(node_id) if not ways.waits(target))


def _cut(trail: list[str], on_trail: set[str], at: str) -> list[str]:
    part = trail[trail.index(at) :]
    del trail[-len(part) :]
    on_trail.difference_update(part)
    return part


def _check_names(ways: Ways, start: str, reached: set[str], findings: Findings) -> None:
    known = _known_at(ways, start)
    for node in ways.drawing.nodes.values():
        for name in dict.fromkeys(names_used(node)):
            if not templates.is_known(name):
                findings.blame(node.node_id, "There is no value that is called {name}.", name=name[:100])
            elif node.node_id in reached and templates.is_variable(name) and name not in known[node.node_id]:
                findings.warn(node.node_id, "Not every path here sets {name}: it may be empty.", name=name)


def names_used(node: Node) -> Iterator[str]:
    """The names in its placeholders."""
    if isinstance(node.settings, ConditionSettings):
        for branch in node.settings.branches:
            for rule in branch.rules:
                yield from templates.names(rule.template)
                if rule.operator is not Operator.MATCHES:
                    yield from templates.names(rule.right)
    else:
        yield from templates.names(node.settings.model_dump(exclude=_WRITTEN_AS_THEY_ARE))


def _known_at(ways: Ways, start: str) -> Mapping[str, Collection[str]]:
    """The variables that every path to a node has set; each is a bit while the paths are walked."""
    bits: dict[str, int] = {}
    defined = {
        (node.node_id, handle): _mask(names, bits)
        for node in ways.drawing.nodes.values()
        for handle, names in node.settings.defines.items()
    }
    known = {start: 0}
    ahead = deque([start])
    while ahead:
        at = ahead.popleft()
        for handle, target in ways.of_node(at):
            then = known[at] | defined.get((at, handle), 0)
            before = known.get(target)
            now = then if before is None else before & then
            if now != before:
                known[target] = now
                ahead.append(target)
    return {node_id: [name for name, bit in bits.items() if mask & bit] for node_id, mask in known.items()}


def _mask(names: Sequence[str], bits: dict[str, int]) -> int:
    mask = 0
    for name in names:
        mask |= bits.setdefault(name, 1 << len(bits))
    return mask
