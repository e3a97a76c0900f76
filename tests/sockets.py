"""A graphql-transport-ws client for tests, and a real server for it to talk to."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pytake_gql.app import Server

PATIENCE = 10.0
"""No test waits longer for a message or a close; on success none comes near."""


@dataclass
class SocketClient:
    """One socket: what it sent is written by hand, so that wrong messages can be sent too."""

    connection: ClientConnection
    received: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, message: object) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else orjson.dumps(message).decode())

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = orjson.loads(await self.connection.recv())
        self.received.append(message)
        return message

    async def start(self, token: str) -> None:
        """Up to the acknowledgement."""
        await self.send({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, id_: str = "1", **variables: Any) -> None:
        await self.send({"id": id_, "type": "subscribe", "payload": {"query": query, "variables": variables}})

    async def answer(self, query: str, id_: str = "1", **variables: Any) -> dict[str, Any]:
        """The one result of a query or mutation: the payload of `next`, or {"errors": …} before execution."""
        await self.subscribe(query, id_, **variables)
        message = await self.receive()
        assert message["id"] == id_
        if message["type"] == "error":
            return {"errors": message["payload"]}
        assert await self.receive() == {"id": id_, "type": "complete"}
        payload: dict[str, Any] = message["payload"]
        return payload

    async def update(self) -> Any:
        """What a subscription pushes next: the value of its root field."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return next(iter(message["payload"]["data"].values()))

    async def closed(self) -> tuple[int | None, str]:
        """The code and reason of the close that comes next; messages before it are kept in `received`."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self.received.append(orjson.loads(await self.connection.recv()))
        except ConnectionClosed:
            return self.connection.close_code, self.connection.close_reason or ""


@dataclass(frozen=True)
class Served:
    """An application behind a real server on a free port."""

    app: Starlette
    server: Server
    host: str

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @contextlib.asynccontextmanager
    async def socket(
        self,
        *,
        subprotocol: str = "graphql-transport-ws",
        origin: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[SocketClient]:
        async with connect(
            f"ws://{self.host}/graphql",
            subprotocols=[subprotocol],  # type: ignore[list-item]
            origin=origin,  # type: ignore[arg-type]
            additional_headers=headers,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=1,
        ) as connection:
            yield SocketClient(connection)


@contextlib.asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[Served]:
    """Serves until the block ends; the sockets that are open then are dropped."""
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    server = Server(app, host, port)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Served(app, server, f"{host}:{port}")
    finally:
        server.should_exit = True
        await running
