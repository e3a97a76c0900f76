"""The push path as a stranger (G1): nothing of another organization comes over a websocket, forged wake-ups or not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
from graphql import get_named_type

from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.desk.conversations import timeline
from pytake_gql.desk.visitors.service import visitor_topic
from pytake_gql.insight.notifications.service import topic as notifications_topic
from pytake_gql.kernel.bus import Wake
from pytake_gql.kernel.ids import global_id, id_of, uuid7
from pytake_gql.tenancy.members.presence import presence_topic
from tests.client import Client
from tests.sockets import Served, SocketClient, serving
from tests.tenants.companies import Secrets, ids_in, rows
from tests.tenants.conftest import Street
from tests.tenants.holes import NODES, fields, holes, may, operation, plain
from tests.tenants.selections import LEVELS
from tests.tenants.test_lists import named_in
from tests.tenants.test_walk import NOT_FOUND

SHALLOW = {"conversationEvents": 1}
"""Two levels of every event's type are more tokens than a document may have; queries show the second one."""
FOLLOWED = [hole for hole in holes() if hole.root == "Subscription"]
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code field } } }"
TYPE = "mutation ($input: SetTypingInput!) { setTyping(input: $input) { userErrors { code } } }"
CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"
WRITE = "mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) { userErrors { code } } }"
RENAME = "mutation ($input: UpdateQueueInput!) { updateQueue(input: $input) { userErrors { code } } }"


@pytest.fixture(scope="package")
async def door(settled: Street) -> AsyncIterator[Served]:
    async with serving(settled.app) as served:
        yield served


@dataclass
class Follower:
    """A socket that follows all that its caller may follow; `quiet` are told neither a beginning nor of messages."""

    socket: SocketClient
    told: dict[str, list[Any]] = field(default_factory=dict)
    quiet: set[str] = field(default_factory=set)

    async def until(self, *wanted: str) -> None:
        """Reads on until each operation that is not quiet has been told of all these texts, or of anything."""
        awaited = [told for number, told in self.told.items() if number not in self.quiet]
        while any(not told or any(text not in str(told) for text in wanted) for told in awaited):
            message = await self.socket.receive()
            assert message["type"] == "next", message
            assert "errors" not in message["payload"], message
            self.told[message["id"]].append(message["payload"])


