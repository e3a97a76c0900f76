"""What a visitor says, reads and rates: D2, D27, D29, D33, G5."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, update
from sqlmodel import col, select

from pytake_gql import bootstrap
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import jobs
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.kernel.ids import parse_global_id
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk

WRITE = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
    message { id seq text status isFromVisitor authorName options { value } } chat { id status lastSeq }
    userErrors { code field } } }"""
CHAT = """{ visitorChat { id status agentName agentAvatarUrl queuePosition estimatedWaitSeconds rating lastSeq
    messages { totalCount nodes { seq isFromVisitor authorName text status } } } }"""
READ = """mutation ($input: MarkVisitorReadInput!) { markVisitorRead(input: $input) {
    chat { lastSeq } userErrors { code field } } }"""
RATE = """mutation ($input: RateVisitInput!) { rateVisit(input: $input) {
    chat { rating status } userErrors { code field } } }"""
TYPING = """mutation ($input: SetVisitorTypingInput!) { setVisitorTyping(input: $input) {
    chat { id } userErrors { code } } }"""
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id seq }
    userErrors { code } } }"""
CLOSE = """mutation ($input: CloseConversationInput!) { closeConversation(input: $input) {
    conversation { id } userErrors { code } } }"""
STORED = """query ($id: ID!) { conversation(id: $id) { rating ratingComment lastSeq
    messages(first: 50) { nodes { seq text status } }
    timeline(first: 100) { nodes {
        __typename seq ... on MessageStatusChanged { messageStatus message { seq } } } } } }"""


async def write(client: Client, **input_: Any) -> Any:
    """The payload of a message that was stored."""
    answer = await client.ask(WRITE, input=input_)
    assert answer["userErrors"] == []
    return answer


async def refused(client: Client, document: str, **input_: Any) -> list[tuple[str, list[str] | None]]:
    """Why nothing changed."""
    answer = await client.ask(document, input=input_)
    assert {value for key, value in answer.items() if key != "userErrors"} == {None}
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


async def pull(desk: Desk) -> str:
    id_: str = (await desk.agent.ask(PULL))["conversation"]["id"]
    return id_


async def say(desk: Desk, conversation: str, text: str = "Pois não?", *, sent: bool = True) -> int:
    """An agent's message, sent by the worker or not yet; its seq."""
    answer = await desk.agent.ask(SEND, input={"conversationId": conversation, "text": text})
    assert answer["userErrors"] == []
    if sent:
        ports = desk.make.ports
        assert await jobs.deliver_message(
            ports, bootstrap.channels(ports), desk.organization.id, inner(answer["message"]["id"])
        )
    seq: int = answer["message"]["seq"]
    return seq


async def close(desk: Desk, conversation: str) -> None:
    assert (await desk.agent.ask(CLOSE, input={"id": conversation}))["userErrors"] == []


async def count(desk: Desk, model: Any) -> int:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return (await session.execute(select(func.count(model.id)))).scalar_one()


def inner(id_: str) -> UUID:
    parsed = parse_global_id(id_)
    assert parsed is not None
    return parsed[1]


@pytest.fixture
async def visitor(desk: Desk) -> Client:
    return await desk.visitor()


async def test_d2_the_first_text_begins_a_chat_that_waits(desk: Desk, visitor: Client) -> None:
    assert await visitor.ask(CHAT) is None
    first = await write(visitor, text="  Olá 👋\nquanto custa?  ")
    assert first["message"].pop("id").startswith("VisitorMessage_")
    assert first["message"] == {
        "seq": 2,
        "text": "  Olá 👋\nquanto custa?  ",
        "status": "RECEIVED",
        "isFromVisitor": True,
        "authorName": None,
        "options": [],
    }
    second = await write(visitor, text="Alguém?")
    assert (second["message"]["seq"], second["chat"]) == (3, {**first["chat"], "lastSeq": 3})
    assert await count(desk, Conversation) == 1


async def test_the_chat_is_what_a_visitor_may_see_of_the_conversation(desk: Desk, visitor: Client) -> None:
    await desk.make.conversation(desk.channel, text="Eu primeiro")
    await write(visitor, text="Oi")
    waiting = await visitor.ask(CHAT)
    assert (waiting["status"], waiting["queuePosition"], waiting["agentName"]) == ("QUEUED", 2, None)
    await pull(desk)
    assert (await visitor.ask(CHAT))["queuePosition"] == 1
    conversation = await pull(desk)
    await say(desk, conversation)
    note = {"conversationId": conversation, "text": "Cliente antigo", "isNote": True}
    assert (await desk.agent.ask(SEND, input=note))["userErrors"] == []
    chat = await visitor.ask(CHAT)
    assert chat.pop("id").removeprefix("VisitorChat_") == conversation.removeprefix("Conversation_")
    assert chat == {
        "status": "ACTIVE",
        "agentName": "Ana Agent",
        "agentAvatarUrl": None,
        "queuePosition": None,
        "estimatedWaitSeconds": None,
        "rating": None,
        "lastSeq": 6,
        "messages": {
            "totalCount": 2,
            "nodes": [
                {"seq": 2, "isFromVisitor": True, "authorName": None, "text": "Oi", "status": "RECEIVED"},
                {"seq": 4, "isFromVisitor": False, "authorName": "Ana Agent", "text": "Pois não?", "status": "SENT"},
            ],
        },
    }


