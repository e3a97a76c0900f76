"""Eight agents who pull as fast as they can, and the bare claim: who got what is compared row by row."""

from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import orjson

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.http_client import Connection
from benchmarks.pgbench import Pgbench
from benchmarks.stage import Stage

CLIENTS = 8

PULL = """mutation Pull {
  pullNextConversation(input: {}) { conversation { id number status assignedAt } emptyReason userErrors { code } }
}"""
# Of D5's order what all here have in common: one priority, no deadline, no limit of age.
CLAIM = f"""
UPDATE conversations SET status = 'ACTIVE', assignee_id = '{seed.numbered(6)}', assigned_at = now(),
       updated_at = now(), waiting_rank = NULL, last_seq = last_seq + 1
WHERE organization_id = '{seed.ORGANIZATION_ID}' AND id = (
  SELECT id FROM conversations
  WHERE organization_id = '{seed.ORGANIZATION_ID}' AND queue_id = '{seed.WAITING_ID}' AND status = 'QUEUED'
  ORDER BY waiting_rank, sla_due_at, eligible_since, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id;
"""  # noqa: S608 - ids of ours
_RESTOCK = (
    """DELETE FROM timeline_entries t USING conversations c
    WHERE t.organization_id = c.organization_id AND t.conversation_id = c.id AND c.queue_id = $1""",
    """UPDATE conversations SET status = 'QUEUED', assignee_id = NULL, assignee_name = NULL, assigned_at = NULL,
    last_assignee_id = NULL, last_seq = 1, waiting_rank = extract(epoch FROM eligible_since)::bigint / 60 - 50
    WHERE queue_id = $1""",
)


class WronglyClaimed(Exception):
    """Twice, or not in turn."""


async def pull(stage: Stage, limits: Limits) -> Result:
    each = 250 if limits.seconds >= 2 else 50

    async with AsyncExitStack() as open_:
        agents = [
            await open_.enter_async_context(Connection(stage.product, "/graphql", agent.token))
            for agent in stage.agents[:CLIENTS]
        ]

        async def product() -> Run:
            await restock(stage)
            body, given = orjson.dumps({"query": PULL}), list[str]()

            async def ask(agent: Connection) -> None:
                answer = orjson.loads(await agent.post(body))["data"]["pullNextConversation"]
                given.append(answer["conversation"]["id"])

            bounded = Limits(1, limits.seconds, CLIENTS * each)
            async with measured(stage.product_pid, stage.postmaster) as run:
                run.latencies = await drive([partial(ask, agent) for agent in agents], bounded)
            await _require_in_turn(stage, [UUID(id_.rpartition("_")[2]) for id_ in given])
            return run

        async def floor() -> Run:
            await restock(stage)
            run = await Pgbench(CLAIM, CLIENTS, each).run(stage, limits)
            await _require_in_turn(stage, None, run.answered)
            return run

        return await compare(
            f"pull, {CLIENTS} clients",
            limits,
            product,
            floor,
            floor_name="pgbench, bare claim",
            answer="no doubles, in turn",
        )


async def restock(stage: Stage) -> None:
    async with stage.database() as connection:
        for statement in _RESTOCK:
            await connection.execute(statement, seed.WAITING_ID)
    await stage.tidy()


async def _require_in_turn(stage: Stage, given: list[UUID] | None, count: int | None = None) -> None:
    """The first of the queue were given out, each once, and nothing else was taken."""
    async with stage.database() as connection:
        taken = await connection.fetch(
            "SELECT id FROM conversations WHERE queue_id = $1 AND status = 'ACTIVE'", seed.WAITING_ID
        )
        first = await connection.fetch(
            "SELECT id FROM conversations WHERE queue_id = $1 ORDER BY eligible_since, id LIMIT $2",
            seed.WAITING_ID,
            len(given) if given is not None else count,
        )
    expected = {row["id"] for row in first}
    if {row["id"] for row in taken} != expected or (given is not None and sorted(given) != sorted(expected)):
        raise WronglyClaimed(f"{len(taken)} were taken")