def followings(street: Street, caller: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each subscription that serves the caller, from its beginning, with each truth of each flag."""
    for name, definition in fields("Subscription").items():
        if may(caller, "Subscription", name):
            kinds = {argument: get_named_type(given.type).name for argument, given in definition.args.items()}
            chosen: dict[str, Any] = {argument: 0 for argument, kind in kinds.items() if kind == "Int"}
            flags = [argument for argument, kind in kinds.items() if kind == "Boolean"]
            # What is an admin's own is nothing: the conversations are with the agent.
            for value in ([True, False] if caller == "AGENT" else [False]) if flags else [None]:
                asked = plain(
                    street.ours,
                    "Subscription",
                    name,
                    levels=SHALLOW.get(name, LEVELS),
                    **chosen,
                    **dict.fromkeys(flags, value),
                )
                yield asked.document, asked.variables


@pytest.mark.parametrize("caller", ["ORG_ADMIN", "AGENT", "SUPER_ADMIN"])
async def test_g1_following_another_organizations_id_is_following_nothing(
    street: Street, door: Served, caller: str
) -> None:
    async with door.socket() as socket:
        await socket.start(street.callers()[caller])
        for hole in FOLLOWED:
            other = street.ours.ids[next(name for name in NODES if name != hole.of)]
            for id_ in (street.theirs.ids[hole.of], global_id(hole.of, uuid7()), other, "Nowhere_1"):
                asked, number = operation(street.ours, hole, id_, levels=SHALLOW.get(hole.field, LEVELS)), uuid4().hex
                await socket.subscribe(asked.document, number, **asked.variables)
                message = await socket.receive()
                assert (message["id"], message["type"], message["payload"]["data"]) == (number, "next", None)
                [error] = message["payload"]["errors"]
                assert error["extensions"].pop("requestId")
                assert (error["message"], error["extensions"]) == (NOT_FOUND, {"code": "NOT_FOUND"})
                assert await socket.receive() == {"id": number, "type": "complete"}


@pytest.mark.parametrize("caller", ["ORG_ADMIN", "AGENT", "VISITOR"])
async def test_g1_nothing_of_another_organization_is_pushed(
    street: Street, door: Served, http: httpx.AsyncClient, caller: str
) -> None:
    async with door.socket() as socket:
        await socket.start(street.callers()[caller])
        follower = Follower(socket)
        for number, (document, variables) in enumerate(followings(street, caller)):
            follower.told[str(number)] = []
            if any(name in document for name in ("memberPresence", "notifications", "executionProgress")):
                follower.quiet.add(str(number))
            await socket.subscribe(document, str(number), **variables)
        await follower.until()
        await stir(street, http)
        street.ports.bus.publish([Wake(topic, data) for topic, data in forged(street)])
        await asyncio.sleep(0.3)  # what should not come has its time to come
        last = f"Fim {uuid4().hex}"
        agent = Client(http, street.ours.agent.token)
        assert (await agent.ask(SEND, input={"conversationId": street.ours.ids["Conversation"], "text": last})) == {
            "userErrors": []
        }
        await follower.until(last)
    secrets = await Secrets.of(street.owner, street.theirs, street.ours)
    assert secrets.in_(follower.told) == []
    assert street.word not in str(follower.told)
    assert named_in(follower.told) <= ids_in(await rows(street.owner, street.ours))


async def stir(street: Street, http: httpx.AsyncClient) -> None:
    """Everything that is pushed happens in the other company: somebody writes, types, closes, renames, goes, comes."""
    theirs, text = street.theirs, f"{street.word} {uuid4().hex}"
    agent, admin = Client(http, theirs.agent.token), Client(http, theirs.admin.token)
    visitor, conversation = Client(http, theirs.visitor.token), theirs.ids["Conversation"]
    await visitor.ask(WRITE, input={"text": text})
    await agent.ask(SEND, input={"conversationId": conversation, "text": text})
    await agent.ask(TYPE, input={"conversationId": conversation, "isTyping": True})
    await agent.ask(CLOSE, input={"id": conversation})
    await visitor.ask(WRITE, input={"text": text})
    await admin.ask(RENAME, input={"id": theirs.ids["Queue"], "name": text[:60]})
    await agent.ask("mutation { setAvailability(input: {availability: BUSY}) { userErrors { code } } }")
    await agent.ask("mutation { setAvailability(input: {availability: ONLINE}) { userErrors { code } } }")


def forged(street: Street) -> Iterator[tuple[str, str | int]]:
    """Wake-ups on our topics that name what is theirs, as if somebody had Redis."""
    ours, theirs = street.ours, street.theirs
    conversation, member = id_of(ours.ids["Conversation"]), theirs.agent.member.id.hex
    yield timeline.conversation_topic(conversation), 1_000_000
    yield timeline.typing_topic(conversation), f"MEMBER:{member}:1"
    yield presence_topic(ours.id), member
    yield executions.topic(id_of(ours.ids["FlowExecution"])), theirs.ids["FlowExecution"]
    for signed_in in (ours.agent, ours.admin):
        yield notifications_topic(signed_in.member.id), theirs.ids["Notification"]
    yield visitor_topic(ours.channel_id, ours.visitor.principal.external_id), theirs.ids["Conversation"]
    for named in (id_of(id_).hex for id_ in theirs.conversation_ids):
        yield timeline.queue_topic(ours.queue.id), named
        for who in (member, "", ours.agent.member.id.hex, ours.admin.member.id.hex):
            for queue in (theirs.queue.id.hex, "", ours.queue.id.hex):
                yield timeline.inbox_topic(ours.id), f"{named}:{who}:{queue}"
