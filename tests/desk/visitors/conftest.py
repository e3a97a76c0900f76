import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.client import Client
from tests.sockets import Served

Browser = Callable[..., Client]
SITES = (None, "https://loja.example.com", "https://blog.example.com")


@pytest.fixture
async def browser(live: Served) -> AsyncIterator[Browser]:
    """Makes clients without a token, on a page of one of `SITES`; all at an address of the test's own."""
    address = f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
    async with AsyncExitStack() as opened:
        clients: dict[str | None, httpx.AsyncClient] = {}
        for origin in SITES:
            transport = httpx.ASGITransport(live.app, client=(address, 1))
            headers = {"origin": origin} if origin else {}
            client = httpx.AsyncClient(transport=transport, base_url=live.url, headers=headers)
            clients[origin] = await opened.enter_async_context(client)

        def make(origin: str | None = None) -> Client:
            return Client(clients[origin], None)

        yield make
