"""Sending: against one statement that stores as much, and until a subscriber sees it."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import orjson

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.http_client import Connection
from benchmarks.listeners import subscribe
from benchmarks.pgbench import Pgbench
from benchmarks.stage import Stage
from pytake_gql.kernel.ids import global_id

CLIENTS = 4
SEEN = 50
TEXT = "Seu pedido saiu para entrega e chega até as 18 horas."

SEND = """mutation Send($conversation: ID!, $text: String!) {
  sendMessage(input: {conversationId: $conversation, text: $text}) {
    message { id seq status createdAt } userErrors { code }
  }
}"""
# Each client writes in a conversation of its own: the first ones by number.
STORE = f"""
\\set number :client_id + 1
WITH raised AS (
  UPDATE conversations SET last_seq = last_seq + 1, updated_at = now(), last_activity_at = now(),
         last_message_preview = '{TEXT}'
  WHERE organization_id = '{seed.ORGANIZATION_ID}' AND number = :number RETURNING id, last_seq),
noted AS (
  INSERT INTO timeline_entries (organization_id, id, conversation_id, seq, kind, at, data)
  SELECT '{seed.ORGANIZATION_ID}', gen_random_uuid(), id, last_seq, 'MESSAGE_ADDED', now(), '{{}}' FROM raised)
INSERT INTO messages (organization_id, id, conversation_id, channel_id, seq, direction, author_kind, text, options,
                      is_note, status, created_at, due_at, epoch, attempts)
SELECT '{seed.ORGANIZATION_ID}', gen_random_uuid(), id, '{seed.CHANNEL_ID}', last_seq, 'OUTBOUND', 'MEMBER', '{TEXT}',
       '[]', false, 'QUEUED', now(), now(), 0, 0 FROM raised
RETURNING id, seq;
"""  # noqa: S608 - ids of ours


class NotStored(Exception):
    """What was answered is not what the tables hold."""


def sending(number: int) -> bytes:
    """The body of a request that writes in the conversation of that number."""
    variables = {"conversation": global_id("Conversation", seed.numbered(9, number)), "text": TEXT}
    return orjson.dumps({"query": SEND, "variables": variables})


async def send(stage: Stage, limits: Limits) -> Result:
    each = 500 if limits.seconds >= 2 else 50
    async with AsyncExitStack() as open_:
        agents = [
            await open_.enter_async_context(Connection(stage.product, "/graphql", agent.token))
            for agent in stage.agents[:CLIENTS]
        ]

        async def product() -> Run:
            before = await _stored(stage)
            bounded = Limits(1, limits.seconds, CLIENTS * each)
            async with measured(stage.product_pid, stage.postmaster) as run:
                run.latencies = await drive(
                    [partial(agent.post, sending(number)) for number, agent in enumerate(agents)], bounded
                )
            _require(before + run.answered, await _stored(stage))
            return run

        async def floor() -> Run:
            before = await _stored(stage)
            run = await Pgbench(STORE, CLIENTS, each).run(stage, limits)
            _require(before + run.answered, await _stored(stage))
            return run

        return await compare(
            f"send a message, {CLIENTS} clients",
            limits,
            product,
            floor,
            floor_name="pgbench, one statement",
            answer="stored once, no gap in seq",
        )


async def _stored(stage: Stage) -> int:
    """How many messages the clients' conversations have, each at the seq that its conversation counted."""
    ids: list[UUID] = [seed.numbered(9, number) for number in range(CLIENTS)]
    async with stage.database() as connection:
        [row] = await connection.fetch(
            """SELECT (SELECT count(*) FROM messages m JOIN timeline_entries t
                       USING (organization_id, conversation_id, seq) WHERE conversation_id = ANY ($1)) AS messages,
                      (SELECT sum(last_seq) FROM conversations WHERE id = ANY ($1)) AS counted""",
            ids,
        )
    _require(row["counted"], row["messages"])
    return int(row["messages"])


def _require(expected: int, found: int) -> None:
    if expected != found:
        raise NotStored(f"{found} messages instead of {expected}")


async def seen(stage: Stage, limits: Limits) -> Result:
    """One at a time, on an idle service: from the request's first byte to the subscriber's frame."""
    number, count = CLIENTS, max(5, min(SEEN, int(limits.seconds * 20))) * limits.rounds
    reader, writer = stage.agents[1], stage.agents[0]
    async with (
        Connection(stage.product, "/graphql", writer.token) as agent,
        subscribe(stage.product, reader.token, seed.numbered(9, number), source=1) as frames,
        measured(stage.product_pid, stage.postmaster) as run,
    ):
        for _ in range(count):
            started = time.perf_counter()
            answer, frame = await asyncio.gather(agent.post(sending(number)), frames.recv(decode=False))
            run.latencies.append(time.perf_counter() - started)
            sent = orjson.loads(answer)["data"]["sendMessage"]["message"]
            heard = orjson.loads(frame)["payload"]["data"]["conversationEvents"]
            _require(sent["seq"], heard["seq"])
            await asyncio.sleep(0.02)
        run.seconds = sum(run.latencies)
    return Result("send → seen live, unloaded", run.numbers, f"{count} in order of seq")
