"""Random graphs: valid ones end or wait within the limits, broken ones are told about by node, and nothing crashes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pytake_gql.automation.flows import engine, graph, problems, simulation
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.kinds import FlowNodeKind, FlowRunStatus
from pytake_gql.automation.flows.references import Known
from pytake_gql.automation.flows.run import (
    AskAi,
    Awaited,
    CallApi,
    EffectFailed,
    EffectSucceeded,
    HandOff,
    Replied,
    RunState,
    Started,
    TimedOut,
)
from pytake_gql.automation.flows.simulation import Script
from pytake_gql.automation.flows.walk import MOST_STEPS, MOST_VISITS, MOST_WITHOUT_EVENT
from tests.automation.flows.drawing import FLOW, around, edge, node

INTEGERS = st.integers(-(2**63), 2**63 - 1)
KIND_NAMES = frozenset(FlowNodeKind.__members__)
NAMES = st.sampled_from(["x", "y", "contact.name", "contact.attributes.age"])
TEXTS = st.lists(
    st.one_of(NAMES.map(lambda name: f"{{{{{name}}}}}"), st.sampled_from(["Hi ", "?"])), min_size=1, max_size=4
)
TEXT = TEXTS.map("".join)
VARIABLES = st.sampled_from(["x", "y", "z"])
RULES = st.fixed_dictionaries(
    {
        "left": NAMES,
        "operator": st.sampled_from(["EQUALS", "NOT_EQUALS", "CONTAINS", "GREATER", "LESS", "MATCHES"]),
        "right": st.sampled_from(["1", "a+", "ana", "x|y"]),
    }
)
UNKNOWN_KINDS = st.text(max_size=8).filter(lambda it: it not in KIND_NAMES)


def menus(draw: st.DrawFn) -> dict[str, Any]:
    values = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True))
    options = [{"value": value, "title": draw(TEXT)} for value in values]
    return {"text": draw(TEXT), "options": options, "variable": draw(VARIABLES), "attempts": draw(st.integers(1, 3))}


def settings_of(kind: FlowNodeKind, draw: st.DrawFn) -> dict[str, Any]:
    made = {
        FlowNodeKind.MESSAGE: lambda: {"text": draw(TEXT)},
        FlowNodeKind.MENU: lambda: menus(draw),
        FlowNodeKind.QUESTION: lambda: {
            "text": draw(TEXT),
            "variable": draw(VARIABLES),
            "type": draw(st.sampled_from(["TEXT", "NUMBER", "EMAIL", "PHONE", "DATE"])),
            "timeoutSeconds": draw(st.sampled_from([None, 60])),
        },
        FlowNodeKind.CONDITION: lambda: {
            "branches": [{"name": "b", "match": draw(st.sampled_from(["ALL", "ANY"])), "rules": [draw(RULES)]}]
        },
        FlowNodeKind.RANDOM: lambda: {"branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 2.5}]},
        FlowNodeKind.SET_VARIABLE: lambda: {"variable": draw(VARIABLES), "value": draw(st.one_of(TEXT, INTEGERS))},
        FlowNodeKind.UPDATE_CONTACT: lambda: {"name": draw(TEXT), "attributes": {"age": draw(TEXT)}},
        FlowNodeKind.WAIT: lambda: {"seconds": draw(st.integers(1, 100))},
        FlowNodeKind.API_CALL: lambda: {"method": "GET", "url": "https://example.com/{{x}}", "save": {"y": "/a"}},
        FlowNodeKind.AI_REPLY: lambda: {"instruction": draw(TEXT), "variable": draw(VARIABLES)},
    }
    return made.get(kind, dict)()


KINDS = st.sampled_from([kind for kind in FlowNodeKind if kind not in {FlowNodeKind.START, FlowNodeKind.JUMP}])


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Every way leads to any node, or nowhere; a CONDITION's default leads somewhere."""
    kinds = [FlowNodeKind.START, *draw(st.lists(KINDS, min_size=1, max_size=10))]
    nodes = [node(f"n{index}", kind.value, **settings_of(kind, draw)) for index, kind in enumerate(kinds)]
    read = graph.draw({"nodes": nodes, "edges": []}, Findings())
    edges = []
    for index, it in enumerate(read.nodes.values()):
        for handle in it.settings.ways:
            target = draw(st.integers(-2 if handle != "default" else 1, len(nodes) - 1))
            if target > 0 or index == 0:
                edges.append(edge(it.node_id, f"n{max(1, target)}", handle))
    return {"nodes": nodes, "edges": edges}


