"""API and worker as processes of their own, on servers of their own, that tests kill without a warning."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
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
    """APIs (`api`, `api-2`), workers (`worker`, `worker-2`); what is killed is started again, as a supervisor does."""

    settings: Settings
    directory: Path
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    """Workers that are another program than ours, by name."""

    def __post_init__(self) -> None:
        for name in ("api", "api-2"):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.ports[name] = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return self.url_of("api")

    def url_of(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str) -> None:
        arguments = ["api", "--port", str(self.ports[name])] if name in self.ports else ["worker"]
        with (self.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", self.modules.get(name, "pytake_gql"), *arguments],
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

    async def is_ready(self, name: str = "api") -> None:
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url_of(name)}/readyz")).status_code == httpx.codes.OK:
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
    protocols: Any = ["graphql-transport-ws"]
    async with connect(f"{address}/graphql", subprotocols=protocols, open_timeout=5, close_timeout=1) as connection:
        await connection.send(
            orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}).decode()
        )
        assert orjson.loads(await connection.recv()) == {"type": "connection_ack"}
        yield connection


async def follow(
    url: str | Callable[[], str],
    token: str,
    conversation: str,
    seen: list[int],
    leaves: Callable[[], bool] = lambda: False,
) -> None:
    """Follows a conversation through every loss of the socket, from the last seq on; until cancelled (G7).

    `leaves`: asked after each event whether to go, without a word, and come back.
    """
    document = """subscription ($id: ID!, $after: Int) { conversationEvents(conversationId: $id, after: $after) {
        ... on ConversationEvent { seq } } }"""
    while True:
        with suppress(OSError, WebSocketException, TimeoutError, EOFError):
            async with socket_of(url if isinstance(url, str) else url(), token) as connection:
                variables = {"id": conversation, "after": seen[-1] if seen else 0}
                subscribe = {"id": "1", "type": "subscribe", "payload": {"query": document, "variables": variables}}
                await connection.send(orjson.dumps(subscribe).decode())
                async for frame in connection:
                    message = orjson.loads(frame)
                    if message["type"] != "next" or "errors" in message["payload"]:
                        break
                    seen.append(message["payload"]["data"]["conversationEvents"]["seq"])
                    if leaves():
                        connection.transport.abort()
                        break
        await asyncio.sleep(0.05)
