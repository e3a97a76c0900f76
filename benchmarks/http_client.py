"""An HTTP client as small as the load allows: it shares the cores with what it measures."""

import asyncio
from types import TracebackType
from typing import Self

from pytake_gql.development.run import HOST


class UnexpectedAnswer(Exception):
    """Something else than 200, or errors in a GraphQL answer."""


class Connection:
    """One connection, kept alive and opened again when the server has tired of waiting; one request at a time."""

    def __init__(self, port: int, path: str, token: str | None = None) -> None:
        authorization = f"authorization: Bearer {token}\r\n" if token else ""
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n{authorization}"

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(HOST, self._port)

    async def post(self, body: bytes) -> bytes:
        """The answer's body; raises `UnexpectedAnswer`."""
        if self._reader.at_eof():
            self._writer.close()
            await self._open()
        self._writer.write(f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        answer = await self._reader.readexactly(length)
        if not head.startswith("http/1.1 200") or b'"errors":' in answer:
            raise UnexpectedAnswer(f"{head.partition(chr(13))[0]}: {answer[:500].decode(errors='replace')}")
        return answer
