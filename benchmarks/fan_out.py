"""One event to 500 sockets: PyTake executes and rights are checked, the floor writes the same bytes."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from uuid import UUID

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, measured
from benchmarks.http_client import Connection
from benchmarks.listeners import listen, subscribe
from benchmarks.send import sending
from benchmarks.stage import Stage

SUBSCRIBERS = (500, 200, 50)
_A_MEMBER = 18
_AT_ONCE = 20
_AN_ADDRESS = 150
_RECOVERY_SECONDS = 10
_MOST_EVENTS = 50
_PATIENCE_SECONDS = 30


class NotHeard(Exception):
    """A socket got something else than the others."""


async def fan_out(stage: Stage, limits: Limits) -> Result:
    """For 500 subscribers, or for the first smaller number that all hear it."""
    failed = ""
    for subscribers in SUBSCRIBERS if limits.seconds >= 2 else SUBSCRIBERS[-1:]:
        try:
            result = await _fan_out(stage, limits, subscribers)
        except NotHeard as error:
            failed += f"; {subscribers}: {error}"
            await asyncio.sleep(_RECOVERY_SECONDS)
        else:
            return replace(result, answer=result.answer + failed)
    raise NotHeard(failed)


async def _fan_out(stage: Stage, limits: Limits, subscribers: int) -> Result:
    async with AsyncExitStack() as open_:
        body = sending(_conversation(subscribers))
        make = partial(_subscriber, seed.numbered(9, _conversation(subscribers)))
        watched = [s for at_once in _bunches(subscribers) for s in await _open(open_, stage, at_once, make)]
        plain = [s for at_once in _bunches(subscribers) for s in await _open(open_, stage, at_once, _listener)]
        writer = await open_.enter_async_context(Connection(stage.product, "/graphql", stage.agents[-1].token))
        publisher = await open_.enter_async_context(Connection(stage.floor, "/publish"))
        frame, _ = await _deliver(writer, body, watched)

        async def product() -> Run:
            return await _rounds(stage, stage.product_pid, writer, body, watched, limits)

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


def _bunches(count: int) -> Iterator[range]:
    """They arrive one bunch after the other: how a service takes a storm is another question."""
    return (range(start, min(count, start + _AT_ONCE)) for start in range(0, count, _AT_ONCE))


async def _open(
    open_: AsyncExitStack,
    stage: Stage,
    numbers: range,
    make: Callable[[Stage, int], AbstractAsyncContextManager[ClientConnection]],
) -> list[ClientConnection]:
    try:
        return await asyncio.gather(*(open_.enter_async_context(make(stage, number)) for number in numbers))
    except (TimeoutError, OSError, ConnectionClosed) as error:
        raise NotHeard(f"no socket after {numbers.start} ({error})") from error


def _listener(stage: Stage, number: int) -> AbstractAsyncContextManager[ClientConnection]:
    return listen(stage.floor, source=1 + number // _AN_ADDRESS)


def _conversation(subscribers: int) -> int:
    """One for each attempt: subscribers know that they listen by the only event that it has."""
    return 10 + SUBSCRIBERS.index(subscribers)


def _subscriber(conversation_id: UUID, stage: Stage, number: int) -> AbstractAsyncContextManager[ClientConnection]:
    agent = stage.agents[number // _A_MEMBER]
    return subscribe(stage.product, agent.token, conversation_id, source=1 + number // _AN_ADDRESS)


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

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, received = await asyncio.gather(writer.post(body), asyncio.gather(*map(receive, sockets)))
    except (TimeoutError, ConnectionClosed) as error:
        raise NotHeard(f"{len(latencies)} heard it, then {type(error).__name__}") from error
    failures = [frame for frame in received if b'"errors"' in frame]
    if failures or len(set(received)) != 1:
        raise NotHeard(f"{len(failures)} got an error, {len(set(received) - set(failures))} different frames")
    return received[0], latencies
