"""The same by Celery: one process, acknowledged as it comes; its jobs await the same driver in a loop of their own.

As a command it enqueues one for each id that it is given after the organization's.
"""

import asyncio
import os
import sys

import asyncpg
from celery import Celery

from benchmarks import peers

app = Celery("benchmarks", broker=os.environ.get("REDIS_URL", "redis://"))
app.conf.task_ignore_result = True
_loop = asyncio.new_event_loop()
_connections: list[asyncpg.Connection] = []


@app.task(name="send")  # type: ignore[untyped-decorator]  # Celery has no types
def send(organization_id: str, recipient_id: str) -> None:
    if not _connections:
        _connections.append(_loop.run_until_complete(asyncpg.connect(os.environ["DATABASE_URL"])))
    _loop.run_until_complete(peers.serve(_connections[0], organization_id, recipient_id))


if __name__ == "__main__":
    for recipient_id in sys.argv[2:]:
        app.send_task("send", (sys.argv[1], recipient_id))
