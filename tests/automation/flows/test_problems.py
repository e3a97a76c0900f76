"""Every problem at once, each with its node and a sentence (F6, F7), and hostile graphs."""

import time
from typing import Any
from uuid import UUID

import pytest

from pytake_gql.automation.flows import problems
from pytake_gql.automation.flows.references import Known
from tests.automation.flows.drawing import FLOW, START, edge, flow, node

ID = UUID("0198c7f2-8d5e-7cc1-9f3e-0000000000aa")
OTHER = UUID("0198c7f2-8d5e-7cc1-9f3e-0000000000bb")
MENU = node("m", "MENU", text="?", options=[{"value": "a", "title": "A"}])
SAY = node("a", "MESSAGE", text="Hi")
END = node("end", "END")
NAMED = {"name": "b", "rules": [{"left": "contact.name", "operator": "IS_SET"}]}


def found(stored: Any, known: Known | None = None, flow_id: UUID | None = None) -> list[tuple[str | None, str]]:
    return [(it.node_id, it.message("en")) for it in problems.check(stored, known or Known(), flow_id)]


def errors_of(kind: str, **settings: Any) -> list[str]:
    return [message for _, message in found(flow(node("n", kind, **settings))) if "may be empty" not in message]


def test_f6_a_whole_flow_has_no_problems() -> None:
    assert found(flow(SAY, MENU, END, edges=[edge("start", "a"), edge("a", "m"), edge("m", "end", "a")])) == []


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"nodes": [END], "edges": []}, [(None, "A flow begins with one START.")]),
        (
            {"nodes": [START, {**START, "nodeId": "s2"}], "edges": []},
            [("s2", "A flow has one START, and this is another one.")],
        ),
        (flow(SAY, END, edges=[edge("start", "a")]), [("end", "Nothing leads here.")]),
        (flow(SAY, SAY, edges=[edge("start", "a")]), [("a", "Another node has this id.")]),
        (
            flow(SAY, END, edges=[edge("start", "a"), edge("start", "end")]),
            [("start", "The way out next has more than one edge.")],
        ),
        (flow(SAY, edges=[edge("start", "a"), edge("a", "start", "no")]),
         [("a", "There is no way out that is called no.")]),
        (flow(END, edges=[edge("start", "end"), edge("end", "start")]),
         [("end", "There is no way out that is called next.")]),
        (
            flow(SAY, edges=[edge("start", "a"), edge("a", "gone"), edge("lost", "a", "x")]),
            [
                ("a", "An edge leads to or from gone, which is not there."),
                ("a", "An edge leads to or from lost, which is not there."),
            ],
        ),
        (
            flow(node("j", "JUMP", nodeId="gone")),
            [("j", "nodeId: The node that this leads to is not there.")],
        ),
        (
            flow(node("c", "CONDITION", branches=[NAMED]), edges=[edge("start", "c")]),
            [("c", "A CONDITION needs an edge for its way out default.")],
        ),
        (flow({"nodeId": "x", "kind": "SCRIPT", "settings": {}}),
         [("x", "There is no kind of node that is called SCRIPT.")]),
        (flow({"nodeId": " x", "kind": "END"}, edges=[edge("start", "start", "y")]),
         [(" x", "A node's id is one line of 1 to 120 characters."),
          ("start", "There is no way out that is called y.")]),
    ],
)  # fmt: skip
def test_f6_the_shape_of_a_graph(stored: Any, told: list[tuple[str | None, str]]) -> None:
    assert found(stored) == told


def test_f6_a_circle_needs_a_wait_and_every_path_an_end() -> None:
    round_ = flow(SAY, node("b", "MESSAGE", text="Ho"), edges=[edge("start", "a"), edge("a", "b"), edge("b", "a")])
    assert found(round_) == [
        ("start", "No path from here comes to an END, a HANDOFF or a wait."),
        ("a", "No path from here comes to an END, a HANDOFF or a wait."),
        ("b", "No path from here comes to an END, a HANDOFF or a wait."),
        ("a", "This goes round without a wait for a reply or for time: a → b → a."),
    ]
    waits = flow(SAY, node("b", "WAIT", seconds=1), edges=[edge("start", "a"), edge("a", "b"), edge("b", "a")])
    assert found(waits) == []
    jumps = flow(SAY, node("j", "JUMP", nodeId="a"))
    assert ("a", "This goes round without a wait for a reply or for time: a → j → a.") in found(jumps)
    calls = flow(
        node("a", "API_CALL", method="GET", url="https://example.com"),
        edges=[edge("start", "a"), edge("a", "a", "error")],
    )
    assert found(calls) == [("a", "This goes round without a wait for a reply or for time: a → a.")]


