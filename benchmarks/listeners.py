"""Subscribers, as front ends are: graphql-transport-ws for PyTake, a bare websocket for the floor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from pytake_gql.development.run import HOST
from pytake_gql.kernel.ids import global_id

WATCH = """subscription Watch($conversation: ID!) {
  conversationEvents(conversationId: $conversation, after: 0) {
    __typename
    ... on MessageAdded { seq at message { id seq text status authorKind createdAt } }
  }
}"""


@asynccontextmanager
async def signed_in(port: int, token: str, *, source: int) -> AsyncIterator[ClientConnection]:
    """A socket that may subscribe."""
    async with _open(port, "/graphql", source, Subprotocol("graphql-transport-ws")) as socket:
        await _send(socket, {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        await socket.recv()
        yield socket


@asynccontextmanager
async def subscribe(
    port: int, token: str, conversation_id: UUID, *, source: int, id_: str = "1", name: str = "Watch"
) -> AsyncIterator[ClientConnection]:
    """A socket that receives what happens from now on in a conversation with one event, which shows that it listens."""
    async with signed_in(port, token, source=source) as socket:
        variables = {"conversation": global_id("Conversation", conversation_id)}
        payload = {"query": WATCH.replace("Watch", name), "variables": variables}
        await _send(socket, {"id": id_, "type": "subscribe", "payload": payload})
        await socket.recv()
        yield socket


@asynccontextmanager
async def listen(port: int, *, source: int) -> AsyncIterator[ClientConnection]:
    """A socket of the floor."""
    async with _open(port, "/listen", source, None) as socket:
        yield socket


def _open(port: int, path: str, source: int, protocol: Subprotocol | None) -> connect:
    """From one of several loopback addresses: one address has a limited number of sockets."""
    return connect(
        f"ws://{HOST}:{port}{path}",
        subprotocols=[protocol] if protocol else None,
        local_addr=(f"127.0.0.{source}", 0),
        compression=None,
        ping_interval=None,
        open_timeout=30,
        max_queue=None,
    )


async def _send(socket: ClientConnection, message: object) -> None:
    await socket.send(orjson.dumps(message).decode())
