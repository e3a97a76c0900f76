"""Ended sessions: heard on the bus at once, which is a moment."""

import asyncio

from tests.client import Client
from tests.tenancy.auth.documents import DEPARTMENTS

_A_MOMENT_SECONDS = 1.0  # less than the 2 s of the net


async def dies(client: Client) -> None:
    """Within a moment the client's token is refused, and stays so."""
    async with asyncio.timeout(_A_MOMENT_SECONDS):
        while "errors" not in await client.post(DEPARTMENTS):
            await asyncio.sleep(0.01)
    assert await client.code(DEPARTMENTS) == "UNAUTHENTICATED"
