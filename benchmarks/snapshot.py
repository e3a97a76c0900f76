"""What a supervisor sees when opening a queue: the snapshot of 100 conversations, against one query."""

from contextlib import AsyncExitStack
from itertools import count

import orjson

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.http_client import Connection
from benchmarks.listeners import signed_in
from benchmarks.pull import restock
from benchmarks.reading import FLOOR, DifferentAnswers
from benchmarks.stage import Stage
from pytake_gql.kernel.ids import global_id

SHOWN = 100
SNAPSHOT = """subscription Queue($queue: ID!) {
  queueUpdates(queueId: $queue) {
    ... on QueueSnapshot {
      conversations { id number status priority subject lastSeq queuedAt contact { id name } }
    }
  }
}"""


async def snapshot(stage: Stage, limits: Limits) -> Result:
    """Subscribes and completes, one after the other, on one socket."""
    await restock(stage)
    async with AsyncExitStack() as open_:
        socket = await open_.enter_async_context(signed_in(stage.product, stage.agents[0].token, source=1))
        floor = await open_.enter_async_context(Connection(stage.floor, "/snapshot"))
        asked = {"query": SNAPSHOT, "variables": {"queue": global_id("Queue", seed.WAITING_ID)}}
        plain = {"organization": str(seed.ORGANIZATION_ID), "queue": str(seed.WAITING_ID), "first": SHOWN}
        body, ids = orjson.dumps(plain), count()

        async def watch() -> bytes:
            id_ = str(next(ids))
            await socket.send(orjson.dumps({"id": id_, "type": "subscribe", "payload": asked}).decode())
            frame = await socket.recv(decode=False)
            await socket.send(orjson.dumps({"id": id_, "type": "complete"}).decode())
            return frame

        answer, expected = orjson.loads(await watch())["payload"], orjson.loads(await floor.post(body))
        if answer != expected or len(expected["data"]["queueUpdates"]["conversations"]) != SHOWN:
            raise DifferentAnswers(f"{str(answer)[:1500]}\n{str(expected)[:1500]}")

        async def product() -> Run:
            async with measured(stage.product_pid, stage.postmaster) as run:
                run.latencies = await drive([watch], limits)
            return run

        async def bare() -> Run:
            async with measured(stage.floor_pid, stage.postmaster) as run:
                run.latencies = await drive([lambda: floor.post(body)], limits)
            return run

        title = f"queue snapshot of {SHOWN}"
        return await compare(title, limits, product, bare, floor_name=FLOOR, answer=f"same {SHOWN} conversations")
