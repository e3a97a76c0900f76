"""One event to 500 sockets: PyTake executes and rights are checked, the floor writes the same bytes."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from websockets.asyncio.client import ClientConnection

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, measured
from benchmarks.http_client import Connection
from benchmarks.listeners import listen, subscribe
from benchmarks.send import sending
from benchmarks.stage import Stage

SUBSCRIBERS = 500
_A_MEMBER = 18
_AN_ADDRESS = 150
_NUMBER = 10
_MOST_EVENTS = 50
_PATIENCE_SECONDS = 60


class NotHeard(Exception):
    """A socket got something else than the others."""


async def fan_out(stage: Stage, limits: Limits) -> Result:
    subscribers = SUBSCRIBERS if limits.seconds >= 2 else 50
    async with AsyncExitStack() as open_:
        watched = await asyncio.gather(
            *(open_.enter_async_context(_subscriber(stage, number)) for number in range(subscribers))
        )
        plain = await asyncio.gather(
            *(
                open_.enter_async_context(listen(stage.floor, source=1 + number // _AN_ADDRESS))
                for number in range(subscribers)
            )
        )
        writer = await open_.enter_async_context(Connection(stage.product, "/graphql", stage.agents[-1].token))
        publisher = await open_.enter_async_context(Connection(stage.floor, "/publish"))
        frame, _ = await _deliver(writer, sending(_NUMBER), watched)

        async def product() -> Run:
            return await _rounds(stage, stage.product_pid, writer, sending(_NUMBER), watched, limits)

        async def floor() -> Run:
            return await _rounds(stage, stage.floor_pid, publisher, frame, plain, limits)

        return await compare(
            f"one event to {subscribers}, per delivery",
            limits,
            product,
            floor,
            floor_name="raw websockets",
            answer=f"each once, {len(frame)} bytes",
        )


def _subscriber(stage: Stage, number: int) -> AbstractAsyncContextManager[ClientConnection]:
    agent = stage.agents[number // _A_MEMBER]
    return subscribe(stage.product, agent.token, seed.numbered(9, _NUMBER), source=1 + number // _AN_ADDRESS)


async def _rounds(
    stage: Stage, server: int, writer: Connection, body: bytes, sockets: Sequence[ClientConnection], limits: Limits
) -> Run:
    """One event after the other, each when all have the one before."""
    deadline = time.perf_counter() + limits.seconds
    async with measured(server, stage.postmaster) as run:
        for _ in range(_MOST_EVENTS):
            run.latencies += (await _deliver(writer, body, sockets))[1]
            if time.perf_counter() > deadline:
                break
    return run


async def _deliver(writer: Connection, body: bytes, sockets: Sequence[ClientConnection]) -> tuple[bytes, list[float]]:
    """The one frame that all got, and how long it took to each."""
    started = time.perf_counter()
    latencies: list[float] = []

    async def receive(socket: ClientConnection) -> bytes:
        frame = await socket.recv(decode=False)
        latencies.append(time.perf_counter() - started)
        return frame

    async with asyncio.timeout(_PATIENCE_SECONDS):
        _, received = await asyncio.gather(writer.post(body), asyncio.gather(*map(receive, sockets)))
    frames = set(received)
    if len(frames) != 1:
        raise NotHeard(f"{len(frames)} different frames of one event")
    return frames.pop(), latencies
