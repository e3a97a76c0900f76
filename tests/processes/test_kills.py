"""kill -9 and FLUSHALL while people write: nothing is lost, doubled or out of order (G3, G5, G6, G7)."""

import asyncio
import random
from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.conversations.models import Conversation, Message, MessageDirection, MessageStatus
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory, Visitor
from tests.processes.machinery import Persistent, Processes, flush, follow

VISITORS = 20
SAY = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) { userErrors { code } } }"""
REPLY = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code } } }"
FINE: dict[str, Any] = {"userErrors": []}


async def write(caller: Persistent, accepted: list[str], until: asyncio.Event) -> None:
    """One visitor: a message is accepted once its answer is there, however often it had to be sent."""
    while not until.is_set():
        text = f"mensagem {len(accepted)}"
        assert await caller.ask(SAY, input={"text": text, "idempotencyKey": text}) == FINE
        accepted.append(text)
        await asyncio.sleep(random.uniform(0.0, 0.2))


async def harm(processes: Processes, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        for act in (
            processes.kill("worker"),
            flush(processes.settings.redis_url),
            processes.kill("api"),
            flush(processes.settings.redis_url),
        ):
            await asyncio.sleep(random.uniform(0.3, 0.8))
            await act
        await processes.is_ready()


async def conversations_of(ports: Ports, organization_id: UUID) -> dict[UUID, int]:
    """Each conversation, and the seq of its newest event."""
    async with ports.database.session(organization_id) as session:
        rows = await session.execute(select(Conversation.id, Conversation.last_seq))
        return {row[0]: row[1] for row in rows}


async def said(ports: Ports, organization_id: UUID) -> list[list[str | None]]:
    """What each contact said, in the order of the timeline."""
    async with ports.database.session(organization_id) as session:
        statement = (
            select(Message.conversation_id, Message.text)
            .where(Message.direction == MessageDirection.INBOUND)
            .order_by(col(Message.conversation_id), col(Message.seq))
        )
        spoken: dict[UUID, list[str | None]] = {}
        for conversation, text in await session.execute(statement):
            spoken.setdefault(conversation, []).append(text)
    return list(spoken.values())


async def unsent(ports: Ports, organization_id: UUID) -> int:
    async with ports.database.session(organization_id) as session:
        statement = select(sa.func.count()).where(
            Message.direction == MessageDirection.OUTBOUND, col(Message.status) != MessageStatus.SENT
        )
        return int(await session.scalar(statement) or 0)


async def everybody_writes(desk: Desk, url: str, visitors: list[Visitor], until: asyncio.Event) -> list[list[str]]:
    accepted: list[list[str]] = [[] for _ in visitors]
    async with httpx.AsyncClient(timeout=15, limits=httpx.Limits(max_connections=100)) as http:
        callers = [Persistent(http, url, visitor.token) for visitor in visitors]
        agent = Persistent(http, url, desk.agent.token or "")

        async def answer() -> None:
            while not until.is_set():
                for id_ in await conversations_of(desk.make.ports, desk.organization.id):
                    key = uuid4().hex
                    input_ = {"conversationId": conversation_id(id_), "text": "Já vou", "idempotencyKey": key}
                    assert await agent.ask(REPLY, input=input_) == FINE
                await asyncio.sleep(0.2)

        await asyncio.gather(answer(), *(write(c, said_, until) for c, said_ in zip(callers, accepted, strict=True)))
    return accepted


async def test_g3_g7_kill_9_of_api_and_worker_and_flushall_lose_and_double_nothing(
    processes: Processes, their_ports: Ports, http: httpx.AsyncClient, is_long: bool
) -> None:
    make = Factory(their_ports)
    desk = await open_desk(make, http)
    follower = (await make.signed_in(await make.member(desk.organization, Role.ORG_ADMIN))).token
    visitors = [await make.visitor(desk.channel) for _ in range(VISITORS)]
    until = asyncio.Event()
    writing = asyncio.create_task(everybody_writes(desk, processes.url, visitors, until))
    while len(await conversations_of(their_ports, desk.organization.id)) < VISITORS:
        await asyncio.sleep(0.1)
    followed: dict[UUID, list[int]] = {
        id_: [] for id_ in list(await conversations_of(their_ports, desk.organization.id))[:10]
    }
    followers = [
        asyncio.create_task(follow(processes.url, follower, conversation_id(id_), seen))
        for id_, seen in followed.items()
    ]
    await harm(processes, 300 if is_long else 8)
    until.set()
    accepted = await writing

    assert sorted(await said(their_ports, desk.organization.id)) == sorted(accepted)
    assert sum(map(len, accepted)) > VISITORS
    async with asyncio.timeout(60):
        while await unsent(their_ports, desk.organization.id):
            await asyncio.sleep(0.2)
        ends = await conversations_of(their_ports, desk.organization.id)
        while any(not seen or seen[-1] < ends[id_] for id_, seen in followed.items()):
            await asyncio.sleep(0.1)
    for task in followers:
        task.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    assert {id_: list(range(1, ends[id_] + 1)) for id_ in followed} == followed
