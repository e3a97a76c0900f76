"""Queues and inboxes, live, over a real websocket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pytake_gql.kernel.graphql import turns
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import ConversationScope
from tests.client import Client
from tests.desk.desk import Desk, conversation_id
from tests.sockets import Served, SocketClient

QUEUE = """subscription ($id: ID!) { queueUpdates(queueId: $id) { __typename
    ... on QueueSnapshot { queue { name } stats { waiting active } conversations { id status } }
    ... on QueueConversationChanged { stats { waiting active } conversation { id status } }
    ... on QueueConversationLeft { stats { waiting active } conversationId } } }"""
INBOX = """subscription ($mine: Boolean!) { inboxUpdates(mine: $mine) { __typename
    ... on InboxConversationChanged { conversation { id status } }
    ... on InboxConversationLeft { conversationId } } }"""
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"
ASSIGN = "mutation ($input: AssignConversationInput!) { assignConversation(input: $input) { userErrors { code } } }"


@asynccontextmanager
async def following(live: Served, client: Client, query: str, **variables: Any) -> AsyncIterator[SocketClient]:
    assert client.token
    async with live.socket() as socket:
        await socket.start(client.token)
        await socket.subscribe(query, **variables)
        yield socket


async def test_a_queue_begins_with_a_snapshot_and_tells_what_comes_changes_and_leaves(desk: Desk, live: Served) -> None:
    first = conversation_id((await desk.make.conversation(desk.channel)).id)
    async with following(live, desk.agent, QUEUE, id=global_id("Queue", desk.queue.id)) as socket:
        assert await socket.update() == {
            "__typename": "QueueSnapshot",
            "queue": {"name": desk.queue.name},
            "stats": {"waiting": 1, "active": 0},
            "conversations": [{"id": first, "status": "QUEUED"}],
        }
        second = conversation_id((await desk.make.conversation(desk.channel)).id)
        assert await socket.update() == {
            "__typename": "QueueConversationChanged",
            "stats": {"waiting": 2, "active": 0},
            "conversation": {"id": second, "status": "QUEUED"},
        }
        await desk.agent.ask(PULL)
        assert await socket.update() == {
            "__typename": "QueueConversationChanged",
            "stats": {"waiting": 1, "active": 1},
            "conversation": {"id": first, "status": "ACTIVE"},
        }
        await desk.agent.ask(CLOSE, input={"id": first})
        assert await socket.update() == {
            "__typename": "QueueConversationLeft",
            "stats": {"waiting": 1, "active": 0},
            "conversationId": first,
        }


async def test_a_lost_wake_up_is_healed_by_another_snapshot(
    desk: Desk, live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.3)

    def lose(_wakes: Any) -> None:
        """As if Redis had swallowed it."""

    async with following(live, desk.agent, QUEUE, id=global_id("Queue", desk.queue.id)) as socket:
        assert (await socket.update())["conversations"] == []
        monkeypatch.setattr(desk.make.ports.bus, "publish", lose)
        row = await desk.make.conversation(desk.channel)
        snapshot = await socket.update()
        assert snapshot["__typename"] == "QueueSnapshot"
        assert [conversation["id"] for conversation in snapshot["conversations"]] == [conversation_id(row.id)]


async def test_an_unknown_queue_is_not_found(desk: Desk, live: Served) -> None:
    async with following(live, desk.agent, QUEUE, id=f"Queue_{'0' * 32}") as socket:
        message = await socket.receive()
        assert [error["extensions"]["code"] for error in message["payload"]["errors"]] == ["NOT_FOUND"]


async def test_my_inbox_tells_what_becomes_mine_and_what_leaves_me(desk: Desk, live: Served) -> None:
    colleague, _ = await desk.colleague()
    row = conversation_id((await desk.make.conversation(desk.channel)).id)
    async with following(live, desk.agent, INBOX, mine=True) as socket:
        assert await socket.update() == {"__typename": "InboxReset"}
        await desk.agent.ask(PULL)
        assert await socket.update() == {
            "__typename": "InboxConversationChanged",
            "conversation": {"id": row, "status": "ACTIVE"},
        }
        await desk.agent.ask(ASSIGN, input={"id": row, "memberId": global_id("Member", colleague.id)})
        assert await socket.update() == {"__typename": "InboxConversationLeft", "conversationId": row}


async def test_d21_an_inbox_of_all_shows_only_what_the_caller_may_see(desk: Desk, live: Served) -> None:
    _, own = await desk.colleague(conversation_scope=ConversationScope.OWN)
    hidden_queue = await desk.make.queue(desk.organization)
    hidden_channel = await desk.make.channel(desk.organization, queue_id=hidden_queue.id)
    async with (
        following(live, desk.agent, INBOX, mine=False) as of_queue,
        following(live, own, INBOX, mine=False) as of_own,
        following(live, desk.admin, INBOX, mine=False) as of_all,
    ):
        for socket in (of_queue, of_own, of_all):
            assert await socket.update() == {"__typename": "InboxReset"}
        hidden = conversation_id((await desk.make.conversation(hidden_channel)).id)
        shown = conversation_id((await desk.make.conversation(desk.channel)).id)
        assert [(await of_all.update())["conversation"]["id"] for _ in range(2)] == [hidden, shown]
        assert (await of_queue.update())["conversation"]["id"] == shown
        await own.ask(PULL)
        assert (await of_own.update())["conversation"] == {"id": shown, "status": "ACTIVE"}
