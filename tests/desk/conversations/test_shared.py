"""Equal subscribers share one run; who is not equal in whatever the answer depends on does not (G1, G7, G11)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from pytake_gql.kernel.graphql import outgoing, shared_streams
from pytake_gql.kernel.graphql.shared_streams import Stream
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import AUTHORITY_TOPIC
from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.tenancy.auth.models import Session
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory, SignedIn
from tests.sockets import Served, SocketClient

EVENTS = """subscription ($id: ID!, $after: Int) { conversationEvents(conversationId: $id, after: $after) {
    ... on MessageAdded { seq message { text } } } }"""
OWN_KEYS = """subscription ($id: ID!, $after: Int) { conversationEvents(conversationId: $id, after: $after) {
    ... on MessageAdded { seq message { text idempotencyKey } } } }"""
INBOX = "subscription { inboxUpdates(mine: false) { __typename } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code } } }"
FINE: dict[str, Any] = {"userErrors": []}


async def send(client: Client, id_: str, text: str, **values: object) -> None:
    assert await client.ask(SEND, input={"conversationId": id_, "text": text, "isNote": True, **values}) == FINE


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def streams_of(live: Served, id_: str) -> list[Stream]:
    """The runs that follow this conversation."""
    running = live.app.state.doorway.streams.running
    return [stream for stream in running if (stream._followed.variables or {}).get("id") == id_]


def sizes(live: Served, id_: str) -> list[int]:
    return sorted(len(stream.subscribers) for stream in streams_of(live, id_))


@asynccontextmanager
async def followers(
    live: Served, tokens: list[str], id_: str, document: str = EVENTS, **variables: object
) -> AsyncIterator[list[SocketClient]]:
    async with AsyncExitStack() as open_:
        sockets = [await open_.enter_async_context(live.socket()) for _ in tokens]
        for socket, token in zip(sockets, tokens, strict=True):
            await socket.start(token)
            await socket.subscribe(document, uuid4().hex, id=id_, **variables)
        await until(lambda: sum(sizes(live, id_)) == len(tokens))
        yield sockets


@asynccontextmanager
async def settled(
    live: Served, tokens: list[str], id_: str, document: str, groups: list[int]
) -> AsyncIterator[list[SocketClient]]:
    """Followers from now on, once they have found their equals."""
    async with followers(live, tokens, id_, document) as sockets:
        await until(lambda: sizes(live, id_) == groups)
        yield sockets


async def seeing_all(desk: Desk, role: Role = Role.AGENT) -> SignedIn:
    member = await desk.make.member(desk.organization, role, conversation_scope=ConversationScope.ORGANIZATION)
    return await desk.make.signed_in(member)


async def change(desk: Desk, caller: SignedIn, **values: object) -> None:
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await uow.session.execute(sa.update(Member).where(Member.id == caller.member.id).values(**values))  # type: ignore[arg-type]
        uow.wake(AUTHORITY_TOPIC, str(caller.member.id))


async def end_session(desk: Desk, caller: SignedIn) -> None:
    async with desk.make.ports.units.of_system(None) as uow:
        ended = sa.update(Session).where(Session.id == caller.session.id)  # type: ignore[arg-type]
        await uow.session.execute(ended.values(ended_at=desk.make.ports.clock.now()))
        uow.wake(AUTHORITY_TOPIC, str(caller.session.id))


async def test_members_who_see_the_same_share_one_run_and_each_has_its_own_id(desk: Desk, live: Served) -> None:
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    tokens = [(await seeing_all(desk)).token for _ in range(4)] * 2
    async with settled(live, tokens, id_, EVENTS, [8]) as sockets:
        await send(desk.admin, id_, "Oi")
        messages = [await socket.receive() for socket in sockets]
    payload = {"data": {"conversationEvents": {"seq": 3, "message": {"text": "Oi"}}}}
    assert [message["payload"] for message in messages] == [payload] * 8
    assert len({message["id"] for message in messages}) == 8


async def test_g1_equal_documents_of_two_organizations_never_share(
    desk: Desk, live: Served, make: Factory, http: httpx.AsyncClient
) -> None:
    theirs = await open_desk(make, http)
    ours_token, their_token = (await seeing_all(desk)).token, (await seeing_all(theirs)).token
    async with AsyncExitStack() as open_:
        ours, other = [await open_.enter_async_context(live.socket()) for _ in range(2)]
        for socket, token in ((ours, ours_token), (other, their_token)):
            await socket.start(token)
            await socket.subscribe(INBOX)
            assert await socket.update() == {"__typename": "InboxReset"}
        await asyncio.sleep(0.2)
        id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
        await send(desk.admin, id_, "Oi")
        assert (await ours.update())["__typename"] == "InboxConversationChanged"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await other.receive()


async def test_g1_d21_members_of_another_role_or_scope_run_apart(desk: Desk, live: Served) -> None:
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    tokens = [
        (await seeing_all(desk)).token,
        (await seeing_all(desk)).token,
        (await seeing_all(desk, Role.VIEWER)).token,
    ]
    tokens += [desk.agent.token or "", desk.agent.token or ""]
    async with settled(live, tokens, id_, EVENTS, [1, 2, 2]) as sockets:
        await send(desk.admin, id_, "Oi")
        assert [(await socket.update())["seq"] for socket in sockets] == [3] * 5


async def test_g1_a_field_for_its_author_only_parts_whom_it_would_mix(desk: Desk, live: Served) -> None:
    """Nothing says beforehand that `idempotencyKey` depends on the caller: the first to ask parts the run."""
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    author, other, third = [await seeing_all(desk) for _ in range(3)]
    document = OWN_KEYS.replace("subscription", f"subscription Keys{uuid4().hex}")
    tokens = [other.token, author.token, third.token, author.token]
    async with settled(live, tokens, id_, document, [4]) as sockets:
        for seq, key in ((3, "first"), (4, "second")):
            await send(Client(desk.http, author.token), id_, key, idempotencyKey=key)
            told = [await socket.update() for socket in sockets]
            assert [event["seq"] for event in told] == [seq] * 4
            assert [event["message"]["idempotencyKey"] for event in told] == [None, key, None, key]
        await until(lambda: sizes(live, id_) == [1, 1, 2])
    async with settled(live, tokens, id_, document, [1, 1, 2]):
        """It is known from the beginning now."""


async def test_g7_late_joiners_get_what_they_lack_and_then_what_all_get(desk: Desk, live: Served) -> None:
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    token, seen = (await seeing_all(desk)).token, dict[int, list[int]]()
    document = EVENTS.replace("... on MessageAdded { seq message { text } }", "... on ConversationEvent { seq }")

    async def follow(number: int) -> None:
        await asyncio.sleep(number * 0.02)
        seen[number] = []
        async with live.socket() as socket:
            await socket.start(token)
            await socket.subscribe(document, id=id_, after=number % 3)
            while not seen[number] or seen[number][-1] < 42:
                seen[number].append((await socket.update())["seq"])

    async def write() -> None:
        for number in range(40):
            await send(desk.admin, id_, str(number))

    await asyncio.gather(write(), *(follow(number) for number in range(12)))
    assert seen == {number: list(range(number % 3 + 1, 43)) for number in range(12)}


async def test_g11_who_leaves_or_loses_the_session_takes_nobody_along(desk: Desk, live: Served) -> None:
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    first, second, third = [await seeing_all(desk) for _ in range(3)]
    async with settled(live, [first.token, second.token, third.token], id_, EVENTS, [3]) as sockets:
        await end_session(desk, first)
        assert await sockets[0].closed() == (4401, "The session has ended.")
        await until(lambda: sizes(live, id_) == [2])
        await sockets[1].connection.close()
        await until(lambda: sizes(live, id_) == [1])
        await send(desk.admin, id_, "Oi")
        assert (await sockets[2].update())["seq"] == 3
    assert sockets[0].received[1:] == []
    await until(lambda: streams_of(live, id_) == [])


async def test_g11_a_narrower_scope_ends_a_shared_stream_and_a_wider_one_leaves_no_hole(
    desk: Desk, live: Served
) -> None:
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    narrowed, promoted, stays = [await seeing_all(desk) for _ in range(3)]
    async with settled(live, [narrowed.token, promoted.token, stays.token], id_, EVENTS, [3]) as sockets:
        await send(desk.admin, id_, "Um")
        assert [(await socket.update())["seq"] for socket in sockets] == [3] * 3
        await change(desk, narrowed, conversation_scope=ConversationScope.OWN)
        await change(desk, promoted, role=Role.ORG_ADMIN)
        assert (await sockets[0].receive())["type"] == "complete"
        await until(lambda: sizes(live, id_) == [1, 1])
        await send(desk.admin, id_, "Dois")
        assert [(await socket.update())["seq"] for socket in sockets[1:]] == [4, 4]


async def test_g11_a_lost_place_in_the_queue_ends_the_stream_at_once(desk: Desk, live: Served) -> None:
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    remove = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code } } }"
    member, client = await desk.colleague()
    async with followers(live, [client.token or ""], id_) as [socket]:
        await until(lambda: bool(live.app.state.doorway.streams.resting))
        without = {"id": global_id("Member", member.id), "queueIds": []}
        assert await desk.admin.ask(remove, input=without) == FINE
        async with asyncio.timeout(2):
            assert (await socket.receive())["type"] == "complete"


async def test_g11_stale_rights_are_renewed_before_a_push(
    desk: Desk, live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a wake-up nor the watch tells that the session has ended: the push itself asks."""
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    ended, stays = [await seeing_all(desk) for _ in range(2)]
    async with settled(live, [ended.token, stays.token], id_, EVENTS, [2]) as sockets:
        monkeypatch.setattr(shared_streams, "FRESH_SECONDS", 0.0)
        async with desk.make.ports.units.of_system(None) as uow:
            row = sa.update(Session).where(Session.id == ended.session.id)  # type: ignore[arg-type]
            await uow.session.execute(row.values(ended_at=desk.make.ports.clock.now()))
        await send(desk.admin, id_, "Oi")
        assert (await sockets[1].update())["seq"] == 3
        assert (await sockets[0].closed())[0] == 4401
    assert sockets[0].received[1:] == []


async def test_g17_a_slow_reader_goes_on_alone_and_misses_nothing(
    desk: Desk, live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = conversation_id((await desk.make.conversation(desk.channel)).id)
    monkeypatch.setattr(outgoing, "PACED_BYTES", 1024)
    token, text = (await seeing_all(desk)).token, "x" * 60_000
    async with settled(live, [token, token, token], id_, EVENTS, [3]) as sockets:
        slow, *brisk = sockets
        slow.connection.transport.pause_reading()
        count = 0
        while sizes(live, id_) == [3]:
            await send(desk.admin, id_, text)
            assert [(await socket.update())["seq"] for socket in brisk] == [3 + count] * 2
            count += 1
            assert count < 200
        assert sizes(live, id_) == [1, 2]
        slow.connection.transport.resume_reading()
        assert [(await slow.update())["seq"] for _ in range(count)] == list(range(3, 3 + count))
        await until(lambda: sizes(live, id_) == [3])
