"""How much of a worker's process campaigns may take: the rest is for what people wait for (E11)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 2
"""So that one whose audience takes long to be resolved does not hold up all others."""
_places: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


@asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """A few transactions of campaigns at a time; the calls of channels are made outside it, all at once."""
    loop = asyncio.get_running_loop()
    for ended in [it for it in _places if it.is_closed()]:
        del _places[ended]
    async with _places.setdefault(loop, asyncio.Semaphore(AT_ONCE)):
        yield
