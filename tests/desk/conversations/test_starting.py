"""Conversations that a member begins: D1, D2, D9, D11, G5."""

import asyncio
from typing import Any

import pytest
from sqlmodel import col, select

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.desk.conversations import arrivals, locks, service
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory

START = """mutation ($input: StartConversationInput!) { startConversation(input: $input) {
    conversation { id number status priority subject queue { id } assignee { id } contact { id } unreadCount
        lastMessage { text status authorKind author { id } }
        timeline { nodes { __typename seq ... on ConversationStatusChanged { status }
            ... on ConversationAssigned { reason assignee { id } by { id } } ... on MessageAdded { message { text } }
            ... on ConversationTransferred { reason toQueue { id } } } } }
    userErrors { code field } } }"""
WRITE = """mutation { sendVisitorMessage(input: {text: "Oi"}) { chat { id status } userErrors { code } } }"""
CLOSE = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"


async def known(desk: Desk, **values: Any) -> Contact:
    """A contact who was in the chat before, and has nothing open there."""
    contact = await desk.make.contact(desk.organization, **values)
    identity = ContactIdentity(
        contact_id=contact.id,
        channel_id=desk.channel.id,
        external_id=f"visitor:{contact.id.hex}",
        created_at=contact.created_at,
    )
    await desk.make.save(desk.organization.id, identity)
    return contact


def given(desk: Desk, contact: Contact, **others: Any) -> dict[str, Any]:
    ids = {"contactId": global_id("Contact", contact.id), "channelId": global_id("Channel", desk.channel.id)}
    return {**ids, **others}


