"""kill -9 of workers between steps and inside effects, FLUSHALL, two workers: no step is lost or taken twice (G10)."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.automation.flow_runs.models import FlowEffect, FlowRun
from pytake_gql.desk.conversations.models import Message
from pytake_gql.kernel import tasks
from pytake_gql.kernel.ports import Ports
from tests.automation.flow_runs.bots import Bot, Talk, graph
from tests.desk.desk import open_desk
from tests.factories import Factory
from tests.processes.machinery import Processes, flush

WORKERS = ("worker", "worker-2")


@dataclass
class OutsideWorld:
    """Counts calls by their idempotency key; holds them back while it is told to."""

    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        key = next(line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("idempotency-key: "))
        self.calls[key] += 1
        await self.opened.wait()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"ok": true}')
        writer.close()

    async def has_calls(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.calls.total() < count:
                await asyncio.sleep(0.02)


def asking(port: int) -> dict[str, Any]:
    """Two questions, two calls, and a moment's wait: the same is said whatever becomes of the calls."""
    call = ("API_CALL", {"method": "GET", "url": f"http://recorder.example.com:{port}/", "timeoutSeconds": 2})
    nodes = {
        "s": "START", "q1": ("QUESTION", {"text": "Um?", "variable": "um", "type": "TEXT"}), "a1": call,
        "m": ("MESSAGE", {"text": "Certo."}), "w": ("WAIT", {"seconds": 1}),
        "q2": ("QUESTION", {"text": "Dois?", "variable": "dois", "type": "TEXT"}), "a2": call,
        "e": ("END", {"text": "{{um}} {{dois}}"}),
    }  # fmt: skip
    ways = ["s -> q1", "q1 -> a1", "a1 -> m", "a1:error -> m", "m -> w", "w -> q2", "q2 -> a2", "a2 -> e"]
    return graph(nodes, *ways, "a2:error -> e")


SAID = ["> Oi", "Um?", "> primeiro", "Certo.", "Dois?", "> segundo", "primeiro segundo"]
NODES = ["s", "q1", "a1", "m", "w", "q2", "a2", "e"]


async def heard(talk: Talk) -> list[str]:
    rows = sorted(await talk.messages(), key=lambda row: row.seq)
    return [("> " if row.author_kind == "CONTACT" else "") + (row.text or "") for row in rows]


@dataclass
class Ear:
    """Looks for all talks at once: a hundred who look for themselves would starve the workers that they wait for."""

    bot: Bot
    counts: dict[UUID, int] = field(default_factory=dict)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._look())
        yield
        await tasks.end([looking])

    async def _look(self) -> None:
        counted = sa.select(col(Message.conversation_id), sa.func.count()).group_by(col(Message.conversation_id))
        while True:
            async with self.bot.ports.database.session(self.bot.organization_id) as session:
                self.counts = {row[0]: row[1] for row in await session.execute(counted)}
            await asyncio.sleep(0.1)

    async def hears(self, talk: Talk, count: int) -> None:
        assert talk.conversation_id is not None
        async with asyncio.timeout(180):
            while self.counts.get(talk.conversation_id, 0) < count:
                await asyncio.sleep(0.05)


async def speaks(talk: Talk, ear: Ear, *, after_seconds: float) -> None:
    """Says each thing once it was asked."""
    await asyncio.sleep(after_seconds)
    await talk.write("Oi")
    await ear.hears(talk, 2)
    await talk.write("primeiro")
    await ear.hears(talk, 5)
    await talk.write("segundo")
    await ear.hears(talk, 7)


async def is_whole(talk: Talk) -> None:
    async with asyncio.timeout(60):
        while (await talk.run()).status != "COMPLETED":
            await asyncio.sleep(0.05)
    assert await heard(talk) == SAID
    assert [node for node, _ in await talk.path()] == NODES
    assert (await talk.run()).state["variables"] == {"um": "primeiro", "dois": "segundo"}


async def end_leases(ports: Ports, bot: Bot) -> None:
    """As if their time had passed."""
    async with ports.units.of_system(bot.organization_id) as uow:
        await uow.session.execute(sa.update(FlowEffect).values(due_at=uow.now()))


async def a_bot(place: Processes, ports: Ports, http: httpx.AsyncClient, world: OutsideWorld) -> Bot:
    for name in WORKERS:
        place.modules[name] = "tests.processes.open_worker"
    bot = Bot(await open_desk(Factory(ports), http))
    await bot.greets(await bot.publish(asking(world.port)))
    return bot


async def test_g10_kill_9_inside_an_effect_and_between_steps(
    place: Processes, their_ports: Ports, http: httpx.AsyncClient
) -> None:
    world = OutsideWorld()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(world.serving())
        bot = await a_bot(place, their_ports, http, world)
        talk, ear = await bot.visitor(), Ear(bot)
        await stack.enter_async_context(ear.listening())
        place.start("worker")
        await talk.write("Oi")
        await ear.hears(talk, 2)
        await talk.write("primeiro")
        await world.has_calls(1)
        await place.kill("worker")  # inside the effect: it is not done again
        await flush(place.settings.redis_url)
        world.opened.set()
        await end_leases(their_ports, bot)
        await ear.hears(talk, 5)
        await talk.write("segundo")
        await place.kill("worker")  # with a reply on its way
        await flush(place.settings.redis_url)
        await is_whole(talk)
        run = await talk.run()
        assert (await talk.path())[2] == ("a1", "error")
        assert world.calls[f"{run.id.hex}-1"] == 1
        assert set(world.calls.values()) == {1}
        assert await bot.rows(FlowEffect) == []
        assert await bot.rows(FlowRun, col(FlowRun.wake_at).is_not(None)) == []


async def test_g10_many_talk_while_two_workers_are_killed_and_redis_is_emptied(
    place: Processes, their_ports: Ports, http: httpx.AsyncClient, is_long: bool
) -> None:
    if not is_long:
        pytest.skip("workers take their time to start")
    world = OutsideWorld()
    world.opened.set()
    async with world.serving():
        bot = await a_bot(place, their_ports, http, world)
        for name in WORKERS:
            place.start(name)
        talks = [await bot.visitor() for _ in range(100)]
        ear = Ear(bot)
        async with ear.listening():
            coming = (speaks(talk, ear, after_seconds=number * 0.5) for number, talk in enumerate(talks))
            speaking = asyncio.gather(*coming)
            for _ in range(60):
                await asyncio.sleep(random.uniform(0.5, 2.5))
                await place.kill(random.choice(WORKERS))
                await flush(place.settings.redis_url)
            await speaking
        for talk in talks:
            await is_whole(talk)
        assert set(world.calls.values()) <= {1}
