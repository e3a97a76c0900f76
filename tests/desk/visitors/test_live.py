"""The visitor's own chat, live over a real websocket: G7, D33, house.md §4."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pytake_gql.desk.visitors import live as live_module
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk
from tests.desk.visitors.test_chat import CLOSE, RATE, READ, SEND, TYPING, close, pull, say, write
from tests.sockets import Served, SocketClient

UPDATES = """subscription ($after: Int) { visitorUpdates(after: $after) { __typename
    ... on VisitorMessageChanged { message { seq text status isFromVisitor } }
    ... on VisitorChatChanged { chat { id status agentName queuePosition } }
    ... on VisitorTypingChanged { isAgentTyping } } }"""
EVENTS = """subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename
    ... on TypingChanged { authorKind isTyping member { id } } } }"""
SET_TYPING = "mutation ($input: SetTypingInput!) { setTyping(input: $input) { userErrors { code } } }"
NOTE = {"isNote": True, "text": "Só entre nós"}


@asynccontextmanager
async def following(live: Served, visitor: Client, after: int | None = None) -> AsyncIterator[SocketClient]:
    async with live.socket() as socket:
        await socket.start(visitor.token or "")
        await socket.subscribe(UPDATES, after=after)
        yield socket


async def messages(socket: SocketClient, count: int) -> list[tuple[int, str, str]]:
    """The next of them as (seq, text, status); what else comes between is left out."""
    found: list[tuple[int, str, str]] = []
    while len(found) < count:
        update = await socket.update()
        if update["__typename"] == "VisitorMessageChanged":
            said = update["message"]
            found.append((said["seq"], said["text"], said["status"]))
    return found


async def chat(socket: SocketClient) -> dict[str, Any]:
    """The next change of the chat itself."""
    while (update := await socket.update())["__typename"] != "VisitorChatChanged":
        pass
    changed: dict[str, Any] = update["chat"]
    return changed


@pytest.fixture
async def visitor(desk: Desk) -> Client:
    return await desk.visitor()


@pytest.fixture(autouse=True)
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only wake-ups count: what is not told is not seen."""
    monkeypatch.setattr(live_module, "POLL_SECONDS", 60.0)


async def test_g7_what_is_stored_after_seq_comes_first_then_what_happens(
    desk: Desk, visitor: Client, live: Served
) -> None:
    await write(visitor, text="Oi")
    conversation = await pull(desk)
    await say(desk, conversation, "Um")
    await desk.agent.ask(SEND, input={"conversationId": conversation, **NOTE})
    await say(desk, conversation, "Dois")
    async with following(live, visitor, after=2) as socket:
        updates = [await socket.update() for _ in range(3)]
        assert updates == [
            {
                "__typename": "VisitorChatChanged",
                "chat": {
                    "id": conversation.replace("Conversation", "VisitorChat"),
                    "status": "ACTIVE",
                    "agentName": "Ana Agent",
                    "queuePosition": None,
                },
            },
            *(
                {
                    "__typename": "VisitorMessageChanged",
                    "message": {"seq": seq, "text": text, "status": "SENT", "isFromVisitor": False},
                }
                for seq, text in ((4, "Um"), (7, "Dois"))
            ),
        ]
        await desk.agent.ask(SEND, input={"conversationId": conversation, **NOTE})
        await say(desk, conversation, "Três", sent=False)
        assert await messages(socket, 1) == [(10, "Três", "QUEUED")]
        await visitor.ask(READ, input={"seq": 10})
        assert await messages(socket, 3) == [(4, "Um", "READ"), (7, "Dois", "READ"), (10, "Três", "READ")]
    assert not any("entre nós" in str(message) for message in socket.received)


async def test_without_after_only_what_happens_from_now_on(visitor: Client, live: Served) -> None:
    await write(visitor, text="Oi")
    async with following(live, visitor) as socket:
        await asyncio.sleep(0.2)
        await write(visitor, text="Alguém?")
        assert await messages(socket, 1) == [(3, "Alguém?", "RECEIVED")]
    assert "Oi" not in str(socket.received)


async def test_the_first_message_shows_where_there_was_no_chat_yet(visitor: Client, live: Served) -> None:
    async with following(live, visitor) as first, following(live, visitor, after=0) as second:
        await asyncio.sleep(0.2)
        await write(visitor, text="Oi")
        for socket in (first, second):
            changed = await chat(socket)
            assert (changed["status"], changed["queuePosition"]) == ("QUEUED", 1)
            assert await messages(socket, 1) == [(2, "Oi", "RECEIVED")]


