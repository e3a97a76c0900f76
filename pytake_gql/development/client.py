"""A GraphQL client of the running service, by HTTP and websocket as a front end is one."""

import asyncio
import http.client
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

TIMEOUT_SECONDS = 15.0


class RequestFailed(Exception):
    """The service refused, or answered something else than GraphQL; `retry_after_seconds` when it asks to wait."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Client:
    """`url` is the service's own, such as http://127.0.0.1:8000; `token` a member's or a visitor's."""

    url: str
    token: str | None = None

    def signed_in(self, token: str) -> "Client":
        return replace(self, token=token)

    async def ask(self, document: str, **variables: Any) -> Any:
        """The value of the document's one root field; raises `RequestFailed`, for userErrors too."""
        answer = await asyncio.to_thread(self._post, {"query": document, "variables": variables})
        return _root_value(answer)

    @asynccontextmanager
    async def subscribe(self, document: str, **variables: Any) -> AsyncIterator[AsyncGenerator[Any]]:
        """The values of a subscription's root field; it has been asked for when the block is entered."""
        address = f"{self.url.replace('http', 'ws', 1)}/graphql"
        protocol = Subprotocol("graphql-transport-ws")
        async with connect(address, subprotocols=[protocol], open_timeout=TIMEOUT_SECONDS) as socket:
            authorization = {"authorization": f"Bearer {self.token}"} if self.token else {}
            await _send(socket, {"type": "connection_init", "payload": authorization})
            await _expect(socket, "connection_ack")
            payload = {"query": document, "variables": variables}
            await _send(socket, {"id": "1", "type": "subscribe", "payload": payload})
            yield _values(socket)

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(
            parts.netloc, timeout=TIMEOUT_SECONDS
        )
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        try:
            connection.request("POST", f"{parts.path.rstrip('/')}/graphql", orjson.dumps(body), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = orjson.loads(response.read())
        except ValueError as error:
            raise RequestFailed(f"{self.url} does not speak GraphQL (HTTP {response.status})") from error
        finally:
            connection.close()
        return answer


def _root_value(answer: dict[str, Any]) -> Any:
    for error in answer.get("errors") or ():
        extensions = error.get("extensions") or {}
        raise RequestFailed(
            f"{extensions.get('code', 'ERROR')}: {error['message']}", extensions.get("retryAfterSeconds")
        )
    value = next(iter(answer["data"].values()))
    for problem in (value.get("userErrors") or ()) if isinstance(value, dict) else ():
        raise RequestFailed(f"{problem.get('code', 'refused')}: {problem.get('message', '')}")
    return value


async def _values(socket: ClientConnection) -> AsyncGenerator[Any]:
    async for frame in socket:
        message = orjson.loads(frame)
        if message["type"] == "next":
            yield _root_value(message["payload"])
        elif message["type"] == "error":
            _root_value({"errors": message["payload"]})
        elif message["type"] == "complete":
            return
        elif message["type"] == "ping":
            await _send(socket, {"type": "pong"})


async def _send(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(orjson.dumps(message).decode())


async def _expect(socket: ClientConnection, kind: str) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        message = orjson.loads(await socket.recv())
    if message["type"] != kind:
        raise RequestFailed(f"the websocket answered {message['type']} instead of {kind}")


def is_ready(url: str) -> bool:
    """Whether the service says that it takes calls."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