async def refused(client: Client, input_: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    answer = await client.ask(START, input=input_)
    assert answer["conversation"] is None
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


async def load(desk: Desk) -> int:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        found = await session.scalar(select(Member.load).where(Member.id == desk.agent_member.id))
    assert found is not None
    return found


async def rows(desk: Desk, model: Any) -> list[Any]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return list((await session.execute(select(model).order_by(col(model.id)))).scalars())


async def test_d1_without_a_queue_it_is_the_callers_own_and_takes_a_slot(desk: Desk) -> None:
    contact, me = await known(desk), global_id("Member", desk.agent_member.id)
    input_ = given(desk, contact, text="Bom dia!", subject=" Pedido 7 ", priority="HIGH")
    answer = await desk.agent.ask(START, input=input_)
    assert answer["userErrors"] == []
    assert answer["conversation"] == {
        "id": answer["conversation"]["id"],
        "number": 1,
        "status": "ACTIVE",
        "priority": "HIGH",
        "subject": "Pedido 7",
        "queue": None,
        "assignee": {"id": me},
        "contact": {"id": global_id("Contact", contact.id)},
        "unreadCount": 0,
        "lastMessage": {"text": "Bom dia!", "status": "QUEUED", "authorKind": "MEMBER", "author": {"id": me}},
        "timeline": {
            "nodes": [
                {
                    "__typename": "ConversationAssigned",
                    "seq": 1,
                    "reason": "MEMBER",
                    "assignee": {"id": me},
                    "by": {"id": me},
                },
                {"__typename": "MessageAdded", "seq": 2, "message": {"text": "Bom dia!"}},
            ]
        },
    }
    assert await load(desk) == 1
    actions = [entry.action for entry in await rows(desk, AuditEntry)]
    assert actions == ["conversation.assigned"]
    assert (await desk.agent.ask(CLOSE, id=answer["conversation"]["id"]))["userErrors"] == []
    assert await load(desk) == 0


async def test_d1_with_a_queue_it_waits_there(desk: Desk) -> None:
    contact, queue = await known(desk), global_id("Queue", desk.queue.id)
    answer = await desk.admin.ask(START, input=given(desk, contact, queueId=queue, priority="URGENT"))
    made = answer["conversation"]
    assert (made["status"], made["queue"], made["assignee"], made["lastMessage"]) == (
        "QUEUED",
        {"id": queue},
        None,
        None,
    )
    assert made["timeline"]["nodes"] == [{"__typename": "ConversationStatusChanged", "seq": 1, "status": "QUEUED"}]
    assert await load(desk) == 0
    waiting = await desk.make.conversation(desk.channel)
    pull = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
    assert (await desk.agent.ask(pull))["conversation"]["id"] == made["id"]  # URGENT comes first
    assert (await desk.agent.ask(pull))["conversation"]["id"] == global_id("Conversation", waiting.id)


async def test_d9_a_full_queue_overflows(desk: Desk, make: Factory) -> None:
    overflow = await make.queue(desk.organization)
    full = await make.queue(desk.organization, max_size=0, overflow_queue_id=overflow.id)
    input_ = given(desk, await known(desk), queueId=global_id("Queue", full.id), text="Oi")
    made = (await desk.admin.ask(START, input=input_))["conversation"]
    assert made["queue"] == {"id": global_id("Queue", overflow.id)}
    assert [node["__typename"] for node in made["timeline"]["nodes"]] == [
        "ConversationStatusChanged",
        "ConversationTransferred",
        "MessageAdded",
    ]


async def test_d2_an_open_one_on_the_channel_is_a_conflict(desk: Desk) -> None:
    contact = await known(desk)
    made = await desk.agent.ask(START, input=given(desk, contact))
    for input_ in (given(desk, contact), given(desk, contact, queueId=global_id("Queue", desk.queue.id), text="Oi")):
        assert await refused(desk.agent, input_) == [("CONFLICT", ["contactId"])]
    assert (len(await rows(desk, Conversation)), await rows(desk, Message), await load(desk)) == (1, [], 1)
    assert (await desk.agent.ask(CLOSE, id=made["conversation"]["id"]))["userErrors"] == []
    again = await desk.agent.ask(START, input=given(desk, contact))
    assert (again["conversation"]["number"], again["userErrors"]) == (2, [])


async def test_d2_of_ten_at_once_one_is_made(desk: Desk) -> None:
    contact, queue = await known(desk), global_id("Queue", desk.queue.id)
    inputs = [given(desk, contact, **({"queueId": queue} if number % 2 else {})) for number in range(10)]
    answers = await asyncio.gather(*(desk.agent.ask(START, input=input_) for input_ in inputs))
    codes = [error["code"] for answer in answers for error in answer["userErrors"]]
    assert codes == ["CONFLICT"] * 9
    (row,) = await rows(desk, Conversation)
    assert await load(desk) == int(row.status == "ACTIVE")


async def test_d11_a_full_agent_begins_none_of_their_own(desk: Desk, make: Factory) -> None:
    member, client = await desk.colleague(capacity=2)
    contacts = [await known(desk) for _ in range(5)]
    answers = await asyncio.gather(*(client.ask(START, input=given(desk, contact)) for contact in contacts))
    codes = [(error["code"], error["field"]) for answer in answers for error in answer["userErrors"]]
    assert codes == [("LIMIT_REACHED", None)] * 3
    assert [row.assignee_id for row in await rows(desk, Conversation)] == [member.id] * 2
    boss = await make.signed_in(await make.member(desk.organization, Role.SUPER_ADMIN))
    super_admin = Client(desk.http, boss.token)
    assert await refused(super_admin, given(desk, await known(desk))) == [("REQUIRED", ["queueId"])]


async def test_g5_the_same_key_starts_one_conversation(desk: Desk) -> None:
    contact = await known(desk)
    input_ = given(desk, contact, text="Oi", idempotencyKey="k")
    answers = await asyncio.gather(*(desk.agent.ask(START, input=input_) for _ in range(5)))
    assert {answer["conversation"]["id"] for answer in answers} == {answers[0]["conversation"]["id"]}
    assert [error for answer in answers for error in answer["userErrors"]] == []
    assert [message.text for message in await rows(desk, Message)] == ["Oi"]
    assert await refused(desk.agent, {**input_, "text": "Olá"}) == [("CONFLICT", ["idempotencyKey"])]
    assert await load(desk) == 1


@pytest.mark.parametrize(
    ("others", "code", "field"),
    [
        ({"text": "é" * 32769}, "TOO_LONG", ["text"]),
        ({"text": "a\0"}, "INVALID", ["text"]),
        ({"subject": "x" * 251}, "TOO_LONG", ["subject"]),
        ({"subject": "a\nb"}, "INVALID", ["subject"]),
        ({"contactId": f"Contact_{'0' * 32}"}, "NOT_FOUND", ["contactId"]),
        ({"channelId": "nonsense"}, "NOT_FOUND", ["channelId"]),
        ({"queueId": f"Queue_{'0' * 32}"}, "NOT_FOUND", ["queueId"]),
        ({"idempotencyKey": ""}, "INVALID", ["idempotencyKey"]),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_begun(
    desk: Desk, others: dict[str, Any], code: str, field: list[str]
) -> None:
    assert await refused(desk.agent, given(desk, await known(desk), **others)) == [(code, field)]
    assert (await rows(desk, Conversation), await rows(desk, Message), await load(desk)) == ([], [], 0)


async def test_who_cannot_be_reached_is_refused(desk: Desk, make: Factory) -> None:
    stranger, blocked = await make.contact(desk.organization), await known(desk, is_blocked=True)
    assert await refused(desk.agent, given(desk, blocked)) == [("FORBIDDEN", ["contactId"])]
    assert await refused(desk.agent, given(desk, stranger)) == [("INVALID", ["channelId"])]
    phone = await make.channel(desk.organization, kind=ChannelKind.WHATSAPP)
    elsewhere = given(desk, await known(desk), channelId=global_id("Channel", phone.id))
    assert await refused(desk.agent, elsewhere) == [("INVALID", ["channelId"])]
    idle = await make.queue(desk.organization, is_active=False)
    closed = given(desk, await known(desk), queueId=global_id("Queue", idle.id))
    assert await refused(desk.agent, closed) == [("WRONG_STATE", ["queueId"])]
    assert (await rows(desk, Conversation), await load(desk)) == ([], 0)


async def test_the_visitor_sees_it_and_answers_in_it(desk: Desk) -> None:
    visitor = await desk.make.visitor(desk.channel)
    client = Client(desk.http, visitor.token)
    first = (await client.ask(WRITE))["chat"]["id"].replace("VisitorChat", "Conversation")
    assert (await desk.agent.ask(CLOSE, id=first))["userErrors"] == []
    (contact,) = await rows(desk, Contact)
    made = await desk.agent.ask(START, input=given(desk, contact, text="Seu pedido chegou"))
    chat = await client.ask("{ visitorChat { id status agentName messages { nodes { text } } } }")
    assert chat == {
        "id": made["conversation"]["id"].replace("Conversation", "VisitorChat"),
        "status": "ACTIVE",
        "agentName": "Ana Agent",
        "messages": {"nodes": [{"text": "Seu pedido chegou"}]},
    }
    assert (await client.ask(WRITE))["chat"] == {"id": chat["id"], "status": "ACTIVE"}


async def test_d2_a_start_and_a_message_at_once_make_one_conversation(desk: Desk) -> None:
    """Also where the contact's message reopens a closed one while the member begins another."""
    _, client = await desk.colleague(Role.ORG_ADMIN, capacity=50)
    for _ in range(4):
        visitor = Client(desk.http, (await desk.make.visitor(desk.channel)).token)
        first = (await visitor.ask(WRITE))["chat"]["id"].replace("VisitorChat", "Conversation")
        assert (await desk.admin.ask(CLOSE, id=first))["userErrors"] == []
        contact = (await rows(desk, Contact))[-1]
        started, written = await asyncio.gather(client.ask(START, input=given(desk, contact)), visitor.ask(WRITE))
        assert written["userErrors"] == []
        both = [row for row in await rows(desk, Conversation) if row.contact_id == contact.id]
        is_open = [row.status != "CLOSED" for row in both]
        codes = [error["code"] for error in started["userErrors"]]
        # Either the message reopened the first and the start was refused, or it went into the one that was begun.
        assert (is_open, codes) in (([True], ["CONFLICT"]), ([False, True], []))


async def test_d2_a_reopening_waits_for_who_begins_another(desk: Desk) -> None:
    contact = await known(desk)
    made = (await desk.agent.ask(START, input=given(desk, contact)))["conversation"]
    assert (await desk.agent.ask(CLOSE, id=made["id"]))["userErrors"] == []
    reopen = """mutation ($id: ID!) { reopenConversation(input: {id: $id}) { userErrors { code field } } }"""
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await locks.opening(uow, desk.channel.id, contact.id)
        row = await arrivals.begin(uow, desk.channel, contact)
        assert row is not None
        await service.enqueue(uow, row, desk.queue.id)
        await uow.session.flush()
        reopening = asyncio.create_task(desk.agent.ask(reopen, id=made["id"]))
        await asyncio.sleep(0.2)
        assert not reopening.done()
    assert await reopening == {"userErrors": [{"code": "CONFLICT", "field": ["id"]}]}
    assert [row.status for row in await rows(desk, Conversation)] == ["CLOSED", "QUEUED"]


async def test_d3_one_in_no_queue_waits_in_that_of_its_channel(desk: Desk, clock: TravellingClock) -> None:
    visitor = Client(desk.http, (await desk.make.visitor(desk.channel)).token)
    first = (await visitor.ask(WRITE))["chat"]["id"].replace("VisitorChat", "Conversation")
    assert (await desk.agent.ask(CLOSE, id=first))["userErrors"] == []
    (contact,) = await rows(desk, Contact)
    made = (await desk.agent.ask(START, input=given(desk, contact)))["conversation"]
    assert made["queue"] is None
    assert (await desk.agent.ask(CLOSE, id=made["id"]))["userErrors"] == []
    clock.advance(seconds=61)  # nobody is present: it goes to its queue
    chat = (await visitor.ask(WRITE))["chat"]
    assert chat == {"id": made["id"].replace("Conversation", "VisitorChat"), "status": "QUEUED"}
    row = (await rows(desk, Conversation))[-1]
    assert (row.queue_id, row.assignee_id) == (desk.queue.id, None)


async def test_g1_another_organizations_contacts_and_channels_are_not_there(desk: Desk, make: Factory) -> None:
    theirs, contact = await open_desk(make, desk.http), await known(desk)
    for name, id_ in (
        ("contactId", global_id("Contact", (await known(theirs)).id)),
        ("channelId", global_id("Channel", theirs.channel.id)),
        ("queueId", global_id("Queue", theirs.queue.id)),
    ):
        assert await refused(desk.admin, given(desk, contact, **{name: id_})) == [("NOT_FOUND", [name])]
    _, viewer = await desk.colleague(Role.VIEWER)
    assert await viewer.code(START, input=given(desk, contact)) == "FORBIDDEN"
