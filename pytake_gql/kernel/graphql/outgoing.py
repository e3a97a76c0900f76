"""One websocket's traffic: bounded frames in, and frames out that nobody waits to write.

What is sent goes to the connection's own buffer. A socket is *behind* while much of it waits there to be read: then
whoever has more to send is to wait for `room`. A reader that lets 1 MB pile up, or is behind for ten seconds while a
sender waits, is cut (1013, try again later) and resumes by seq.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.http.async_base_view import AsyncWebSocketAdapter
from strawberry.http.exceptions import NonTextMessageReceived, WebSocketDisconnected

from pytake_gql.kernel import metrics
from pytake_gql.kernel.graphql.calls import read_json, write_json
from pytake_gql.kernel.waiting import Gate

FRAME_BYTES = 64 * 1024
BACKLOG_BYTES = 1024 * 1024
PACED_BYTES = 256 * 1024
PATIENCE_SECONDS = 10.0
TRY_AGAIN_LATER = 1013
TOO_BIG = 1009
WIRE = "pytake.wire"
"""The extension of the websocket's scope by which the server lends its connection."""

_CLOSE_SECONDS = 1.0
_GONE = (WebSocketDisconnect, WebSocketDisconnected, RuntimeError, OSError)
"""What sending raises once the peer has left, by server."""
_WHOLE_TEXT = 0x81
_SHORT, _MEDIUM = 126, 1 << 16


class Wire(Protocol):
    """The server's connection: written to without a task, a queue or a wait for each message."""

    transport: asyncio.Transport
    writable: Gate
    """Cleared while more waits in the transport's buffer than its limit."""


def text_frame(message: bytes) -> bytes:
    """A whole message, as a server sends it (RFC 6455, 5.2)."""
    return _opening(len(message)) + message


def text_frames(heads: Iterable[bytes], tail: bytes) -> Iterator[bytes]:
    """A whole message for each head: what they have in common is made once."""
    openings: dict[int, bytes] = {}
    for head in heads:
        size = len(head)
        opening = openings.get(size)
        if opening is None:
            opening = openings[size] = _opening(size + len(tail))
        yield opening + head + tail


def _opening(size: int) -> bytes:
    if size < _SHORT:
        return bytes((_WHOLE_TEXT, size))
    if size < _MEDIUM:
        return b"%c%c%b" % (_WHOLE_TEXT, _SHORT, size.to_bytes(2))
    return b"%c%c%b" % (_WHOLE_TEXT, _SHORT + 1, size.to_bytes(8))


class Socket(AsyncWebSocketAdapter):
    __slots__ = ("_closing", "_websocket", "_wire", "close_code")

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._wire: Wire = websocket.scope["extensions"][WIRE]["wire"]
        self._wire.transport.set_write_buffer_limits(high=PACED_BYTES)
        self._closing: asyncio.Task[None] | None = None
        self.close_code: int | None = None

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:  # noqa: ARG002
        """The messages; raises `NonTextMessageReceived`, or `BadUserInput` for what is no JSON."""
        while (data := await self._receive()) is not None:
            if len(data) > FRAME_BYTES:
                await self.close(TOO_BIG, "The message is larger than 64 kB.")
                return
            if self.close_code is None:
                read = read_json(data)
                del data
                yield read
                # While a socket waits for its next message, nothing of the last one is kept.
                del read

    async def _receive(self) -> bytes | None:
        """The next message; None once the peer has left."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        if text is None:
            raise NonTextMessageReceived
        return text.encode(errors="surrogatepass")

    async def send_json(self, message: Mapping[str, Any]) -> None:
        """Raises `WebSocketDisconnected` where nobody listens any more."""
        self.write(text_frame(write_json(message)))
        await self.room()
        if self.close_code is not None:
            raise WebSocketDisconnected

    def write(self, frame: bytes) -> bool:
        """Never waits; False when the reader is behind, or gone."""
        transport = self._wire.transport
        if self.close_code is not None or transport.is_closing():
            return False
        transport.write(frame)
        if self._wire.writable.is_set():
            return True
        if transport.get_write_buffer_size() > BACKLOG_BYTES:
            self._cut()
        return False

    @property
    def is_gone(self) -> bool:
        return self.close_code is not None or self._wire.transport.is_closing()

    @property
    def is_behind(self) -> bool:
        return not self._wire.writable.is_set() and self.close_code is None

    async def room(self) -> None:
        """Until it is no longer behind, or cut for its slowness."""
        if not self.is_behind:
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._wire.writable.wait()
        except TimeoutError:
            self._cut()

    def _cut(self) -> None:
        self.close_soon(TRY_AGAIN_LATER, "You read too slowly: come back and resume.")

    def close_soon(self, code: int, reason: str) -> None:
        """From here on nothing is sent; the closing takes its time."""
        if self.close_code is None:
            self.close_code = code
            self._closing = asyncio.create_task(self._close(code, reason), name="socket closing")

    async def close(self, code: int, reason: str) -> None:
        """Closes once, after what was sent. A peer that does not read is disconnected."""
        self.close_soon(code, reason)
        await self.stop()

    async def _close(self, code: int, reason: str) -> None:
        metrics.sockets_closed.labels(str(code)).inc()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._websocket.close(code, reason[:120])
        except TimeoutError:
            # With all that the kernel still holds for it.
            self._wire.transport.abort()
        except _GONE:
            pass

    async def stop(self) -> None:
        if self._closing is not None:
            await asyncio.shield(self._closing)
