"""Flows through the door: as each role, and as strangers."""

import asyncio
from typing import Any

import pytest
from sqlmodel import col, select

from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.desk.channels.models import Channel
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.principal import Role
from tests.automation.flows.drawing import START, edge, flow, node
from tests.client import Client
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory

GRAPH = "nodes { nodeId kind label settings position } edges { source target handle }"
FLOW = f"id name description revision draft {{ {GRAPH} }} problems {{ nodeId severity message }} published {{ number }}"
ERRORS = "userErrors { code message field }"
CREATE = f"mutation ($input: CreateFlowInput!) {{ createFlow(input: $input) {{ flow {{ {FLOW} }} {ERRORS} }} }}"
UPDATE = f"mutation ($input: UpdateFlowInput!) {{ updateFlow(input: $input) {{ flow {{ {FLOW} }} {ERRORS} }} }}"
PUBLISH = f"""mutation ($input: PublishFlowInput!) {{ publishFlow(input: $input) {{
    flow {{ {FLOW} }} problems {{ nodeId severity message }} {ERRORS} }} }}"""
DELETE = f"mutation ($input: DeleteFlowInput!) {{ deleteFlow(input: $input) {{ flow {{ id }} {ERRORS} }} }}"
ONE = f"query ($id: ID!) {{ flow(id: $id) {{ {FLOW} }} }}"
LIST = """query ($search: String, $first: Int, $after: String) { flows(search: $search, first: $first, after: $after) {
    nodes { name } edges { cursor node { name } } pageInfo { hasNextPage endCursor } totalCount } }"""
VERSIONS = f"""query ($id: ID!, $first: Int, $number: Int!) {{ flow(id: $id) {{
    versions(first: $first) {{ nodes {{ number publishedBy {{ name }} }} pageInfo {{ hasNextPage }} totalCount }}
    version(number: $number) {{ number graph {{ {GRAPH} }} }} }} }}"""
VALIDATE = "query ($graph: FlowGraphInput!) { validateFlow(graph: $graph) { nodeId severity message } }"
SIMULATE = """query ($input: SimulateFlowInput!) { simulateFlow(input: $input) {
    status transcript { direction nodeId text } steps { nodeId kind enteredAt leftBy error } variables
    problems { nodeId severity message } } }"""

HELLO = flow(node("hi", "MESSAGE", text="Hi"))
BROKEN = {"nodes": [START, node("hi", "MESSAGE", text="Hi"), node("lost", "END")], "edges": [edge("start", "hi")]}
LOST = {"nodeId": "lost", "severity": "ERROR", "message": "Nothing leads here."}


async def made(client: Client, name: str = "Greeting", graph: Any = HELLO) -> dict[str, Any]:
    answer = await client.ask(CREATE, input={"name": name, "graph": graph})
    assert answer["userErrors"] == []
    created: dict[str, Any] = answer["flow"]
    return created