def test_f6_a_variable_is_set_on_every_path_or_warned_about() -> None:
    ask = node("q", "QUESTION", text="?", variable="x", type="TEXT")
    use = node("u", "MESSAGE", text="{{x}} {{contact.name}} {{contact.attributes.Meu Campo}} {{y}}")
    stored = flow(ask, use, edges=[edge("start", "q"), edge("q", "u"), edge("q", "u", "timeout")])
    assert found(stored) == [
        ("u", "Not every path here sets x: it may be empty."),
        ("u", "Not every path here sets y: it may be empty."),
    ]
    assert [it.severity for it in problems.check(stored, Known())] == ["WARNING", "WARNING"]
    assert found(flow(ask, node("u", "MESSAGE", text="{{x}}"))) == []


@pytest.mark.parametrize(
    "name",
    ["contact.__class__.__mro__", "contact.id", "x.y", "7*7", "x|upper", "''.join", "config", "contact.attributes."],
)
def test_f7_a_template_that_reaches_for_attributes_is_refused(name: str) -> None:
    told = found(flow(node("n", "MESSAGE", text=f"Hi {{{{ {name} }}}}")))
    expected = (
        "Not every path here sets config: it may be empty."
        if name == "config"
        else f"There is no value that is called {name}."
    )
    assert told == [("n", expected)]


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)b", "(", "((a{1000}){1000}){1000}", "a" * 201])
def test_f6_a_regex_is_bounded_or_refused(pattern: str) -> None:
    sentence = (
        "A regular expression of at most 200 characters, without backreferences and lookarounds, "
        "that takes bounded time."
    )
    told = errors_of("QUESTION", text="?", variable="x", type="TEXT", pattern=pattern)
    assert told == [f"pattern: {sentence}"]
    rule = {"left": "contact.name", "operator": "MATCHES", "right": pattern}
    branches = [{"name": "b", "rules": [rule]}]
    told = found(
        flow(node("c", "CONDITION", branches=branches), END, edges=[edge("start", "c"), edge("c", "end", "default")])
    )
    assert told == [("c", f"branches.0.rules.0: {sentence}")]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/x", "https://10.0.0.1", "http://[::1]/", "http://169.254.169.254/latest",
        "http://192.168.0.1:8080", "http://[::ffff:10.0.0.1]/", "http://100.64.0.1/", "http://0x7f000001/", "http://2130706433/",
        "http://db.internal/", "http://printer.local", "ftp://example.com", "https://user:pw@example.com/", "https://{{host}}/",
        "https://example.{{tld}}/", "//example.com", "javascript:alert(1)", "https://", "https://a b.com/",
        "http://shop/", "http://127.1/", "https://example.com:0/",
    ],
)  # fmt: skip
def test_f6_urls_are_public(url: str) -> None:
    told = errors_of("API_CALL", method="GET", url=url)
    assert len(told) == 1, told
    assert told[0].startswith("url: An address begins with http:// or https:// and names a public host")
    assert errors_of("MESSAGE", attachmentUrl=url)[0].startswith("attachmentUrl: An address begins with https://")


@pytest.mark.parametrize(
    "url", ["https://api.example.com/a?b={{x}}&c={{contact.name}}", "http://8.8.8.8:8080/x", "https://açaí.com.br/"]
)
def test_public_urls_pass(url: str) -> None:
    assert errors_of("API_CALL", method="GET", url=url) == []


REFERENCES = [
    ("Queue", "HANDOFF", "queueId", {}),
    ("Department", "HANDOFF", "departmentId", {}),
    ("Member", "HANDOFF", "memberId", {}),
    ("Queue", "OPENING_HOURS", "queueId", {}),
    ("Tag", "UPDATE_CONTACT", "addTagIds", {}),
    ("Tag", "UPDATE_CONTACT", "removeTagIds", {}),
    ("MessageTemplate", "MESSAGE", "templateId", {}),
]


