"""A visitor's token opens the visitor fields and nothing else: G1, G2. Found by walking the schema."""

from collections.abc import Iterator
from typing import Any

import graphql
import pytest
from sqlmodel import select

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.graphql import node
from pytake_gql.kernel.ids import global_id
from pytake_gql.schema import schema
from tests.client import Client
from tests.desk.desk import Desk
from tests.sockets import Served

WRITE = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
    message { id } chat { id } } }"""
NODE = "query ($id: ID!) { node(id: $id) { __typename } }"
INVITE = """mutation ($input: InviteMemberInput!) { inviteMember(input: $input) {
    invitation { id } userErrors { code } } }"""
NOTE = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }"
SDL = graphql.build_schema(schema.as_str())
VISITORS = {
    "query": {"node", "visitorChat"},
    "mutation": {"prepareUpload", "sendVisitorMessage", "setVisitorTyping", "markVisitorRead", "rateVisit"},
    "subscription": {"visitorUpdates"},
}
SHARED = {"node", "prepareUpload"}
"""Which serve members, too."""
OWN = {"Attachment", "VisitorChat", "VisitorMessage"}


def root(kind: str) -> dict[str, graphql.GraphQLField]:
    type_ = {"query": SDL.query_type, "mutation": SDL.mutation_type, "subscription": SDL.subscription_type}[kind]
    assert type_ is not None
    fields: dict[str, graphql.GraphQLField] = type_.fields
    return fields


def is_public(field: graphql.GraphQLField) -> bool:
    assert field.ast_node is not None
    (rule,) = (directive for directive in field.ast_node.directives or () if directive.name.value == "auth")
    return any(argument.name.value == "public" for argument in rule.arguments or ())


def closed(kind: str) -> Iterator[str]:
    return (name for name, field in root(kind).items() if not is_public(field) and name not in VISITORS[kind])


def literal(type_: graphql.GraphQLInputType) -> str:
    """Any value that the type takes."""
    if isinstance(type_, graphql.GraphQLNonNull):
        return literal(type_.of_type)
    if isinstance(type_, graphql.GraphQLList):
        return f"[{literal(type_.of_type)}]"
    if isinstance(type_, graphql.GraphQLEnumType):
        return str(next(iter(type_.values)))
    if isinstance(type_, graphql.GraphQLInputObjectType):
        needed = [(name, f) for name, f in type_.fields.items() if graphql.is_required_input_field(f)]
        chosen = list(type_.fields.items())[:1] if type_.is_one_of else needed
        return f"{{{', '.join(f'{name}: {literal(f.type)}' for name, f in chosen)}}}"
    values = {"Int": "1", "Float": "1.5", "Boolean": "true", "DateTime": '"2026-01-01T00:00:00Z"', "JSON": "{}"}
    values |= {"Date": '"2026-01-01"', "Time": '"09:00"', "LocalDateTime": '"2026-01-01T09:00:00"', "TimeZone": '"UTC"'}
    return values.get(str(type_), '"x"')


def document(kind: str, name: str) -> str:
    """A valid one that asks for this field alone."""
    field = root(kind)[name]
    needed = [f"{key}: {literal(a.type)}" for key, a in field.args.items() if graphql.is_required_argument(a)]
    arguments = f"({', '.join(needed)})" if needed else ""
    selection = "" if graphql.is_leaf_type(graphql.get_named_type(field.type)) else " { __typename }"
    text = f"{kind} {{ {name}{arguments}{selection} }}"
    assert graphql.validate(SDL, graphql.parse(text)) == []
    return text


@pytest.fixture
async def visitor(desk: Desk) -> Client:
    return await desk.visitor()


@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_g2_every_other_field_is_forbidden_to_a_visitor(visitor: Client, kind: str) -> None:
    names = list(closed(kind))
    assert len(names) >= 10
    for name in names:
        answer = await visitor.post(document(kind, name))
        codes = [error["extensions"]["code"] for error in answer["errors"]]
        assert (name, codes, (answer["data"] or {}).get(name)) == (name, ["FORBIDDEN"], None)


async def test_g2_every_other_subscription_is_forbidden_to_a_visitor(visitor: Client, live: Served) -> None:
    names = list(closed("subscription"))
    assert "conversationEvents" in names
    async with live.socket() as socket:
        await socket.start(visitor.token or "")
        for name in names:
            await socket.subscribe(document("subscription", name), id_=name)
            message = await socket.receive()
            refused = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert (message["id"], [error["extensions"]["code"] for error in refused]) == (name, ["FORBIDDEN"])
            if message["type"] == "next":
                assert await socket.receive() == {"id": name, "type": "complete"}


@pytest.mark.parametrize("kind", ["query", "mutation", "subscription"])
async def test_g2_a_visitors_fields_are_forbidden_to_members_and_strangers(
    desk: Desk, anonymous: Client, kind: str, live: Served
) -> None:
    for name in VISITORS[kind] - SHARED:
        text = document(kind, name)
        if kind != "subscription":
            assert await desk.admin.code(text) == "FORBIDDEN"
            assert await anonymous.code(text) == "UNAUTHENTICATED"
            continue
        async with live.socket() as socket:
            await socket.start(desk.admin.token or "")
            await socket.subscribe(text)
            message = await socket.receive()
            refused = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert [error["extensions"]["code"] for error in refused] == ["FORBIDDEN"]


async def ids(desk: Desk, said: Any) -> dict[str, str]:
    """One of each type, of the visitor's own conversation where there is one."""
    invited = await desk.admin.ask(INVITE, input={"email": "nova@example.com", "name": "Nova", "role": "AGENT"})
    assert invited["userErrors"] == []
    conversation = said["chat"]["id"].replace("VisitorChat", "Conversation")
    contact = await desk.admin.ask("query ($id: ID!) { conversation(id: $id) { contact { id } } }", id=conversation)
    sessions = await desk.admin.ask("{ activeSessions { id } }")
    async with desk.make.ports.database.session(desk.organization.id) as session:
        entry = (await session.execute(select(AuditEntry.id).limit(1))).scalar_one()
    return {
        "ActiveSession": sessions[0]["id"],
        "AuditEntry": global_id("AuditEntry", entry),
        "Channel": global_id("Channel", desk.channel.id),
        "Contact": contact["contact"]["id"],
        "Conversation": conversation,
        "Department": global_id("Department", desk.queue.department_id),
        "Invitation": invited["invitation"]["id"],
        "Member": global_id("Member", desk.agent_member.id),
        "Message": said["message"]["id"].replace("VisitorMessage", "Message"),
        "Organization": global_id("Organization", desk.organization.id),
        "Queue": global_id("Queue", desk.queue.id),
    }


