"""Conversations and messages, through the door."""

import asyncio
from typing import Any

import pytest

from pytake_gql.desk.conversations import service
from pytake_gql.desk.conversations.timeline import typing_topic
from pytake_gql.kernel.bus import Wake
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import ConversationScope, Role
from tests.client import Client
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory

PULL = """mutation ($input: PullNextConversationInput!) { pullNextConversation(input: $input) {
    conversation { id status assignee { id } } emptyReason userErrors { code field } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    message { id seq status isNote text direction author { name } idempotencyKey } userErrors { code field } } }"""
CLOSE = """mutation ($input: CloseConversationInput!) { closeConversation(input: $input) {
    conversation { id status closedAt lastMessage { text isNote } } userErrors { code field } } }"""
REOPEN = """mutation ($input: ReopenConversationInput!) { reopenConversation(input: $input) {
    conversation { status assignee { id } } userErrors { code field } } }"""
TIMELINE = """query ($id: ID!) { conversation(id: $id) { lastSeq timeline(first: 100) { totalCount nodes {
    __typename seq ... on ConversationStatusChanged { status } ... on ConversationAssigned { reason assignee { id } }
    ... on MessageAdded { message { text } } } } } }"""
READ = """query ($id: ID!) { conversation(id: $id) { status unreadCount number contact { name } channel { id }
    queue { id } department { id } assignee { id } lastMessage { text } replyWindow { isOpen closesAt }
    messages { totalCount nodes { seq text direction authorKind status } } } }"""