def errors(answer: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    assert answer["flow"] is None
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


async def audited(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        entries = select(AuditEntry).where(AuditEntry.entity_type == "Flow").order_by(col(AuditEntry.id))
        return [(entry.action, entry.changes) for entry in (await session.execute(entries)).scalars()]


async def test_a_flow_is_made_changed_published_and_deleted(desk: Desk) -> None:
    empty = (await desk.admin.ask(CREATE, input={"name": " Greeting "}))["flow"]
    assert (empty["name"], empty["description"], empty["revision"], empty["published"]) == ("Greeting", None, 1, None)
    start = {"nodeId": "start", "kind": "START", "label": None, "settings": {}, "position": None}
    assert (empty["draft"], empty["problems"]) == ({"nodes": [start], "edges": []}, [])
    id_ = empty["id"]
    drawn = {"nodes": [{**START, "position": {"x": 1}, "label": "Here"}], "edges": []}
    saved = await desk.admin.ask(UPDATE, input={"id": id_, "graph": drawn, "description": "Says hi", "revision": 1})
    assert (saved["flow"]["revision"], saved["flow"]["description"]) == (2, "Says hi")
    assert saved["flow"]["draft"]["nodes"] == [{**start, "position": {"x": 1}, "label": "Here"}]
    named = await desk.admin.ask(UPDATE, input={"id": id_, "name": "Hello"})
    assert (named["flow"]["revision"], named["flow"]["name"]) == (2, "Hello")
    first = await desk.admin.ask(PUBLISH, input={"id": id_, "revision": 2})
    assert (first["flow"]["published"], first["problems"], first["userErrors"]) == ({"number": 1}, [], [])
    assert await desk.agent.ask(ONE, id=id_) == first["flow"]
    assert await desk.admin.ask(DELETE, input={"id": id_}) == {"flow": {"id": id_}, "userErrors": []}
    assert await desk.agent.ask(ONE, id=id_) is None
    assert (await desk.agent.ask(LIST))["nodes"] == []
    for document in (UPDATE, PUBLISH, DELETE):
        assert errors(await desk.admin.ask(document, input={"id": id_})) == [("NOT_FOUND", ["id"])]
    assert await audited(desk) == [
        ("flow.created", {"name": {"from": None, "to": "Greeting"}}),
        ("flow.updated", {"description": {"from": None, "to": "Says hi"}, "revision": {"from": 1, "to": 2}}),
        ("flow.updated", {"name": {"from": "Greeting", "to": "Hello"}}),
        ("flow.published", {"published_number": {"from": None, "to": 1}}),
        ("flow.deleted", {"name": {"from": "Hello", "to": None}}),
    ]
    await made(desk.admin, "Hello")


async def test_f5_a_published_version_never_changes(desk: Desk) -> None:
    id_ = (await made(desk.admin))["id"]
    await desk.admin.ask(PUBLISH, input={"id": id_})
    other = flow(node("ho", "MESSAGE", text="Ho"))
    await desk.admin.ask(UPDATE, input={"id": id_, "graph": other})
    assert (await desk.agent.ask(ONE, id=id_))["published"] == {"number": 1}
    seen = await desk.agent.ask(VERSIONS, id=id_, number=1)
    assert [it["nodeId"] for it in seen["version"]["graph"]["nodes"]] == ["start", "hi"]
    await desk.admin.ask(PUBLISH, input={"id": id_})
    seen = await desk.agent.ask(VERSIONS, id=id_, number=2, first=1)
    assert [it["nodeId"] for it in seen["version"]["graph"]["nodes"]] == ["start", "ho"]
    assert [it["number"] for it in seen["versions"]["nodes"]] == [2]
    assert (seen["versions"]["pageInfo"], seen["versions"]["totalCount"]) == ({"hasNextPage": True}, 2)
    assert seen["versions"]["nodes"][0]["publishedBy"]["name"]
    assert (await desk.agent.ask(VERSIONS, id=id_, number=3))["version"] is None
    assert (await desk.agent.ask(VERSIONS, id=id_, number=1))["version"]["number"] == 1


async def test_f6_what_has_errors_is_not_published_and_all_are_told(desk: Desk) -> None:
    told = await made(desk.admin, graph=BROKEN)
    assert told["problems"] == [LOST]
    answer = await desk.admin.ask(PUBLISH, input={"id": told["id"]})
    assert errors(answer) == [("INVALID", None)]
    assert answer["problems"] == [LOST]
    after = await desk.agent.ask(ONE, id=told["id"])
    assert after == told
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert (await session.execute(select(FlowVersion.id))).all() == []
    assert await desk.agent.ask(VALIDATE, graph=BROKEN) == [LOST]
    portuguese = Client(desk.http, desk.agent.token, locale="pt-BR")
    assert await portuguese.ask(VALIDATE, graph=BROKEN) == [{**LOST, "message": "Nada leva até aqui."}]


async def test_f6_warnings_are_published_and_told(desk: Desk) -> None:
    id_ = (await made(desk.admin, graph=flow(node("hi", "MESSAGE", text="Hi {{x}}"))))["id"]
    answer = await desk.admin.ask(PUBLISH, input={"id": id_})
    assert answer["flow"]["published"] == {"number": 1}
    assert [(it["nodeId"], it["severity"]) for it in answer["problems"]] == [("hi", "WARNING")]


async def test_a_lost_update_is_stale(desk: Desk) -> None:
    id_ = (await made(desk.admin))["id"]
    await desk.admin.ask(UPDATE, input={"id": id_, "graph": BROKEN, "revision": 1})
    before = await desk.admin.ask(ONE, id=id_)
    for document in (UPDATE, PUBLISH):
        answer = await desk.admin.ask(document, input={"id": id_, "revision": 1})
        assert errors(answer) == [("STALE", ["revision"])]
    assert await desk.admin.ask(ONE, id=id_) == before


async def test_of_two_who_save_at_once_one_is_stale(desk: Desk) -> None:
    id_ = (await made(desk.admin))["id"]
    given = {"id": id_, "revision": 1, "graph": HELLO}
    answers = await asyncio.gather(*(desk.admin.ask(UPDATE, input=given) for _ in range(4)))
    assert sorted(len(answer["userErrors"]) for answer in answers) == [0, 1, 1, 1]
    assert (await desk.admin.ask(ONE, id=id_))["revision"] == 2


def drawn(*, edges: Any = (), **changes: Any) -> dict[str, Any]:
    return {"name": "x", "graph": {"nodes": [{**START, **changes}], "edges": list(edges)}}


AT_START = ["graph", "nodes", "0"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": " "}, [("REQUIRED", ["name"])]),
        ({"name": "a" * 121}, [("TOO_LONG", ["name"])]),
        ({"name": "greeting"}, [("TAKEN", ["name"])]),
        ({"name": "x", "description": "a" * 1001}, [("TOO_LONG", ["description"])]),
        (drawn(nodeId=""), [("INVALID", [*AT_START, "nodeId"])]),
        (drawn(settings=[]), [("INVALID", [*AT_START, "settings"])]),
        ({**drawn(label="a" * 201), "name": ""}, [("REQUIRED", ["name"]), ("TOO_LONG", [*AT_START, "label"])]),
        (drawn(position="a" * 1025), [("TOO_LONG", [*AT_START, "position"])]),
        (drawn(settings={"a": "a" * 65_536}), [("TOO_LONG", [*AT_START, "settings"])]),
        (drawn(edges=[edge("a" * 121, "b")]), [("TOO_LONG", ["graph", "edges", "0", "source"])]),
        ({"name": "x", "graph": {"nodes": [START] * 501, "edges": []}}, [("TOO_MANY", ["graph", "nodes", "500"])]),
        (drawn(edges=[edge("a", "b")] * 2001), [("TOO_MANY", ["graph", "edges"])]),
        (drawn(settings={"a": "\0"}), [("INVALID", [*AT_START, "settings", "a"])]),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused(desk: Desk, given: dict[str, Any], told: list[Any]) -> None:
    await made(desk.admin)
    answer = await desk.admin.ask(CREATE, input=given)
    assert errors(answer) == told
    assert (await desk.admin.ask(LIST))["totalCount"] == 1


async def test_a_graph_of_a_thousand_nodes_is_refused_by_the_node_that_is_one_too_many(desk: Desk) -> None:
    """As large as the door lets in; 10,000 nodes do not fit into a request's 256 kB."""
    nodes = [node(f"n{index}", "END") for index in range(10_000)]
    assert await desk.admin.code(VALIDATE, graph={"nodes": nodes, "edges": []}) == "BAD_USER_INPUT"
    graph = {"nodes": nodes[:1_000], "edges": []}
    answer = await desk.admin.ask(CREATE, input={"name": "x", "graph": graph})
    sentence, where = "A flow has at most 500 nodes, and n500 is one more.", ["graph", "nodes", "500"]
    assert answer["userErrors"] == [{"code": "TOO_MANY", "message": sentence, "field": where}]
    one_more = {"nodeId": "n500", "severity": "ERROR", "message": "A flow has at most 500 nodes, and this is one more."}
    assert await desk.admin.ask(VALIDATE, graph=graph) == [one_more]
    simulated = await desk.admin.ask(SIMULATE, input={"graph": graph})
    assert (simulated["status"], simulated["problems"], simulated["transcript"]) == ("FAILED", [one_more], [])


async def test_an_unknown_kind_is_no_input(desk: Desk) -> None:
    graph = {"nodes": [node("evil", "SCRIPT")], "edges": []}
    assert await desk.admin.code(VALIDATE, graph=graph) == "BAD_USER_INPUT"


@pytest.mark.parametrize("role", [Role.AGENT, Role.VIEWER])
async def test_only_org_admins_change_flows(desk: Desk, role: Role) -> None:
    id_ = (await made(desk.admin))["id"]
    _, other = await desk.colleague(role)
    for document, input_ in (
        (CREATE, {"name": "x"}),
        (UPDATE, {"id": id_, "name": "x"}),
        (PUBLISH, {"id": id_}),
        (DELETE, {"id": id_}),
    ):
        assert await other.code(document, input=input_) == "FORBIDDEN"
    assert (await other.ask(ONE, id=id_))["name"] == "Greeting"


async def test_headers_of_api_calls_are_shown_to_admins_only(desk: Desk) -> None:
    call = node("api", "API_CALL", method="GET", url="https://example.com", headers={"Authorization": "Bearer s3cret"})
    id_ = (await made(desk.admin, graph=flow(call)))["id"]
    await desk.admin.ask(PUBLISH, input={"id": id_})
    shown = [
        (await client.ask(VERSIONS, id=id_, number=1))["version"]["graph"]["nodes"][1]["settings"]["headers"]
        for client in (desk.admin, desk.agent)
    ]
    assert shown == [{"Authorization": "Bearer s3cret"}, {"Authorization": "•••"}]
    assert "s3cret" not in str(await desk.agent.ask(ONE, id=id_))


async def test_flows_are_listed_the_newest_first_and_found_by_words(desk: Desk) -> None:
    for name in ("One", "Two", "Three"):
        await made(desk.admin, name)
    await desk.admin.ask(UPDATE, input={"id": (await made(desk.admin, "Four"))["id"], "description": "like ONE_"})
    page = await desk.agent.ask(LIST, first=2)
    assert [it["name"] for it in page["nodes"]] == ["Four", "Three"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (4, True)
    rest = await desk.agent.ask(LIST, first=2, after=page["pageInfo"]["endCursor"])
    assert [it["node"]["name"] for it in rest["edges"]] == ["Two", "One"]
    assert [it["name"] for it in (await desk.agent.ask(LIST, search="one"))["nodes"]] == ["Four", "One"]
    assert [it["name"] for it in (await desk.agent.ask(LIST, search="one_"))["nodes"]] == ["Four"]


async def test_a_flow_in_use_is_not_deleted(desk: Desk) -> None:
    id_ = (await made(desk.admin))["id"]
    await desk.admin.ask(PUBLISH, input={"id": id_})
    caller = await made(desk.admin, "Caller", flow(node("j", "JUMP", flowId=id_)))
    await desk.admin.ask(DELETE, input={"id": (await made(desk.admin, "Unused"))["id"]})
    await desk.admin.ask(PUBLISH, input={"id": caller["id"]})
    answer = await desk.admin.ask(DELETE, input={"id": id_})
    assert errors(answer) == [("WRONG_STATE", ["id"])]
    assert answer["userErrors"][0]["message"] == "The flow Caller jumps to it: change that first."
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        channel = await uow.session.get_one(Channel, (desk.organization.id, desk.channel.id))
        channel.flow_id = id_of(caller["id"])
    answer = await desk.admin.ask(DELETE, input={"id": caller["id"]})
    assert (
        answer["userErrors"][0]["message"]
        == f"It greets on the channel {desk.channel.name}: give that another one first."
    )
    assert (await desk.admin.ask(LIST))["totalCount"] == 2


async def test_f6_a_jump_leads_to_published_flows_of_this_organization(desk: Desk, make: Factory, http: Any) -> None:
    stranger = await open_desk(make, http)
    theirs = (await made(stranger.admin))["id"]
    await stranger.admin.ask(PUBLISH, input={"id": theirs})
    own = (await made(desk.admin))["id"]
    told = {"nodeId": "j", "severity": "ERROR", "message": "flowId: The flow that this leads to is not published."}
    for id_ in (theirs, own):
        assert await desk.admin.ask(VALIDATE, graph=flow(node("j", "JUMP", flowId=id_))) == [told]
    await desk.admin.ask(PUBLISH, input={"id": own})
    assert await desk.admin.ask(VALIDATE, graph=flow(node("j", "JUMP", flowId=own))) == []
    selfish = await desk.admin.ask(UPDATE, input={"id": own, "graph": flow(node("j", "JUMP", flowId=own))})
    assert [it["message"] for it in selfish["flow"]["problems"]] == [
        "flowId: A flow does not call itself: name a node of it."
    ]
    assert errors(await desk.admin.ask(PUBLISH, input={"id": own})) == [("INVALID", None)]


async def test_f6_queues_tags_and_members_of_this_organization(desk: Desk, make: Factory, http: Any) -> None:
    stranger = await open_desk(make, http)

    def graph(of: Desk) -> dict[str, Any]:
        queue, member = global_id("Queue", of.queue.id), global_id("Member", of.agent_member.id)
        hours = node("hours", "OPENING_HOURS", queueId=queue)
        edges = [edge("start", "hours"), edge("hours", "to", "open"), edge("hours", "to2", "closed")]
        return flow(hours, node("to", "HANDOFF", memberId=member), node("to2", "HANDOFF", queueId=queue), edges=edges)

    assert await desk.admin.ask(VALIDATE, graph=graph(desk)) == []
    found = await desk.admin.ask(VALIDATE, graph=graph(stranger))
    assert [(it["nodeId"], it["message"]) for it in found] == [
        ("hours", "queueId: Nothing was found by this id."),
        ("to", "memberId: Nothing was found by this id."),
        ("to2", "queueId: Nothing was found by this id."),
    ]


async def test_what_was_read_can_be_sent_again(desk: Desk, make: Factory, http: Any) -> None:
    """Export and import: a FlowGraph is a FlowGraphInput."""
    told = await made(desk.admin, graph=BROKEN)
    stranger = await open_desk(make, http)
    copied = await made(stranger.admin, told["name"], told["draft"])
    assert (copied["draft"], copied["problems"]) == (told["draft"], told["problems"])


async def test_flow_node_schema_tells_the_settings(desk: Desk) -> None:
    schema = await desk.agent.ask("{ flowNodeSchema(kind: WAIT) }")
    assert schema["required"] == ["seconds"]
    assert schema["properties"]["seconds"]["maximum"] == 30 * 24 * 3600
    assert schema["additionalProperties"] is False


async def test_f8_a_simulation_knows_contact_hours_and_time(desk: Desk) -> None:
    contact = await desk.make.contact(desk.organization, name="Ana", attributes={"age": 30})
    closed = node("hours", "OPENING_HOURS")
    graph = flow(
        node("hi", "MESSAGE", text="Hi {{contact.name}}, {{contact.attributes.age}}, {{greeting}}{{gone}}"),
        node("w", "WAIT", seconds=86_400),
        closed,
        node("open", "END", text="Open"),
        node("shut", "END", text="Shut"),
        edges=[
            edge("start", "hi"),
            edge("hi", "w"),
            edge("w", "hours"),
            edge("hours", "open", "open"),
            edge("hours", "shut", "closed"),
        ],
    )
    await desk.admin.ask("""mutation { updateOrganization(input: {openingHours: [
        {weekday: MONDAY, opensAt: "08:00", closesAt: "18:00"}]}) { userErrors { message } } }""")
    told = await desk.agent.ask(
        SIMULATE,
        input={
            "graph": graph,
            "contactId": global_id("Contact", contact.id),
            "variables": {"greeting": "olá"},
            "at": "2026-03-08T15:00:00Z",
        },
    )
    assert [line["text"] for line in told["transcript"]] == ["Hi Ana, 30, olá", "Open"]
    assert told["status"] == "COMPLETED"
    assert told["variables"] == {"greeting": "olá"}
    assert [(it["nodeId"], it["kind"], it["enteredAt"], it["leftBy"]) for it in told["steps"]] == [
        ("start", "START", "2026-03-08T15:00:00Z", "next"),
        ("hi", "MESSAGE", "2026-03-08T15:00:00Z", "next"),
        ("w", "WAIT", "2026-03-08T15:00:00Z", "next"),
        ("hours", "OPENING_HOURS", "2026-03-09T15:00:00Z", "open"),
        ("open", "END", "2026-03-09T15:00:00Z", None),
    ]
    assert [(it["nodeId"], it["severity"], it["message"]) for it in told["problems"]] == [
        ("hi", "WARNING", "Not every path here sets greeting: it may be empty."),
        ("hi", "WARNING", "Not every path here sets gone: it may be empty."),
        ("hi", "WARNING", "gone was empty."),
    ]


async def test_f8_a_simulation_jumps_into_published_flows_and_plays_effects(desk: Desk) -> None:
    ask = node("ai", "AI_REPLY", instruction="Be kind.", variable="answer")
    id_ = (await made(desk.admin, graph=flow(ask, node("end", "END", text="Bye"))))["id"]
    await desk.admin.ask(PUBLISH, input={"id": id_})
    call = node("api", "API_CALL", method="GET", url="https://example.com", save={"status": "/s"})
    graph = flow(call, node("say", "MESSAGE", text="{{status}}"), node("j", "JUMP", flowId=id_))
    told = await desk.agent.ask(SIMULATE, input={"graph": graph, "effects": {"api": {"s": "sent"}, "ai": "Sure!"}})
    assert [(line["direction"], line["nodeId"], line["text"]) for line in told["transcript"]] == [
        ("OUTBOUND", "say", "sent"),
        ("OUTBOUND", "ai", "Sure!"),
        ("OUTBOUND", "end", "Bye"),
    ]
    assert (told["status"], told["variables"]) == ("COMPLETED", {"status": "sent", "answer": "Sure!"})
    failed = await desk.agent.ask(SIMULATE, input={"graph": graph, "effects": {"api": "error"}})
    assert (failed["status"], failed["steps"][-1]["leftBy"], failed["steps"][-1]["error"]) == (
        "HANDED_OFF",
        "error",
        "error",
    )
    silent = await desk.agent.ask(SIMULATE, input={"graph": graph})
    assert [line["text"] for line in silent["transcript"]] == ["Bye"]


async def test_f8_a_simulation_of_a_draft_with_replies(desk: Desk) -> None:
    menu = node("m", "MENU", text="?", variable="v", options=[{"value": "a", "title": "One"}])
    id_ = (
        await made(
            desk.admin,
            graph=flow(menu, node("end", "END", text="{{v}}"), edges=[edge("start", "m"), edge("m", "end", "a")]),
        )
    )["id"]
    waiting = await desk.agent.ask(SIMULATE, input={"flowId": id_})
    assert (waiting["status"], waiting["steps"][-1]["leftBy"]) == ("WAITING", None)
    told = await desk.agent.ask(SIMULATE, input={"flowId": id_, "replies": ["nonsense", "1", "never heard"]})
    assert [(line["direction"], line["text"]) for line in told["transcript"]] == [
        ("OUTBOUND", "?"),
        ("INBOUND", "nonsense"),
        ("OUTBOUND", "Desculpe, não entendi. Por favor, escolha uma das opções."),
        ("INBOUND", "1"),
        ("OUTBOUND", "a"),
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "BAD_USER_INPUT"),
        ({"graph": HELLO, "variables": {"a b": 1}}, "BAD_USER_INPUT"),
        ({"graph": HELLO, "variables": {"a": [1]}}, "BAD_USER_INPUT"),
        ({"graph": HELLO, "variables": [1]}, "BAD_USER_INPUT"),
        ({"graph": HELLO, "effects": "error"}, "BAD_USER_INPUT"),
        ({"graph": HELLO, "replies": ["a"] * 501}, "BAD_USER_INPUT"),
    ],
)
async def test_what_cannot_be_simulated(desk: Desk, given: dict[str, Any], code: str) -> None:
    assert await desk.agent.code(SIMULATE, input=given) == code


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"flowId": "Flow_0198c7f28d5e7cc19f3e1b2a3c4d5e6f"}, "flowId"),
        ({"flowId": "nonsense"}, "flowId"),
        ({"flowId": "nonsense", "graph": HELLO}, "flowId"),
        ({"graph": HELLO, "contactId": "Contact_0198c7f28d5e7cc19f3e1b2a3c4d5e6f"}, "contactId"),
    ],
)
async def test_a_simulation_with_an_id_that_leads_nowhere_fails(desk: Desk, given: dict[str, Any], named: str) -> None:
    told = await desk.agent.ask(SIMULATE, input=given)
    problem = {"nodeId": None, "severity": "ERROR", "message": f"{named}: Nothing was found by this id."}
    assert told == {"status": "FAILED", "transcript": [], "steps": [], "variables": {}, "problems": [problem]}


async def test_f4_variables_of_200_kb_fail_the_simulation_at_its_first_node(desk: Desk) -> None:
    told = await desk.agent.ask(SIMULATE, input={"graph": HELLO, "variables": {"x": "a" * 200_000}})
    assert (told["status"], told["transcript"]) == ("FAILED", [])
    assert told["problems"][-1]["message"] == "The run fails here: As variáveis têm mais de 64 KiB."