REPLIES = st.one_of(
    st.sampled_from(["1", "a", "ana@example.com", "11987654321", "2026-03-08", ""]).map(Replied),
    st.just(Replied("", "a")),
    st.text(max_size=20).map(Replied),
)


@settings(max_examples=100, deadline=None)
@given(stored=graphs(), data=st.data())
def test_f4_every_graph_ends_or_waits_within_its_limits(stored: dict[str, Any], data: st.DataObject) -> None:
    """Also one that would not be published: the limits hold on their own."""
    of = graph.draw(stored, Findings()).graph()
    assert of is not None
    state, now = RunState.begin(FLOW), around().now
    step = engine.step({FLOW: of}, state, Started(), around())
    for _ in range(60):
        state = RunState.from_json(step.state.to_json())
        assert state == step.state
        assert len(step.path) <= MOST_WITHOUT_EVENT + 2
        assert state.steps <= MOST_STEPS + 1
        assert all(count <= MOST_VISITS + 1 for count in state.visits.values())
        if state.status is not FlowRunStatus.WAITING:
            break
        assert sum(isinstance(effect, CallApi | AskAi) for effect in step.effects) == (state.awaits is Awaited.EFFECT)
        if state.awaits is Awaited.EFFECT:
            outcomes = st.sampled_from([EffectSucceeded(state.effects, {"a": "b"}), EffectFailed(state.effects, "no")])
            happening: Any = data.draw(outcomes)
        elif state.awaits is Awaited.TIME or data.draw(st.booleans()):
            happening, now = TimedOut(), state.wake_at or now
        else:
            happening = data.draw(REPLIES)
        step = engine.step({FLOW: of}, state, happening, around(now=now))
        assert not step.is_ignored
    else:
        assert state.status is FlowRunStatus.WAITING
    if step.state.status in {FlowRunStatus.FAILED, FlowRunStatus.HANDED_OFF}:
        assert isinstance(step.effects[-1], HandOff)


@settings(max_examples=80, deadline=None)
@given(stored=graphs(), replies=st.lists(st.text(max_size=10), max_size=8))
def test_f8_a_simulation_is_deterministic_and_ends(stored: dict[str, Any], replies: list[str]) -> None:
    of = graph.draw(stored, Findings()).graph()
    assert of is not None
    told = [simulation.simulate({FLOW: of}, RunState.begin(FLOW), Script(replies), around(), Findings()) for _ in "12"]
    assert told[0] == told[1]
    assert told[0].state.awaits in {None, Awaited.REPLY}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def broken(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A whole graph and something wrong with one node of it."""
    stored = draw(graphs())
    nodes, edges = list(stored["nodes"]), list(stored["edges"])
    index = draw(st.integers(1, len(nodes) - 1))
    broken_id = nodes[index]["nodeId"]
    match draw(st.integers(0, 5)):
        case 0:
            nodes[index] = {
                **nodes[index],
                "kind": draw(UNKNOWN_KINDS),
            }
        case 1:
            nodes[index] = {**nodes[index], "settings": {**nodes[index]["settings"], "unknown": draw(JSON)}}
        case 2:
            nodes.append(dict(nodes[index]))
        case 3:
            edges.append(edge(broken_id, draw(st.text(max_size=8)) + "?"))
        case 4:
            edges.append(edge(broken_id, "n1", draw(st.text(max_size=8)) + "?"))
        case _:
            broken_id = "alone"
            nodes.append(node("alone", "MESSAGE", text="{{contact.__class__}}"))
    return {"nodes": nodes, "edges": edges}, broken_id


@settings(max_examples=100, deadline=None)
@given(drawn=broken())
def test_f6_problems_name_the_node_that_is_broken(drawn: tuple[dict[str, Any], str]) -> None:
    stored, broken_id = drawn
    found = problems.check(stored, Known())
    assert found.has_errors
    assert broken_id in {finding.node_id for finding in found}
    for finding in found:
        assert finding.message("en")
        assert finding.message("pt-BR") != finding.message("en")


@settings(max_examples=100, deadline=None)
@given(stored=st.fixed_dictionaries({"nodes": st.lists(st.one_of(JSON, st.fixed_dictionaries(
    {"nodeId": st.text(max_size=4), "kind": st.sampled_from([kind.value for kind in FlowNodeKind]), "settings": JSON}
)), max_size=6), "edges": st.lists(JSON, max_size=4)}))  # fmt: skip
def test_f6_no_json_crashes_the_checks(stored: Any) -> None:
    problems.check(stored, Known())
