import asyncio
from collections.abc import Collection
from typing import Any

_PATIENCE_SECONDS = 0.5


async def end(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancels tasks until they have ended; what they raised stays with them.

    Once is not enough for whoever talks to Redis: closing a connection may time out while the cancellation passes
    through it, and the timeout then takes its place.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_PATIENCE_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