@pytest.mark.parametrize(
    ("input_", "expected"),
    [
        ({}, ("REQUIRED", ["text"])),
        ({"text": "Oi", "option": "sim"}, ("REQUIRED", ["text"])),
        ({"text": ""}, ("REQUIRED", ["text"])),
        ({"text": " \n "}, ("REQUIRED", ["text"])),
        ({"text": "O\0i"}, ("INVALID", ["text"])),
        ({"text": "é" * 32769}, ("TOO_LONG", ["text"])),
        ({"option": "sim"}, ("INVALID", ["option"])),
        ({"text": "Oi", "idempotencyKey": ""}, ("INVALID", ["idempotencyKey"])),
        ({"text": "Oi", "idempotencyKey": "k" * 101}, ("INVALID", ["idempotencyKey"])),
    ],
    ids=["none", "both", "empty", "blank", "nul", "too long", "no option", "no key", "long key"],
)
async def test_d29_g28_what_is_no_message_is_refused_and_nothing_is_stored(
    desk: Desk, visitor: Client, input_: dict[str, Any], expected: Any
) -> None:
    assert await refused(visitor, WRITE, **input_) == [expected]
    assert [await count(desk, model) for model in (Message, Conversation, Contact)] == [0, 0, 0]


async def test_d29_the_longest_text_comes_back_whole(visitor: Client) -> None:
    text = "é" * 32768
    assert (await write(visitor, text=text))["message"]["text"] == text


async def offer(desk: Desk, conversation: str, *options: tuple[str, str]) -> None:
    """What a flow's message will offer: members cannot."""
    seq = await say(desk, conversation, "Escolha")
    offered = [{"value": value, "title": title} for value, title in options]
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        chosen = update(Message).where(col(Message.conversation_id) == inner(conversation), col(Message.seq) == seq)
        await uow.session.execute(chosen.values(options=offered))


async def test_an_option_says_its_title(desk: Desk, visitor: Client) -> None:
    await write(visitor, text="Oi")
    conversation = await pull(desk)
    await offer(desk, conversation, ("1", "Comprar"), ("2", "Trocar"))
    await say(desk, conversation, "Pode escolher")
    assert (await write(visitor, option="2", idempotencyKey="k"))["message"]["text"] == "Trocar"
    assert await refused(visitor, WRITE, option="3") == [("INVALID", ["option"])]
    await offer(desk, conversation, ("9", "Outra"))
    assert await refused(visitor, WRITE, option="2") == [("INVALID", ["option"])]
    again = await write(visitor, option="2", idempotencyKey="k")  # a retry of what was offered then
    assert again["message"]["text"] == "Trocar"
    assert (await visitor.ask(CHAT))["messages"]["totalCount"] == 5


async def test_a_blocked_contact_cannot_write(desk: Desk, visitor: Client) -> None:
    await write(visitor, text="Oi")
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await uow.session.execute(update(Contact).values(is_blocked=True))
    assert await refused(visitor, WRITE, text="De novo") == [("FORBIDDEN", None)]
    assert (await visitor.ask(CHAT))["lastSeq"] == 2


async def test_g5_a_key_makes_one_message_also_after_closing(
    desk: Desk, visitor: Client, clock: TravellingClock
) -> None:
    first = await write(visitor, text="Oi", idempotencyKey="k")
    await close(desk, await pull(desk))
    clock.advance(hours=80)
    second = await write(visitor, text="Oi", idempotencyKey="k")
    assert second["message"] == first["message"]
    assert second["chat"] == {**first["chat"], "status": "CLOSED", "lastSeq": 4}
    assert await refused(visitor, WRITE, text="Tchau", idempotencyKey="k") == [("CONFLICT", ["idempotencyKey"])]
    assert (await count(desk, Message), await count(desk, Conversation)) == (1, 1)
    neighbour = await write(await desk.visitor(), text="Tchau", idempotencyKey="k")
    assert neighbour["message"]["text"] == "Tchau"


async def test_d33_the_open_chat_else_the_last(desk: Desk, visitor: Client, clock: TravellingClock) -> None:
    first = (await write(visitor, text="Um"))["chat"]["id"]
    await close(desk, await pull(desk))
    assert (await visitor.ask(CHAT))["id"] == first
    clock.advance(hours=73)
    second = (await write(visitor, text="Dois"))["chat"]["id"]
    assert second != first
    assert (await visitor.ask(CHAT))["id"] == second
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        swapped = {first: "QUEUED", second: "CLOSED"}
        for id_, status in sorted(swapped.items(), key=lambda item: item[1]):
            chosen = update(Conversation).where(col(Conversation.id) == inner(id_))
            await uow.session.execute(chosen.values(status=status, assignee_id=None))
    assert (await visitor.ask(CHAT))["id"] == first  # the open one, though it is the older
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await uow.session.execute(update(Conversation).values(status="CLOSED"))
    assert (await visitor.ask(CHAT))["id"] == second


