"""What can be counted instead of timed: the same in each run, on any machine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from asyncpg.connection import LoggedQuery
from graphql import GraphQLError
from sqlalchemy import event

from benchmarks import seed
from benchmarks.listeners import WATCH
from benchmarks.pull import PULL
from benchmarks.reading import HISTORY, LIST
from benchmarks.send import SEND, TEXT
from benchmarks.stage import Stage
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.operation import Followed as What
from pytake_gql.kernel.graphql.shared_streams import Stream, Streams
from pytake_gql.kernel.graphql.sockets import Sockets
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Principal
from pytake_gql.schema import schema

NAMES = ("SQL statements", "with BEGIN … COMMIT", "parsed", "validated", "cache hits", "executions")
LISTENERS = 10
_NUMBER = 20
_PATIENCE_SECONDS = 20


@dataclass(slots=True)
class Counted:
    statements: int = 0
    exchanges: int = 0
    """With those that begin and end a transaction."""

    def frame(self, sent: LoggedQuery) -> None:
        self.exchanges += 1
        self.statements += not sent.query.startswith(("BEGIN", "COMMIT", "ROLLBACK"))

    def execute(self, *_: Any) -> None:
        self.statements += 1
        self.exchanges += 1


async def count(stage: Stage) -> list[tuple[str, tuple[int, ...]]]:
    """Of the second call of each operation: the first one fills what is kept."""
    history = {"id": global_id("Conversation", seed.HISTORY_ID), "first": 100}
    sent = {"conversation": global_id("Conversation", seed.numbered(9, _NUMBER)), "text": TEXT}
    async with _logged(stage) as counted:
        return [
            await _operation(stage, counted, "list of 50 conversations", LIST, {"first": 50}),
            await _operation(stage, counted, "history of 100 messages", HISTORY, history),
            await _operation(stage, counted, "pull", PULL, {}),
            sending := await _operation(stage, counted, "send a message", SEND, sent),
            await _event(stage, counted, sent, sending[1]),
        ]


@asynccontextmanager
async def _logged(stage: Stage) -> AsyncIterator[Counted]:
    """Whatever this process's pool sends from now on, by connections that it has not opened yet."""
    counted, engine = Counted(), stage.ports.database.engine
    await engine.dispose()

    def follow(connection: Any, _record: Any) -> None:
        connection.driver_connection.add_query_logger(counted.frame)

    event.listen(engine.sync_engine, "connect", follow)
    event.listen(engine.sync_engine, "before_cursor_execute", counted.execute)
    try:
        yield counted
    finally:
        event.remove(engine.sync_engine, "connect", follow)
        event.remove(engine.sync_engine, "before_cursor_execute", counted.execute)


async def _operation(
    stage: Stage, counted: Counted, title: str, document: str, variables: dict[str, Any]
) -> tuple[str, tuple[int, ...]]:
    for _ in range(2):
        counted.statements = counted.exchanges = 0
        read = _documents()
        result = await schema.execute(document, variables, _context(stage))
        if result.errors:
            raise result.errors[0]
    return title, (counted.statements, counted.exchanges, *_since(read), 1)


async def _event(
    stage: Stage, counted: Counted, sent: dict[str, Any], sending: tuple[int, ...]
) -> tuple[str, tuple[int, ...]]:
    """Until all subscribers, who are equals, have a message: what its sending takes, and was counted, left aside."""
    streams = Streams(schema, stage.ports, Sockets(stage.ports))
    context = _context(stage)
    operation = await schema.accept(WATCH, {}, None, context)
    variables = {"conversation": sent["conversation"]}
    listeners = [Listener(context.principal, number) for number in range(LISTENERS)]
    for listener in listeners:
        streams.follow(listener, What(WATCH, variables, operation, context.locale), context.principal)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        # The seeded event, and the two messages of the operation above; then the listeners find their equals.
        await _until(lambda: all(len(listener.frames) == 3 for listener in listeners) and len(streams.running) == 1)
        counted.statements = counted.exchanges = 0
        executed = streams.executions
        read = _documents()
        await schema.execute(SEND, sent, _context(stage))
        await _until(lambda: all(len(listener.frames) == 4 for listener in listeners))
    parsed, validated, hits = _since(read)
    executions = streams.executions - executed
    numbers = counted.statements - sending[0], counted.exchanges - sending[1], parsed, validated, hits - 1, executions
    for listener in listeners:
        streams.leave(listener)
    return f"one event to {LISTENERS} equal subscribers", numbers


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class Listener:
    """A subscriber, and at once the socket that holds it, which reads everything."""

    address: str | None = None
    is_behind = is_gone = False

    def __init__(self, principal: Principal, number: int) -> None:
        self.principal: Principal | None = principal
        self.renewed_at = float("inf")
        self.head = b'{"id":"%d","type":"next","payload":' % number
        self.stream: Stream | None = None
        self.holder = self
        self.frames: list[bytes] = []
        self.write = self._write

    def _write(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return True

    async def room(self) -> None: ...

    def complete(self) -> None: ...

    def fail(self, errors: list[GraphQLError]) -> None:
        raise errors[0]

    def take(self, fresh: Principal | None, asked_at: float, *, is_told: bool = False) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


def _context(stage: Stage) -> Context:
    return Context(ports=stage.ports, principal=stage.agents[0].principal)


def _documents() -> tuple[int, int, int]:
    known = schema.documents
    return known.parsed, known.validated, known.hits


def _since(before: tuple[int, int, int]) -> tuple[int, int, int]:
    parsed, validated, hits = (now - then for now, then in zip(_documents(), before, strict=True))
    return parsed, validated, hits
