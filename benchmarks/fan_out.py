"""One event to many sockets: PyTake executes and rights are checked, the floor writes the same bytes."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, measured
from benchmarks.http_client import Connection
from benchmarks.listeners import listen, subscribe
from benchmarks.processes import resident_kilobytes
from benchmarks.send import SEND, TEXT
from benchmarks.stage import Stage
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.ids import global_id
from pytake_gql.schema import schema

_A_MEMBER = 18
_AT_ONCE = 20
_WARM = 40
_AN_ADDRESS = 150
_RECOVERY_SECONDS = 10
_MOST_EVENTS = 50
_PATIENCE_SECONDS = 30
_ID = re.compile(rb"socket-\d+")


class NotHeard(Exception):
    """A socket got something else than the others."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Sockets that follow one conversation, in groups that ask by different names.

    Each has a conversation of its own: subscribers know that they listen by the only event that it has.
    """

    sockets: int
    groups: int
    conversation: int

    @property
    def title(self) -> str:
        return f"one event to {self.sockets} in {self.groups} group{'s' * (self.groups > 1)}, per delivery"

    @property
    def conversation_id(self) -> UUID:
        return seed.numbered(9, self.conversation)

    def subscriber(self, stage: Stage, number: int) -> AbstractAsyncContextManager[ClientConnection]:
        """Clients draw an id for each subscription, so no two frames are the same."""
        return subscribe(
            stage.product,
            stage.watchers[number // _A_MEMBER].token,
            self.conversation_id,
            source=1 + number // _AN_ADDRESS,
            id_=f"socket-{number:05}",
            name=f"Watch{number % self.groups}",
        )


async def one_group(stage: Stage, limits: Limits) -> Result:
    return await _first_heard(stage, limits, Crowd(500, 1, 10), Crowd(200, 1, 11), Crowd(50, 1, 12))


async def hundred_groups(stage: Stage, limits: Limits) -> Result:
    return await _first_heard(stage, limits, Crowd(2_000, 100, 13), Crowd(500, 25, 14), Crowd(50, 5, 15))


async def _first_heard(stage: Stage, limits: Limits, *crowds: Crowd) -> Result:
    """Of the first crowd that all hears it; they become smaller."""
    failed = ""
    for crowd in crowds if limits.seconds >= 2 else crowds[-1:]:
        try:
            result = await _fan_out(stage, limits, crowd)
        except NotHeard as error:
            failed += f"; {crowd.sockets}: {error}"
            await asyncio.sleep(_RECOVERY_SECONDS)
        else:
            return replace(result, answer=result.answer + failed)
    raise NotHeard(failed)


async def _fan_out(stage: Stage, limits: Limits, crowd: Crowd) -> Result:
    async with AsyncExitStack() as open_:
        plain, floor_size = await _gather(open_, stage, crowd, stage.floor_pid, _listener)
        watched, size = await _gather(open_, stage, crowd, stage.product_pid, crowd.subscriber)
        publisher = await open_.enter_async_context(Connection(stage.floor, "/publish"))
        write = partial(_write, stage, crowd)
        frame, _ = await _deliver(write, watched)

        async def product() -> Run:
            return await _rounds(stage, stage.product_pid, write, watched, limits)

        async def floor() -> Run:
            return await _rounds(stage, stage.floor_pid, partial(publisher.post, frame), plain, limits)

        return await compare(
            crowd.title,
            limits,
            product,
            floor,
            floor_name="raw websockets",
            answer=f"each once, {len(frame)} bytes; {size:.1f} kB a socket, floor {floor_size:.1f}",
        )


async def _gather(
    open_: AsyncExitStack,
    stage: Stage,
    crowd: Crowd,
    server: int,
    make: Callable[[Stage, int], AbstractAsyncContextManager[ClientConnection]],
) -> tuple[list[ClientConnection], float]:
    """All sockets, and how many kB each cost the server; the first ones fill its caches and pools, and do not count."""
    sockets: list[ClientConnection] = []
    before = 0
    for at_once in _bunches(crowd.sockets):
        if at_once.start == _WARM:
            await asyncio.sleep(1)
            before = resident_kilobytes(server)
        sockets += await _open(open_, stage, at_once, make)
    await asyncio.sleep(1)
    return sockets, (resident_kilobytes(server) - before) / (crowd.sockets - _WARM)


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


async def _rounds(
    stage: Stage,
    server: int,
    write: Callable[[], Awaitable[object]],
    sockets: Sequence[ClientConnection],
    limits: Limits,
) -> Run:
    """One event after the other, each when all have the one before."""
    deadline = time.perf_counter() + limits.seconds
    async with measured(server, stage.postmaster) as run:
        for _ in range(_MOST_EVENTS):
            run.latencies += (await _deliver(write, sockets))[1]
            if time.perf_counter() > deadline:
                break
    return run


async def _write(stage: Stage, crowd: Crowd) -> None:
    """In this process, as any other of the service: what is measured is the one that pushes."""
    variables = {"conversation": global_id("Conversation", crowd.conversation_id), "text": TEXT}
    context = Context(ports=stage.ports, principal=stage.agents[0].principal)
    result = await schema.execute(SEND, variables, context)
    if result.errors:
        raise result.errors[0]


async def _deliver(
    write: Callable[[], Awaitable[object]], sockets: Sequence[ClientConnection]
) -> tuple[bytes, list[float]]:
    """The frame that all got, each by its own id, and how long it took to each."""
    started = time.perf_counter()
    latencies: list[float] = []

    async def receive(socket: ClientConnection) -> bytes:
        frame = await socket.recv(decode=False)
        latencies.append(time.perf_counter() - started)
        return frame

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, received = await asyncio.gather(write(), asyncio.gather(*map(receive, sockets)))
    except (TimeoutError, ConnectionClosed) as error:
        raise NotHeard(f"{len(latencies)} heard it, then {type(error).__name__}") from error
    failures = [frame for frame in received if b'"errors"' in frame]
    alike = {_ID.sub(b"", frame) for frame in received}
    if failures or len(alike) != 1:
        raise NotHeard(f"{len(failures)} got an error, {len(alike)} different frames")
    return received[0], latencies