def test_g1_no_type_is_found_by_visitors_but_their_own() -> None:
    interface = SDL.type_map["Node"]
    assert isinstance(interface, graphql.GraphQLInterfaceType)
    assert node._kinds.keys() == {type_.name for type_ in SDL.get_possible_types(interface)}
    assert {name for name, kind in node._kinds.items() if kind.is_for_visitors} == OWN


async def test_g1_a_visitor_finds_nothing_by_id_but_the_own_chat_and_its_messages(desk: Desk, visitor: Client) -> None:
    said = await visitor.ask(WRITE, input={"text": "Oi"})
    others = await ids(desk, said)
    for name, id_ in others.items():
        assert await desk.admin.ask(NODE, id=id_) == {"__typename": name}  # it is there
        assert (name, await visitor.ask(NODE, id=id_)) == (name, None)
    assert await visitor.ask(NODE, id=said["chat"]["id"]) == {"__typename": "VisitorChat"}
    assert await visitor.ask(NODE, id=said["message"]["id"]) == {"__typename": "VisitorMessage"}


async def test_g1_another_visitors_chat_and_a_note_are_not_there(desk: Desk, visitor: Client) -> None:
    said = await visitor.ask(WRITE, input={"text": "Oi"})
    conversation = said["chat"]["id"].replace("VisitorChat", "Conversation")
    input_ = {"conversationId": conversation, "text": "Cuidado", "isNote": True}
    note = (await desk.agent.ask(NOTE, input=input_))["message"]["id"].replace("Message", "VisitorMessage")
    assert await visitor.ask(NODE, id=note) is None
    neighbour = await desk.visitor()
    await neighbour.ask(WRITE, input={"text": "Oi"})
    for id_ in (said["chat"]["id"], said["message"]["id"]):
        assert await neighbour.ask(NODE, id=id_) is None
        assert await desk.admin.ask(NODE, id=id_) is None