async def test_d1_the_visitor_sees_who_takes_the_chat_and_that_it_is_closed(
    desk: Desk, visitor: Client, live: Served
) -> None:
    await write(visitor, text="Oi")
    async with following(live, visitor, after=2) as socket:
        conversation = await pull(desk)
        taken = await chat(socket)
        assert (taken["status"], taken["agentName"], taken["queuePosition"]) == ("ACTIVE", "Ana Agent", None)
        answer = await desk.agent.ask(CLOSE, input={"id": conversation, "note": "Foi fácil"})
        assert answer["userErrors"] == []
        assert (await chat(socket))["status"] == "CLOSED"
        await visitor.ask(RATE, input={"rating": 5})
        await write(visitor, text="Mais uma coisa")
        again = await chat(socket)
        assert (again["id"], again["status"]) == (taken["id"], "ACTIVE")
        assert await messages(socket, 1) == [(8, "Mais uma coisa", "RECEIVED")]
    assert "Foi fácil" not in str(socket.received)


async def test_d33_the_stream_follows_the_new_chat_that_begins_after_the_last_was_closed(
    desk: Desk, visitor: Client, live: Served, clock: TravellingClock
) -> None:
    first = (await write(visitor, text="Oi"))["chat"]["id"]
    for text in ("a", "b", "c"):
        await write(visitor, text=text)
    await close(desk, await pull(desk))
    clock.advance(hours=73)
    async with following(live, visitor, after=7) as socket:
        await asyncio.sleep(0.2)
        second = (await write(visitor, text="De novo"))["chat"]["id"]
        changed = await chat(socket)
        assert (changed["id"], changed["status"]) == (second, "QUEUED")
        assert second != first
        assert await messages(socket, 1) == [(2, "De novo", "RECEIVED")]
        await write(visitor, text="Oi?")
        assert await messages(socket, 1) == [(3, "Oi?", "RECEIVED")]
    async with following(live, visitor, after=7) as socket:  # a seq of the chat before
        assert await messages(socket, 2) == [(2, "De novo", "RECEIVED"), (3, "Oi?", "RECEIVED")]


async def test_who_types_is_told_to_the_other_side_and_not_stored(desk: Desk, visitor: Client, live: Served) -> None:
    last_seq = (await write(visitor, text="Oi"))["chat"]["lastSeq"]
    conversation = await pull(desk)
    async with following(live, visitor) as theirs, live.socket() as ours:
        await ours.start(desk.agent.token or "")
        await ours.subscribe(EVENTS, id=conversation)
        await asyncio.sleep(0.2)
        for is_typing in (True, False):
            answer = await visitor.ask(TYPING, input={"isTyping": is_typing})
            assert (answer["chat"] is not None, answer["userErrors"]) == (True, [])
            told = {"__typename": "TypingChanged", "authorKind": "CONTACT", "isTyping": is_typing, "member": None}
            assert await ours.update() == told
            await desk.agent.ask(SET_TYPING, input={"conversationId": conversation, "isTyping": is_typing})
            assert await theirs.update() == {"__typename": "VisitorTypingChanged", "isAgentTyping": is_typing}
            assert (await ours.update())["authorKind"] == "MEMBER"
    assert (await visitor.ask("{ visitorChat { lastSeq } }"))["lastSeq"] == last_seq + 1  # the pull


async def test_g7_who_comes_and_goes_sees_each_message(desk: Desk, visitor: Client, live: Served) -> None:
    await write(visitor, text="0")
    conversation = await pull(desk)

    async def talk() -> None:
        for number in range(1, 21):
            await (write(visitor, text=f"{number}") if number % 2 else say(desk, conversation, f"{number}", sent=False))

    talking = asyncio.create_task(talk())
    seen: dict[int, str] = {}
    while len(seen) < 21:
        async with following(live, visitor, after=max(seen, default=0)) as socket:
            for seq, text, _ in await messages(socket, min(5, 21 - len(seen))):
                assert seq > max(seen, default=0)
                seen[seq] = text
    await talking
    assert list(seen.values()) == [f"{number}" for number in range(21)]
    assert list(seen) == sorted(seen)


async def test_g1_a_neighbour_hears_nothing(desk: Desk, visitor: Client, live: Served) -> None:
    neighbour = await desk.visitor()
    await write(neighbour, text="Eu")
    async with following(live, neighbour, after=2) as socket:
        await write(visitor, text="Segredo")
        conversation = (await visitor.ask("{ visitorChat { id } }"))["id"].replace("VisitorChat", "Conversation")
        await say(desk, conversation, "Segredo também")
        await write(neighbour, text="Eu de novo")
        assert await messages(socket, 1) == [(3, "Eu de novo", "RECEIVED")]
    assert "Segredo" not in str(socket.received)


async def test_g11_a_socket_ends_with_its_shop(desk: Desk, visitor: Client, live: Served) -> None:
    await write(visitor, text="Oi")
    async with following(live, visitor) as socket:
        async with desk.make.ports.units.of_system(desk.organization.id) as uow:
            organization = await uow.session.get(type(desk.organization), desk.organization.id)
            assert organization is not None
            organization.is_active = False
        code, _ = await socket.closed()
        assert code == 4401
