"""API and worker as processes of their own, on servers of their own, that tests kill without a warning."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from pytake_gql.kernel.settings import Settings


@dataclass
class Processes:
    """One API and one worker; whatever is killed is started again, as a supervisor does."""

    settings: Settings
    directory: Path
    port: int = 0
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        arguments = [name, "--port", str(self.port)] if name == "api" else [name]
        with (self.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "pytake_gql", *arguments],
                env={
                    **os.environ,
                    "DATABASE_URL": self.settings.database_url,
                    "REDIS_URL": self.settings.redis_url,
                    "PYTAKE_PUBLIC_URL": self.url,
                },
                stdout=log,
                stderr=log,
            )

    async def kill(self, name: str) -> None:
        """Kill -9, and a new one at once."""
        process = self.running[name]
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        self.start(name)

    async def is_ready(self) -> None:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


async def flush(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()


@dataclass
class Persistent:
    """A caller who tries again until there is an answer: with a key, a retry does nothing twice (G5)."""

    http: httpx.AsyncClient
    url: str
    token: str

    async def ask(self, document: str, **variables: Any) -> Any:
        body = {"query": document, "variables": variables}
        headers = {"authorization": f"Bearer {self.token}", "accept-language": "en"}
        while True:
            with suppress(httpx.TransportError, orjson.JSONDecodeError):
                answer = await self.http.post(f"{self.url}/graphql", json=body, headers=headers)
                read = orjson.loads(answer.content)
                codes = {error["extensions"]["code"] for error in read.get("errors", [])}
                if not codes:
                    return next(iter(read["data"].values()))
                assert codes <= {"INTERNAL", "TIMEOUT", "RATE_LIMITED"}, read
            await asyncio.sleep(0.05)


@asynccontextmanager
async def socket_of(url: str, token: str) -> AsyncIterator[Any]:
    address = url.replace("http://", "ws://")
    async with connect(f"{address}/graphql", subprotocols=["graphql-transport-ws"], open_timeout=5) as connection:  # type: ignore[list-item]
        await connection.send(
            orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}).decode()
        )
        assert orjson.loads(await connection.recv()) == {"type": "connection_ack"}
        yield connection


async def follow(url: str, token: str, conversation: str, seen: list[int]) -> None:
    """Follows a conversation through every loss of the socket, from the last seq on; until cancelled (G7)."""
    document = """subscription ($id: ID!, $after: Int) { conversationEvents(conversationId: $id, after: $after) {
        ... on ConversationEvent { seq } } }"""
    while True:
        with suppress(OSError, WebSocketException, TimeoutError, EOFError):
            async with socket_of(url, token) as connection:
                variables = {"id": conversation, "after": seen[-1] if seen else 0}
                subscribe = {"id": "1", "type": "subscribe", "payload": {"query": document, "variables": variables}}
                await connection.send(orjson.dumps(subscribe).decode())
                async for frame in connection:
                    message = orjson.loads(frame)
                    if message["type"] != "next" or "errors" in message["payload"]:
                        break
                    seen.append(message["payload"]["data"]["conversationEvents"]["seq"])
        await asyncio.sleep(0.05)
