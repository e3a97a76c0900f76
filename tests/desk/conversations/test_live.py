"""Live updates of one conversation, over a real websocket: G7, G11, house.md §4."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from pytake_gql.desk.conversations import news
from pytake_gql.desk.conversations.scope import authority_of
from pytake_gql.kernel.graphql import turns
from pytake_gql.kernel.ids import global_id, uuid7
from pytake_gql.kernel.principal import ConversationScope, MemberPrincipal, Role
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.sockets import Served, SocketClient

EVENTS = """subscription ($id: ID!, $after: Int) { conversationEvents(conversationId: $id, after: $after) {
    __typename ... on ConversationEvent { seq conversation { lastSeq } }
    ... on MessageAdded { message { text } } ... on ConversationStatusChanged { status }
    ... on TypingChanged { authorKind isTyping } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { seq } userErrors { code } } }"""
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
UPDATE_MEMBER = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code } } }"


@asynccontextmanager
async def following(live: Served, token: str | None, id_: str, after: int | None = None) -> AsyncIterator[SocketClient]:
    assert token
    async with live.socket() as socket:
        await socket.start(token)
        await socket.subscribe(EVENTS, id=id_, after=after)
        yield socket


async def test_g7_stored_events_come_first_and_live_ones_follow(desk: Desk, live: Served) -> None:
    row = await desk.make.conversation(desk.channel, text="Oi")
    id_ = conversation_id(row.id)
    async with following(live, desk.agent.token, id_, after=0) as socket:
        assert await socket.update() == {
            "__typename": "ConversationStatusChanged",
            "seq": 1,
            "status": "QUEUED",
            "conversation": {"lastSeq": 2},
        }
        second = await socket.update()
        assert (second["seq"], second["message"]) == (2, {"text": "Oi"})
        await desk.agent.ask(SEND, input={"conversationId": id_, "text": "Bom dia"})
        third = await socket.update()
        assert (third["seq"], third["message"], third["conversation"]) == (3, {"text": "Bom dia"}, {"lastSeq": 3})


async def test_without_after_only_what_happens_from_now_on(desk: Desk, live: Served) -> None:
    row = await desk.make.conversation(desk.channel)
    async with following(live, desk.agent.token, conversation_id(row.id)) as socket:
        await asyncio.sleep(0.2)
        await desk.agent.ask(PULL)
        assert (await socket.update())["seq"] == 3


async def test_g7_who_comes_and_goes_sees_each_seq_once_while_many_write(desk: Desk, live: Served) -> None:
    row = await desk.make.conversation(desk.channel)
    id_, wanted = conversation_id(row.id), 42

    async def write() -> None:
        for batch in range(8):
            await asyncio.gather(
                *(
                    desk.agent.ask(SEND, input={"conversationId": id_, "text": f"{batch}-{n}", "isNote": True})
                    for n in range(5)
                )
            )

    async def follow() -> list[int]:
        seen: list[int] = []
        while len(seen) < wanted:
            async with following(live, desk.agent.token, id_, after=seen[-1] if seen else 0) as socket:
                for _ in range(7):
                    if len(seen) < wanted:
                        seen.append((await socket.update())["seq"])
        return seen

    *seen, _ = await asyncio.gather(follow(), follow(), follow(), write())
    assert seen == [list(range(1, wanted + 1))] * 3


async def test_a_lost_wake_up_is_healed_by_the_poll(desk: Desk, live: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.3)

    def lose(_wakes: Any) -> None:
        """As if Redis had swallowed it."""

    row = await desk.make.conversation(desk.channel)
    async with following(live, desk.agent.token, conversation_id(row.id), after=2) as socket:
        await asyncio.sleep(0.2)
        monkeypatch.setattr(desk.make.ports.bus, "publish", lose)
        await desk.agent.ask(SEND, input={"conversationId": conversation_id(row.id), "text": "Oi"})
        assert (await socket.update())["seq"] == 3


async def test_typing_is_told_and_not_stored(desk: Desk, live: Served) -> None:
    row = await desk.make.conversation(desk.channel)
    id_ = conversation_id(row.id)
    typing = "mutation ($input: SetTypingInput!) { setTyping(input: $input) { userErrors { code } } }"
    async with following(live, desk.admin.token, id_) as socket:
        await asyncio.sleep(0.2)
        await desk.agent.ask(typing, input={"conversationId": id_, "isTyping": True})
        assert await socket.update() == {"__typename": "TypingChanged", "authorKind": "MEMBER", "isTyping": True}
    read = await desk.agent.ask("query ($id: ID!) { conversation(id: $id) { lastSeq } }", id=id_)
    assert read == {"lastSeq": 2}


@pytest.mark.parametrize("id_", ["nonsense", f"Conversation_{'0' * 32}", f"Queue_{'0' * 32}"])
async def test_an_id_that_leads_nowhere_is_not_found(desk: Desk, live: Served, id_: str) -> None:
    async with following(live, desk.agent.token, id_) as socket:
        message = await socket.receive()
        assert [error["extensions"]["code"] for error in message["payload"]["errors"]] == ["NOT_FOUND"]


async def test_g1_another_organizations_conversation_has_the_same_face(
    desk: Desk, live: Served, make: Any, http: Any
) -> None:
    theirs = await open_desk(make, http)
    row = await make.conversation(theirs.channel)
    answers = []
    for id_ in (conversation_id(row.id), f"Conversation_{'0' * 32}"):
        async with following(live, desk.admin.token, id_, after=0) as socket:
            answers.append(await socket.receive())
    for answer in answers:
        for error in answer["payload"]["errors"]:
            error["extensions"].pop("requestId", None)
    assert answers[0] == answers[1]


async def test_g11_a_stream_ends_when_its_conversation_goes_out_of_sight(desk: Desk, live: Served) -> None:
    row = await desk.make.conversation(desk.channel)
    member, client = await desk.colleague()
    async with following(live, client.token, conversation_id(row.id), after=0) as socket:
        assert [(await socket.update())["seq"] for _ in range(2)] == [1, 2]
        narrower = {"id": global_id("Member", member.id), "conversationScope": ConversationScope.OWN.value}
        assert await desk.admin.ask(UPDATE_MEMBER, input=narrower) == {"userErrors": []}
        await asyncio.sleep(2.2)
        await desk.agent.ask(PULL)
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_equal_subscribers_cost_one_read_an_event_and_another_authority_its_own(
    desk: Desk, live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await desk.make.conversation(desk.channel)
    id_, asked = conversation_id(row.id), list[ConversationScope]()
    read = news.read

    async def count(session: Any, principal: Any, *question: Any) -> Any:
        asked.append(principal.scope)
        return await read(session, principal, *question)

    async with AsyncExitStack() as open_:
        tokens = [desk.agent.token] * 5 + [desk.admin.token] * 5
        sockets = [await open_.enter_async_context(following(live, token, id_)) for token in tokens]
        await asyncio.sleep(0.3)
        monkeypatch.setattr(news, "read", count)
        await desk.agent.ask(SEND, input={"conversationId": id_, "text": "Oi"})
        told = await asyncio.gather(*(socket.update() for socket in sockets))
    assert told == [
        {"__typename": "MessageAdded", "seq": 3, "message": {"text": "Oi"}, "conversation": {"lastSeq": 3}}
    ] * len(sockets)
    assert sorted(asked) == [ConversationScope.ORGANIZATION, ConversationScope.QUEUES]


def test_d21_only_who_sees_all_shares_with_other_members() -> None:
    def member(role: Role, scope: ConversationScope) -> MemberPrincipal:
        return MemberPrincipal(uuid7(), uuid7(), uuid7(), uuid7(), uuid7(), role=role, scope=scope, name="")

    for scope in ConversationScope:
        one, other = (authority_of(member(Role.AGENT, scope)) for _ in range(2))
        assert (one == other) is (scope is ConversationScope.ORGANIZATION)
    roles = {authority_of(member(role, ConversationScope.ORGANIZATION)) for role in Role}
    assert len(roles) == len(Role)