@pytest.mark.parametrize(("type_name", "kind", "setting", "more"), REFERENCES)
def test_f6_what_is_named_is_there(type_name: str, kind: str, setting: str, more: dict[str, Any]) -> None:
    id_: Any = f"{type_name}_{ID.hex}"
    named = [id_] if setting.endswith("s") else id_
    stored = flow(node("n", kind, **{setting: named}, **more), edges=[edge("start", "n")])
    assert found(stored) == [("n", f"{setting}: Nothing was found by this id.")]
    assert found(stored, Known({type_name: frozenset({ID})})) == []
    wrong = flow(
        node("n", kind, **{setting: ["x"] if setting.endswith("s") else f"Flow_{ID.hex}"}), edges=[edge("start", "n")]
    )
    assert [message.rpartition(": ")[2] for _, message in found(wrong)] == ["Nothing was found by this id."]


def test_f6_a_flow_that_calls_itself_is_refused() -> None:
    stored = flow(node("j", "JUMP", flowId=f"Flow_{FLOW.hex}"))
    assert found(stored, Known({"Flow": frozenset({FLOW})}), FLOW) == [
        ("j", "flowId: A flow does not call itself: name a node of it.")
    ]
    assert found(stored, Known({"Flow": frozenset({FLOW})}), OTHER) == []
    assert found(stored) == [("j", "flowId: The flow that this leads to is not published.")]


def test_flows_that_lead_back_through_others_are_warned_about() -> None:
    known = Known({"Flow": frozenset({ID})}, {ID: frozenset({OTHER}), OTHER: frozenset({FLOW})})
    stored = flow(node("j", "JUMP", flowId=f"Flow_{ID.hex}"))
    assert found(stored, known, FLOW) == [
        ("j", "flowId: This flow leads back here, and a run jumps through at most 8 flows.")
    ]
    assert not problems.check(stored, known, FLOW).has_errors


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        ("MESSAGE", {}, ["A message is a text, a file, or instead of both a template."]),
        ("MESSAGE", {"text": " "}, ["text: This is required."]),
        ("MESSAGE", {"text": "a" * 4097}, ["text: At most 4096 characters."]),
        ("MESSAGE", {"text": 1}, ["text: A text."]),
        ("MESSAGE", {"text": "a", "txt": "b"}, ["txt: There is no such setting."]),
        ("MENU", {"text": "?", "options": []}, ["options: At least 1 of these."]),
        ("MENU", {"text": "?", "options": [{"value": "a", "title": "A"}, {"value": "A", "title": "B"}]},
         ["Each of these is named once."]),
        ("MENU", {"text": "?", "options": [{"value": "timeout", "title": "A"}]},
         ["options.0.value: A name of a way out is one line, and none of: next, error, invalid, timeout, default."]),
        ("MENU", {"text": "?", "options": [{"value": "a", "title": "A"}], "attempts": 0}, ["attempts: At least 1."]),
        ("QUESTION", {"text": "?", "variable": "x", "type": "COLOUR"},
         ["type: One of 'TEXT', 'NUMBER', 'EMAIL', 'PHONE', 'DATE' or 'CHOICE'."]),
        ("QUESTION", {"text": "?", "variable": "x", "type": "CHOICE"}, ["A CHOICE has choices, and nothing else has."]),
        ("QUESTION", {"text": "?", "variable": "x-y", "type": "TEXT"},
         [("variable: A variable has letters, digits and underscores, does not begin with a digit, "
          "and has at most 60 characters.")]),
        ("CONDITION", {"branches": [{"name": "b", "rules": [{"left": "x", "operator": "EQUALS"}]}]},
         ["branches.0.rules.0: IS_SET and IS_EMPTY have no right side, and all others have."]),
        ("CONDITION", {"branches": [{"name": "b", "rules": [{"left": "x", "operator": "EQUALS", "right": [1]}]}]},
         ["branches.0.rules.0: Only IN takes a list."]),
        ("RANDOM", {"branches": [{"name": "b", "weight": 0}]}, ["branches.0.weight: More than 0."]),
        ("SET_VARIABLE", {"variable": "x"}, ["value: This is required."]),
        ("SET_VARIABLE", {"variable": "x", "value": [1]}, ["value: A text, a number, true or false."]),
        ("UPDATE_CONTACT", {"attributes": []}, ["attributes: This is an object of keys and values."]),
        ("UPDATE_CONTACT", {"optOut": "yes"}, ["optOut: True or false."]),
        ("WAIT", {"seconds": 10**9}, ["seconds: At most 2592000."]),
        ("WAIT", {"seconds": 1.5}, ["seconds: A whole number."]),
        ("API_CALL", {"method": "TRACE", "url": "https://example.com"},
         ["method: One of 'GET', 'POST', 'PUT', 'PATCH' or 'DELETE'."]),
        ("API_CALL", {"method": "GET", "url": "https://example.com", "timeoutSeconds": 11},
         ["timeoutSeconds: At most 10."]),
        ("API_CALL", {"method": "GET", "url": "https://example.com", "save": {"x": "a/b"}},
         ["save.x: A JSON pointer such as /order/status."]),
        ("API_CALL", {"method": "GET", "url": "https://example.com", "headers": {"Host": "x"}},
         [("headers.Host: A header's name has letters, digits and hyphens, "
          "and is none that the request sets by itself.")]),
        ("API_CALL", {"method": "GET", "url": "https://example.com", "headers": {"X": "a\nb"}},
         ["headers.X: One line."]),
        ("JUMP", {}, ["A jump leads to a node or to a flow."]),
        ("HANDOFF", {"queueId": f"Queue_{ID.hex}", "memberId": f"Member_{ID.hex}"},
         ["A handoff leads to a queue, a department or a member."]),
        ("END", {"text": ["a"]}, ["text: A text."]),
        ("START", {"x": 1}, ["x: There is no such setting."]),
    ],
)  # fmt: skip
def test_settings_are_checked_by_kind(kind: str, settings: dict[str, Any], told: list[str]) -> None:
    stored = flow({"nodeId": "n", "kind": kind, "settings": settings})
    assert [message for node_id, message in found(stored) if node_id == "n"] == told


