"""One websocket's traffic: bounded frames in, and out of a queue of its own, so that nobody waits for a slow reader.

A sender is paced while much is queued. A reader that lets 1 MB queue up, or reads nothing for ten seconds while a
sender waits, is cut (1013, try again later) and resumes by seq.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.http.async_base_view import AsyncWebSocketAdapter
from strawberry.http.exceptions import NonTextMessageReceived, WebSocketDisconnected

from pytake_gql.kernel import metrics
from pytake_gql.kernel.graphql.calls import read_json, write_json

FRAME_BYTES = 64 * 1024
BACKLOG_BYTES = 1024 * 1024
PACED_BYTES = 256 * 1024
PATIENCE_SECONDS = 10.0
TRY_AGAIN_LATER = 1013
TOO_BIG = 1009

_CLOSE_SECONDS = 1.0
_GONE = (WebSocketDisconnect, WebSocketDisconnected, RuntimeError, OSError)
"""What sending raises once the peer has left, by server."""


class Socket(AsyncWebSocketAdapter):
    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._queue: deque[str] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self.backlog = 0
        self.close_code: int | None = None

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:  # noqa: ARG002
        """The messages; raises `NonTextMessageReceived`, or `BadUserInput` for what is no JSON."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                raise NonTextMessageReceived
            data = text.encode(errors="surrogatepass")
            if len(data) > FRAME_BYTES:
                await self.close(TOO_BIG, "The message is larger than 64 kB.")
                return
            if self.close_code is None:
                yield read_json(data)

    async def send_json(self, message: Mapping[str, Any]) -> None:
        await self.send_text(write_json(message).decode())

    async def send_text(self, text: str) -> None:
        """Queues it, and waits only where this socket's own reader is behind."""
        if self.close_code is not None:
            raise WebSocketDisconnected
        self._queue.append(text)
        self.backlog += len(text)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="socket writer")
        if self.backlog > BACKLOG_BYTES or not await self._has_room():
            await self.close(TRY_AGAIN_LATER, "You read too slowly: come back and resume.")
            raise WebSocketDisconnected

    async def _has_room(self) -> bool:
        if self.backlog <= PACED_BYTES:
            return True
        self._room.clear()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    async def _write(self) -> None:
        try:
            while self._queue:
                text = self._queue.popleft()
                await self._websocket.send_text(text)
                self.backlog -= len(text)
                if self.backlog <= PACED_BYTES:
                    self._room.set()
        except _GONE:
            self.close_code = self.close_code or 1006
            self._queue.clear()
            self._room.set()

    async def close(self, code: int, reason: str) -> None:
        """Closes once; what is queued goes first if it goes at once. A peer that does not read is disconnected."""
        if self.close_code is not None:
            return
        self.close_code = code
        metrics.sockets_closed.labels(str(code)).inc()
        self._room.set()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._writer is not None and self.backlog <= PACED_BYTES:
                    await asyncio.shield(self._writer)
                await self._websocket.close(code, reason[:120])
        except TimeoutError:
            self._abort()
        except _GONE:
            pass
        await self.stop()

    async def stop(self) -> None:
        self._queue.clear()
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer

    def _abort(self) -> None:
        """Drops the connection with all that the kernel still holds for it, where the server lets us."""
        abort = self._websocket.scope.get("extensions", {}).get("pytake.abort")
        if abort is not None:
            abort["call"]()