async def stored(desk: Desk, conversation: str) -> Any:
    return await desk.admin.ask(STORED, id=conversation)


def became(conversation: Any) -> list[tuple[int, str]]:
    """(seq of the message, what it became), in order."""
    entries = conversation["timeline"]["nodes"]
    return [(e["message"]["seq"], e["messageStatus"]) for e in entries if e["__typename"] == "MessageStatusChanged"]


async def test_d27_what_the_visitor_has_read_is_read_and_never_less(desk: Desk, visitor: Client) -> None:
    await write(visitor, text="Oi")
    conversation = await pull(desk)
    first, second = await say(desk, conversation, "Um"), await say(desk, conversation, "Dois")
    assert (await visitor.ask(READ, input={"seq": first}))["userErrors"] == []
    assert became(await stored(desk, conversation)) == [(4, "SENT"), (6, "SENT"), (4, "READ")]
    await write(visitor, text="Lido")
    await visitor.ask(READ, input={"seq": (await visitor.ask(CHAT))["lastSeq"]})
    third = await say(desk, conversation, "Três")
    before = await stored(desk, conversation)
    assert [message["status"] for message in before["messages"]["nodes"]] == [
        *("RECEIVED", "READ", "READ", "RECEIVED", "SENT")
    ]
    for seq in (first, second, 0, before["lastSeq"] - 2):
        assert (await visitor.ask(READ, input={"seq": seq}))["userErrors"] == []
        assert await stored(desk, conversation) == before
    for seq in (-1, before["lastSeq"] + 1, 2**31 - 1):
        assert await refused(visitor, READ, seq=seq) == [("INVALID", ["seq"])]
    assert await stored(desk, conversation) == before
    await visitor.ask(READ, input={"seq": third})
    assert became(await stored(desk, conversation))[-1] == (third, "READ")


async def test_d27_a_message_that_was_read_before_the_worker_came_is_read(desk: Desk, visitor: Client) -> None:
    await write(visitor, text="Oi")
    conversation = await pull(desk)
    seq = await say(desk, conversation, sent=False)
    note = {"conversationId": conversation, "text": "Nota", "isNote": True}
    await desk.agent.ask(SEND, input=note)
    await visitor.ask(READ, input={"seq": seq + 1})
    after = await stored(desk, conversation)
    assert [message["status"] for message in after["messages"]["nodes"]] == ["RECEIVED", "READ", "SENT"]
    async with desk.make.ports.database.session(desk.organization.id) as session:
        (message,) = (await session.execute(select(Message).where(Message.seq == seq))).scalars()
    assert message.due_at is None
    assert not await jobs.deliver_message(
        desk.make.ports, bootstrap.channels(desk.make.ports), desk.organization.id, message.id
    )
    assert became(await stored(desk, conversation)) == [(seq, "READ")]


async def test_a_chat_is_rated_once_it_is_closed(desk: Desk, visitor: Client) -> None:
    assert await refused(visitor, RATE, rating=5) == [("WRONG_STATE", None)]
    await write(visitor, text="Oi")
    conversation = await pull(desk)
    before = await stored(desk, conversation)
    assert await refused(visitor, RATE, rating=5) == [("WRONG_STATE", ["rating"])]
    assert await stored(desk, conversation) == before
    await close(desk, conversation)
    before = await stored(desk, conversation)
    for wrong in (0, 6, -1):
        assert await refused(visitor, RATE, rating=wrong) == [("INVALID", ["rating"])]
    assert await refused(visitor, RATE, rating=5, comment="x" * 2001) == [("TOO_LONG", ["comment"])]
    assert await stored(desk, conversation) == before
    rated = await visitor.ask(RATE, input={"rating": 4, "comment": " Bom, mas demorou "})
    assert rated == {"chat": {"rating": 4, "status": "CLOSED"}, "userErrors": []}
    after = await stored(desk, conversation)
    assert (after["rating"], after["ratingComment"]) == (4, "Bom, mas demorou")
    assert after["lastSeq"] == before["lastSeq"] + 1
    assert after["timeline"]["nodes"][-1]["__typename"] == "ConversationChanged"
    await visitor.ask(RATE, input={"rating": 1})
    again = await stored(desk, conversation)
    assert (again["rating"], again["ratingComment"]) == (1, None)
    await write(visitor, text="Voltei")  # reopens it
    assert await refused(visitor, RATE, rating=5) == [("WRONG_STATE", ["rating"])]


async def test_before_the_first_message_there_is_nothing_to_read_or_to_type_in(visitor: Client) -> None:
    assert await refused(visitor, READ, seq=0) == [("WRONG_STATE", None)]
    assert await visitor.ask(TYPING, input={"isTyping": True}) == {"chat": None, "userErrors": []}