WRITE = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
    message { seq text status isFromVisitor } chat { status } userErrors { code field } } }"""


async def pull(client: Client, **input_: Any) -> Any:
    return (await client.ask(PULL, input=input_))["conversation"]


async def test_d1_a_conversation_waits_is_pulled_answered_closed_and_reopened(desk: Desk) -> None:
    visitor = await desk.visitor()
    said = await visitor.ask(WRITE, input={"text": "Bom dia"})
    assert said == {
        "message": {"seq": 2, "text": "Bom dia", "status": "RECEIVED", "isFromVisitor": True},
        "chat": {"status": "QUEUED"},
        "userErrors": [],
    }
    agent_id = global_id("Member", desk.agent_member.id)
    taken = await pull(desk.agent)
    assert (taken["status"], taken["assignee"]) == ("ACTIVE", {"id": agent_id})
    id_ = taken["id"]
    sent = await desk.agent.ask(SEND, input={"conversationId": id_, "text": "Pois não?"})
    assert sent["message"]["status"] == "QUEUED"
    assert sent["message"]["author"] == {"name": "Ana Agent"}
    closed = await desk.agent.ask(CLOSE, input={"id": id_, "note": "Resolvido"})
    assert closed["conversation"]["status"] == "CLOSED"
    assert closed["conversation"]["lastMessage"] == {"text": "Resolvido", "isNote": True}
    again = await desk.agent.ask(REOPEN, input={"id": id_})
    assert again["conversation"] == {"status": "ACTIVE", "assignee": {"id": agent_id}}
    timeline = (await desk.agent.ask(TIMELINE, id=id_))["timeline"]["nodes"]
    assert timeline == [
        {"__typename": "ConversationStatusChanged", "seq": 1, "status": "QUEUED"},
        {"__typename": "MessageAdded", "seq": 2, "message": {"text": "Bom dia"}},
        {"__typename": "ConversationAssigned", "seq": 3, "reason": "PULL", "assignee": {"id": agent_id}},
        {"__typename": "MessageAdded", "seq": 4, "message": {"text": "Pois não?"}},
        {"__typename": "ConversationStatusChanged", "seq": 5, "status": "CLOSED"},
        {"__typename": "MessageAdded", "seq": 6, "message": {"text": "Resolvido"}},
        {"__typename": "ConversationAssigned", "seq": 7, "reason": "REOPENED", "assignee": {"id": agent_id}},
    ]


async def test_a_conversation_is_read_whole(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel, text="Quanto custa?")
    answer = await desk.agent.ask(READ, id=conversation_id(row.id))
    assert answer == {
        "status": "QUEUED",
        "unreadCount": 1,
        "number": 1,
        "contact": {"name": None},
        "channel": {"id": global_id("Channel", desk.channel.id)},
        "queue": {"id": global_id("Queue", desk.queue.id)},
        "department": {"id": global_id("Department", desk.queue.department_id)},
        "assignee": None,
        "lastMessage": {"text": "Quanto custa?"},
        "replyWindow": {"isOpen": True, "closesAt": None},
        "messages": {
            "totalCount": 1,
            "nodes": [
                {
                    "seq": 2,
                    "text": "Quanto custa?",
                    "direction": "INBOUND",
                    "authorKind": "CONTACT",
                    "status": "RECEIVED",
                }
            ],
        },
    }


async def test_d1_what_the_table_does_not_have_is_wrong_state_and_changes_nothing(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    id_ = conversation_id(row.id)
    await desk.agent.ask(CLOSE, input={"id": id_})
    before = await desk.agent.ask(TIMELINE, id=id_)
    again = await desk.agent.ask(CLOSE, input={"id": id_})
    sent = await desk.agent.ask(SEND, input={"conversationId": id_, "text": "Oi?"})
    assert (again["conversation"], again["userErrors"][0]["code"]) == (None, "WRONG_STATE")
    assert sent == {"message": None, "userErrors": [{"code": "WRONG_STATE", "field": ["conversationId"]}]}
    await desk.agent.ask(REOPEN, input={"id": id_})
    twice = await desk.agent.ask(REOPEN, input={"id": id_})
    assert twice["userErrors"][0]["code"] == "WRONG_STATE"
    assert (await desk.agent.ask(TIMELINE, id=id_))["lastSeq"] == before["lastSeq"] + 1


async def test_d2_d26_twenty_parallel_deliveries_make_one_message_and_one_conversation(desk: Desk) -> None:
    visitor = await desk.visitor()
    answers = await asyncio.gather(
        *(visitor.ask(WRITE, input={"text": "Oi", "idempotencyKey": "k"}) for _ in range(20))
    )
    assert {answer["message"]["seq"] for answer in answers} == {2}
    listed = await desk.agent.ask("{ conversations { totalCount nodes { lastSeq messages { totalCount } } } }")
    assert listed == {"totalCount": 1, "nodes": [{"lastSeq": 2, "messages": {"totalCount": 1}}]}


async def test_d2_parallel_messages_of_one_contact_share_a_conversation_without_gaps(desk: Desk) -> None:
    visitor = await desk.visitor()
    await asyncio.gather(*(visitor.ask(WRITE, input={"text": f"{n}"}) for n in range(15)))
    listed = await desk.agent.ask("{ conversations { nodes { lastSeq messages(first: 50) { nodes { seq } } } } }")
    assert [node["lastSeq"] for node in listed["nodes"]] == [16]
    assert [message["seq"] for message in listed["nodes"][0]["messages"]["nodes"]] == list(range(2, 17))


async def test_d3_a_contact_reopens_within_the_hours_of_the_queue_and_begins_anew_later(desk: Desk, clock: Any) -> None:
    visitor = await desk.visitor()
    await visitor.ask(WRITE, input={"text": "Oi"})
    taken = await pull(desk.agent)
    await desk.agent.ask(CLOSE, input={"id": taken["id"]})
    clock.advance(hours=71)
    await desk.make.seen(desk.agent_member)
    fresh = Client(desk.http, (await desk.make.signed_in(desk.agent_member)).token)
    again = await visitor.ask(WRITE, input={"text": "Outra coisa"})
    assert (again["userErrors"], again["chat"]) == ([], {"status": "ACTIVE"})
    await fresh.ask(CLOSE, input={"id": taken["id"]})
    clock.advance(hours=73)
    fresh = Client(desk.http, (await desk.make.signed_in(desk.agent_member)).token)
    assert (await visitor.ask(WRITE, input={"text": "De novo"}))["chat"]["status"] == "QUEUED"
    listed = await fresh.ask("{ conversations(orderBy: OLDEST_ACTIVITY) { nodes { number status } } }")
    assert listed["nodes"] == [{"number": 1, "status": "CLOSED"}, {"number": 2, "status": "QUEUED"}]


async def test_g5_the_same_key_makes_one_message_and_another_body_is_a_conflict(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    input_ = {"conversationId": conversation_id(row.id), "text": "Olá", "idempotencyKey": "a"}
    first, second = await desk.agent.ask(SEND, input=input_), await desk.agent.ask(SEND, input=input_)
    assert first == second
    assert first["message"]["idempotencyKey"] == "a"
    other = await desk.agent.ask(SEND, input={**input_, "text": "Outra"})
    assert other == {"message": None, "userErrors": [{"code": "CONFLICT", "field": ["idempotencyKey"]}]}
    read = await desk.admin.ask(
        "query ($id: ID!) { conversation(id: $id) { messages { nodes { text idempotencyKey } } } }",
        id=conversation_id(row.id),
    )
    assert read["messages"]["nodes"] == [
        {"text": "Olá", "idempotencyKey": None},
        {"text": "Olá", "idempotencyKey": None},
    ]


async def test_a_message_is_stale_when_the_contact_wrote_since(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    input_ = {"conversationId": conversation_id(row.id), "text": "Olá", "expectedLastSeq": 1}
    answer = await desk.agent.ask(SEND, input=input_)
    assert answer == {"message": None, "userErrors": [{"code": "STALE", "field": ["expectedLastSeq"]}]}
    answer = await desk.agent.ask(SEND, input={**input_, "expectedLastSeq": 2})
    assert answer["userErrors"] == []


async def test_a_message_is_stale_when_a_colleague_answered_since_but_not_when_the_author_did(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    input_ = {"conversationId": conversation_id(row.id), "text": "Olá", "expectedLastSeq": 2}
    assert (await desk.agent.ask(SEND, input={**input_, "idempotencyKey": "k"}))["userErrors"] == []
    assert (await desk.agent.ask(SEND, input=input_))["userErrors"] == []
    late = await desk.admin.ask(SEND, input=input_)
    assert late == {"message": None, "userErrors": [{"code": "STALE", "field": ["expectedLastSeq"]}]}
    again = await desk.agent.ask(SEND, input={**input_, "idempotencyKey": "k"})
    assert again["userErrors"] == []
    assert (await desk.agent.ask(TIMELINE, id=conversation_id(row.id)))["lastSeq"] == 4


@pytest.mark.parametrize(
    ("input_", "code", "field"),
    [
        ({"text": ""}, "REQUIRED", ["text"]),
        ({"text": " \n"}, "REQUIRED", ["text"]),
        ({"text": "é" * 32769}, "TOO_LONG", ["text"]),
        ({"text": "a\0"}, "INVALID", ["text"]),
        ({"text": "a", "replyToId": "Message_nonsense"}, "NOT_FOUND", ["replyToId"]),
        ({"text": "a", "idempotencyKey": ""}, "INVALID", ["idempotencyKey"]),
    ],
)
async def test_d29_bad_messages_are_refused_and_nothing_is_stored(
    desk: Desk, input_: dict[str, Any], code: str, field: list[str]
) -> None:
    row = await desk.make.conversation(desk.channel)
    answer = await desk.agent.ask(SEND, input={"conversationId": conversation_id(row.id), **input_})
    assert answer == {"message": None, "userErrors": [{"code": code, "field": field}]}
    assert (await desk.agent.ask(TIMELINE, id=conversation_id(row.id)))["lastSeq"] == 2


async def test_notes_are_for_members_only(desk: Desk) -> None:
    visitor = await desk.visitor()
    await visitor.ask(WRITE, input={"text": "Oi"})
    taken = await pull(desk.agent)
    note = await desk.agent.ask(SEND, input={"conversationId": taken["id"], "text": "VIP", "isNote": True})
    assert (note["message"]["status"], note["message"]["isNote"]) == ("SENT", True)
    chat = await visitor.ask("{ visitorChat { messages { totalCount nodes { text } } } }")
    assert chat["messages"] == {"totalCount": 1, "nodes": [{"text": "Oi"}]}


async def test_reading_counts_for_the_assignee_only(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    mark = """mutation ($input: MarkConversationReadInput!) { markConversationRead(input: $input) {
        conversation { unreadCount } userErrors { code field } } }"""
    input_ = {"id": conversation_id(row.id), "seq": 2}
    assert (await desk.agent.ask(mark, input=input_))["conversation"] == {"unreadCount": 1}
    await pull(desk.agent)
    assert (await desk.agent.ask(mark, input=input_))["conversation"] == {"unreadCount": 0}
    beyond = await desk.agent.ask(mark, input={**input_, "seq": 99})
    assert beyond == {"conversation": None, "userErrors": [{"code": "INVALID", "field": ["seq"]}]}


async def test_unread_messages_are_those_of_the_contact_since_the_assignee_read(desk: Desk) -> None:
    mark = """mutation ($input: MarkConversationReadInput!) { markConversationRead(input: $input) {
        conversation { unreadCount lastSeq } userErrors { code } } }"""
    visitor = await desk.visitor()
    for text in ("Oi", "Alguém?"):
        await visitor.ask(WRITE, input={"text": text})
    taken = await pull(desk.agent)
    input_ = {"id": taken["id"], "seq": 2}
    assert (await desk.agent.ask(mark, input=input_))["conversation"] == {"unreadCount": 1, "lastSeq": 5}
    # An earlier mark takes nothing back, and what members say does not count.
    assert (await desk.agent.ask(mark, input={**input_, "seq": 1}))["conversation"] == {"unreadCount": 1, "lastSeq": 5}
    await desk.agent.ask(SEND, input={"conversationId": taken["id"], "text": "Pois não?"})
    assert (await desk.admin.ask(mark, input={**input_, "seq": 6}))["conversation"] == {"unreadCount": 1, "lastSeq": 6}
    assert (await desk.agent.ask(mark, input={**input_, "seq": 6}))["conversation"] == {"unreadCount": 0, "lastSeq": 7}
    await visitor.ask(WRITE, input={"text": "Obrigada"})
    assert (await desk.admin.ask(READ, id=taken["id"]))["unreadCount"] == 1
    below = await desk.agent.ask(mark, input={**input_, "seq": -1})
    assert (below["conversation"], below["userErrors"]) == (None, [{"code": "INVALID"}])


async def test_typing_is_told_by_who_may_see_the_conversation_and_waits_for_nobody(desk: Desk) -> None:
    row, theirs = await desk.make.conversation(desk.channel), await desk.make.channel(desk.organization)
    hidden = await desk.make.conversation(theirs)
    typing = """mutation ($input: SetTypingInput!) { setTyping(input: $input) { userErrors { code field } } }"""
    ports, topic = desk.make.ports, typing_topic(row.id)
    async with ports.bus.subscribe(topic, typing_topic(hidden.id)) as wakes:
        async with ports.units.of_system(desk.organization.id) as uow:
            await service.get(uow, row.id)  # somebody writes in it
            told = await desk.agent.ask(typing, input={"conversationId": conversation_id(row.id), "isTyping": True})
        assert told == {"userErrors": []}
        assert await wakes.next(5) == Wake(topic, f"MEMBER:{desk.agent_member.id.hex}:1")
        for id_ in (conversation_id(hidden.id), f"Conversation_{'0' * 32}", "nonsense"):
            told = await desk.agent.ask(typing, input={"conversationId": id_, "isTyping": True})
            assert told == {"userErrors": [{"code": "NOT_FOUND", "field": ["conversationId"]}]}
        assert wakes.drain() == []


async def test_d21_scope_holds_in_lists_counts_and_single_reads(desk: Desk) -> None:
    ours = await desk.make.conversation(desk.channel)
    other_queue = await desk.make.queue(desk.organization)
    other_channel = await desk.make.channel(desk.organization, queue_id=other_queue.id)
    theirs = await desk.make.conversation(other_channel)
    _, own = await desk.colleague(conversation_scope=ConversationScope.OWN)
    _, viewer = await desk.colleague(Role.VIEWER, serves=False)
    seen = "{ conversations { totalCount nodes { id } } }"
    both = {conversation_id(ours.id), conversation_id(theirs.id)}
    expected = {desk.admin: both, viewer: both, desk.agent: {conversation_id(ours.id)}, own: set()}
    for client, ids in expected.items():
        listed = await client.ask(seen)
        assert {node["id"] for node in listed["nodes"]} == ids
        assert listed["totalCount"] == len(ids)
        single = await client.ask("query ($id: ID!) { conversation(id: $id) { id } }", id=conversation_id(theirs.id))
        assert (single is not None) == (conversation_id(theirs.id) in ids)
    hidden = await desk.agent.ask(CLOSE, input={"id": conversation_id(theirs.id)})
    assert hidden == {"conversation": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
    taken = await pull(own)
    assert taken["id"] == conversation_id(ours.id)
    assert (await own.ask(seen))["totalCount"] == 1


async def test_conversations_are_filtered_and_paged(desk: Desk) -> None:
    rows = [await desk.make.conversation(desk.channel, text=f"pedido {n}") for n in range(5)]
    ids = [conversation_id(row.id) for row in rows]
    page = """query ($first: Int, $after: String, $filter: ConversationFilter, $orderBy: ConversationOrder!) {
        conversations(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
            nodes { id } pageInfo { hasNextPage endCursor } } }"""
    got: list[str] = []
    after = None
    while True:
        answer = await desk.agent.ask(page, first=2, after=after, orderBy="OLDEST_ACTIVITY")
        got += [node["id"] for node in answer["nodes"]]
        after = answer["pageInfo"]["endCursor"]
        if not answer["pageInfo"]["hasNextPage"]:
            break
    assert got == ids
    found = await desk.agent.ask(page, filter={"search": "PEDIDO 3"}, orderBy="NEWEST_ACTIVITY")
    assert [node["id"] for node in found["nodes"]] == [ids[3]]
    await pull(desk.agent)
    for filter_, expected in (
        ({"status": ["ACTIVE"]}, ids[:1]),
        ({"isUnassigned": True}, ids[1:]),
        ({"isUnassigned": False, "assigneeIds": [global_id("Member", desk.agent_member.id)]}, ids[:1]),
        ({"queueIds": [global_id("Queue", desk.queue.id)], "departmentIds": ["Department_x"]}, []),
        ({"departmentIds": [global_id("Department", desk.queue.department_id)]}, ids),
        ({"contactId": global_id("Contact", rows[2].contact_id)}, ids[2:3]),
        ({"priority": ["URGENT"]}, []),
        ({"search": "#4"}, ids[3:4]),
    ):
        found = await desk.agent.ask(page, filter=filter_, orderBy="OLDEST_ACTIVITY")
        assert sorted(node["id"] for node in found["nodes"]) == expected, filter_
    assert await desk.agent.code(page, after="nonsense", orderBy="OLDEST_ACTIVITY") == "BAD_USER_INPUT"
    assert await desk.agent.code(page, first=101, orderBy="OLDEST_ACTIVITY") == "BAD_USER_INPUT"


async def test_a_viewer_writes_nothing(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    _, viewer = await desk.colleague(Role.VIEWER)
    assert await viewer.code(SEND, input={"conversationId": conversation_id(row.id), "text": "Oi"}) == "FORBIDDEN"
    assert await viewer.code(PULL, input={}) == "FORBIDDEN"


async def test_g1_another_organizations_conversation_is_not_there(desk: Desk, make: Factory) -> None:
    theirs = await open_desk(make, desk.http)
    row = await make.conversation(theirs.channel)
    for document, input_ in (
        (SEND, {"conversationId": conversation_id(row.id), "text": "Oi"}),
        (CLOSE, {"id": conversation_id(row.id)}),
        (REOPEN, {"id": conversation_id(row.id)}),
    ):
        answer = await desk.admin.ask(document, input=input_)
        assert [error["code"] for error in answer["userErrors"]] == ["NOT_FOUND"]
    assert await desk.admin.ask("query ($id: ID!) { node(id: $id) { id } }", id=conversation_id(row.id)) is None
    assert (await theirs.agent.ask(TIMELINE, id=conversation_id(row.id)))["lastSeq"] == 2
