"""A network that fails: a proxy on loopback that delays what passes, or swallows it until the connections are dead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """In front of one server. `delay_seconds` is for each piece, in each direction."""

    host: str
    port: int
    delay_seconds: float = 0.0
    is_black_hole: bool = False
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, inner_writer}
        self.open |= both
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(reader, inner_writer, both))
                ways.create_task(self._pass(inner_reader, writer, both))
        finally:
            self.open -= both

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, both: set[asyncio.StreamWriter]
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if not self.is_black_hole:
                    writer.write(piece)
                    await writer.drain()
        for end in both:
            end.close()

    async def swallow(self, seconds: float) -> None:
        """What was said meanwhile is lost, and whoever said it hears at the end that nobody is there."""
        self.is_black_hole = True
        await asyncio.sleep(seconds)
        self.is_black_hole = False
        for writer in list(self.open):
            writer.transport.abort()

    async def delay(self, seconds: float, by: float) -> None:
        self.delay_seconds = by
        await asyncio.sleep(seconds)
        self.delay_seconds = 0.0


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy in front of the server, and the address that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()
    finally:
        server.close()
        while proxy.open:
            for writer in proxy.open:
                writer.transport.abort()
            await asyncio.sleep(0.05)