@pytest.mark.parametrize("settings", [[], "x", 1, [[]] * 10, {"text": {"a": {"b": []}}}])
def test_settings_that_are_no_object_are_refused(settings: Any) -> None:
    assert [node_id for node_id, _ in found(flow({"nodeId": "n", "kind": "MESSAGE", "settings": settings}))] == ["n"]


def test_a_graph_of_10000_nodes_is_refused_by_the_node_that_is_one_too_many() -> None:
    nodes = [START, *(node(f"n{index}", "MESSAGE", text="Hi") for index in range(10_000))]
    began = time.process_time()
    assert found({"nodes": nodes, "edges": []}) == [("n499", "A flow has at most 500 nodes, and this is one more.")]
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    "stored", [None, [], "x", {}, {"nodes": {}, "edges": []}, {"nodes": []}, {"nodes": [], "edges": 1}]
)
def test_what_is_no_graph_is_refused(stored: Any) -> None:
    assert found(stored) == [(None, "A flow is an object with the lists nodes and edges.")]


def test_a_node_larger_than_64_kib_and_edges_without_ends_are_refused() -> None:
    large = node("n", "API_CALL", method="POST", url="https://example.com", body="x" * 65_536)
    assert found(flow(large)) == [("n", "A node's settings have at most 64 KiB.")]
    broken = {"nodes": [START], "edges": [{"source": "start"}, 1, {"source": 1, "target": "start"}]}
    assert found(broken) == [(None, "An edge has a source, a target and a handle.")]
    many = {"nodes": [START], "edges": [edge("start", "start")] * 2_001}
    assert found(many) == [(None, "A flow has at most 2000 edges.")]


def test_a_large_dense_graph_is_checked_in_a_blink() -> None:
    """500 nodes, each used by the next ones: the analyses stay far from quadratic."""
    options = [{"value": str(index), "title": str(index)} for index in range(4)]
    nodes = [node(f"n{i}", "MENU", text=f"{{{{v{i}}}}}", variable=f"v{i}", options=options) for i in range(499)]
    edges = [edge("start", "n0")]
    edges += [edge(f"n{i}", f"n{(i * 7 + o * 31 + 1) % 499}", str(o)) for i in range(499) for o in range(4)]
    began = time.process_time()
    problems.check(flow(*nodes, edges=edges[:2000]), Known())
    assert time.process_time() - began < 0.5
