"""Two lists as a front end asks for them: both sides give the same bytes."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import orjson

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.http_client import Connection
from benchmarks.stage import Stage
from pytake_gql.kernel.ids import global_id

CLIENTS = 4
FLOOR = "one query, orjson"

LIST = """query Inbox($first: Int!) {
  conversations(first: $first) {
    nodes {
      id number status priority subject unreadCount lastSeq lastActivityAt
      contact { id name }
      assignee { id name }
      lastMessage { id text direction status createdAt }
    }
    pageInfo { hasNextPage }
  }
}"""
HISTORY = """query History($id: ID!, $first: Int!) {
  conversation(id: $id) {
    messages(first: $first) {
      nodes { id seq direction authorKind author { id name } text status createdAt }
    }
  }
}"""


class DifferentAnswers(Exception):
    """The ratio would mean nothing."""


async def list_conversations(stage: Stage, limits: Limits) -> Result:
    ours = orjson.dumps({"query": LIST, "variables": {"first": 50}})
    theirs = orjson.dumps({"organization": str(seed.ORGANIZATION_ID), "first": 50})
    return await _compare("list of 50 conversations", stage, limits, ours, "/list", theirs)


async def history(stage: Stage, limits: Limits) -> Result:
    variables = {"id": global_id("Conversation", seed.HISTORY_ID), "first": 100}
    ours = orjson.dumps({"query": HISTORY, "variables": variables})
    asked = {"organization": str(seed.ORGANIZATION_ID), "conversation": str(seed.HISTORY_ID), "first": 100}
    return await _compare("history of 100 messages", stage, limits, ours, "/history", orjson.dumps(asked))


async def _compare(title: str, stage: Stage, limits: Limits, ours: bytes, path: str, theirs: bytes) -> Result:
    async with AsyncExitStack() as open_:
        product = [
            await open_.enter_async_context(Connection(stage.product, "/graphql", agent.token))
            for agent in stage.agents[:CLIENTS]
        ]
        floor = [await open_.enter_async_context(Connection(stage.floor, path)) for _ in range(CLIENTS)]
        answer, expected = await product[0].post(ours), await floor[0].post(theirs)
        if answer != expected:
            raise DifferentAnswers(f"{title}:\n{answer.decode()[:1500]}\n{expected.decode()[:1500]}")
        run_product = _runner(stage, stage.product_pid, product, ours, limits)
        run_floor = _runner(stage, stage.floor_pid, floor, theirs, limits)
        same = f"same {len(answer):,} bytes"
        return await compare(title, limits, run_product, run_floor, floor_name=FLOOR, answer=same)


def _runner(
    stage: Stage, server: int, connections: list[Connection], body: bytes, limits: Limits
) -> Callable[[], Awaitable[Run]]:
    async def run() -> Run:
        async with measured(server, stage.postmaster) as taken:
            taken.latencies = await drive([partial(connection.post, body) for connection in connections], limits)
        return taken

    return run
