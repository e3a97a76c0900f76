"""Eight agents who pull as fast as they can, and the same statements by pgbench: who got what is compared."""

import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import orjson

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.http_client import Connection
from benchmarks.pgbench import Pgbench
from benchmarks.stage import Stage
from benchmarks.statements import Written, recorded, rendered, replayed
from pytake_gql.desk.conversations.giving import GIVE
from pytake_gql.desk.queues.models import QueueOrder
from pytake_gql.desk.routing import claims, pulls

CLIENTS = 8

PULL = """mutation Pull {
  pullNextConversation(input: {}) { conversation { id number status assignedAt } emptyReason userErrors { code } }
}"""
_FIRST_AGENT = str(seed.numbered(6))[:-8]
_AN_AGENT = Written(f"('{_FIRST_AGENT}' || lpad(to_hex(:client_id::int), 8, '0'))::uuid")
"""Each client of pgbench is an agent."""
_FOUND = Written("(:conversation_id)::text::uuid")
"""What its claim found."""
_RESTOCK = (
    """DELETE FROM timeline_entries t USING conversations c
    WHERE t.organization_id = c.organization_id AND t.conversation_id = c.id AND c.queue_id = $1""",
    """DELETE FROM routing_decisions d USING conversations c
    WHERE d.organization_id = c.organization_id AND d.conversation_id = c.id AND c.queue_id = $1""",
    """UPDATE conversations SET status = 'QUEUED', assignee_id = NULL, assignee_name = NULL, assigned_at = NULL,
    last_assignee_id = NULL, closed_at = NULL, last_seq = 1,
    waiting_rank = extract(epoch FROM eligible_since)::bigint / 60 - 50
    WHERE queue_id = $1""",
)


class WronglyClaimed(Exception):
    """Twice, or not in turn."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What pgbench does over and over."""

    name: str
    script: str


async def pull(stage: Stage, limits: Limits) -> Result:
    """The verb itself, called by eight at once in one process: CPU is that of the process.

    pgbench plays the whole transaction of a pull that comes alone.
    """
    await restock(stage)
    return await _pull(stage, limits, Floor("pgbench, the same transaction", await _same_transaction(stage)))


async def bare_pull(stage: Stage, limits: Limits) -> Result:
    """The same, while pgbench only claims and gives: it asks for no rights, and tells no timeline and no audit log."""
    return await _pull(stage, limits, Floor("pgbench, claim and giving alone", _claim_and_give(stage)))


async def _pull(stage: Stage, limits: Limits, floor: Floor) -> Result:
    async def take(agent: seed.Agent) -> str:
        pulled = await pulls.pull(stage.ports, pulls.Pull(agent.principal))
        return str(pulled.conversation.id)

    agents = [partial(take, agent) for agent in stage.agents[:CLIENTS]]
    return await _compare(f"pull, {CLIENTS} callers", stage, limits, os.getpid(), agents, floor)


async def pull_over_http(stage: Stage, limits: Limits) -> Result:
    """Through GraphQL, with authentication, limits and the answer."""
    body = orjson.dumps({"query": PULL})

    async def ask(agent: Connection) -> str:
        answer = orjson.loads(await agent.post(body))["data"]["pullNextConversation"]
        return str(UUID(answer["conversation"]["id"].rpartition("_")[2]))

    async with AsyncExitStack() as open_:
        agents = [
            await open_.enter_async_context(Connection(stage.product, "/graphql", agent.token))
            for agent in stage.agents[:CLIENTS]
        ]
        asking = [partial(ask, agent) for agent in agents]
        floor = Floor("pgbench, the same transaction", await _same_transaction(stage))
        return await _compare(f"pull over HTTP, {CLIENTS} clients", stage, limits, stage.product_pid, asking, floor)


async def _compare(
    title: str,
    stage: Stage,
    limits: Limits,
    server: int,
    agents: Sequence[Callable[[], Awaitable[str]]],
    pgbench: Floor,
) -> Result:
    each = 250 if limits.seconds >= 2 else 50

    async def product() -> Run:
        await restock(stage)
        given: list[str] = []

        async def ask(agent: Callable[[], Awaitable[str]]) -> None:
            given.append(await agent())

        bounded = Limits(1, limits.seconds, CLIENTS * each)
        async with measured(server, stage.postmaster) as run:
            run.latencies = await drive([partial(ask, agent) for agent in agents], bounded)
        await _require_in_turn(stage, given, len(given))
        return run

    async def floor() -> Run:
        await restock(stage)
        run = await Pgbench(pgbench.script, CLIENTS, each).run(stage, limits)
        await _require_in_turn(stage, None, run.answered)
        return run

    return await compare(title, limits, product, floor, floor_name=pgbench.name, answer="no doubles, in turn")


async def _same_transaction(stage: Stage) -> str:
    """All that a pull sends which comes alone, for each agent and what it finds; the claim asks one queue."""
    agent = stage.agents[0].principal
    async with recorded(stage.ports.database.engine) as sent:
        pulled = await pulls.pull(stage.ports, pulls.Pull(agent))
    varying = {agent.member_id: _AN_AGENT, pulled.conversation.id: _FOUND}
    _, asked, _, *written, _ = [replayed(statement, varying) for statement in sent]
    return ";\n".join(["BEGIN", asked, f"{_claim(stage)} \\gset\n{written[0]}", *written[1:], "END", ""])


def _claim_and_give(stage: Stage) -> str:
    """The claim and the giving of one conversation, in one transaction."""
    given = {"member_ids": [Written("(:member_id)::text::uuid")], "conversation_ids": [_FOUND]}
    give = rendered(GIVE, of_organization=seed.ORGANIZATION_ID, now=stage.ports.clock.now(), **given)
    return f"BEGIN;\n{_claim(stage)} \\gset\n{give};\nEND;\n"


def _claim(stage: Stage) -> str:
    """Of one queue: of several it may find none, when others hold the first ones, and is then asked again."""
    now = stage.ports.clock.now()
    asked = claims.parameters(seed.ORGANIZATION_ID, now, [seed.numbered(6)], [seed.WAITING_ID])
    asked["member_ids"] = [_AN_AGENT]
    return rendered(claims.statement(QueueOrder.PRIORITY_FIRST, is_one_queue=True), **asked)


async def restock(stage: Stage) -> None:
    async with stage.database() as connection:
        for statement in _RESTOCK:
            await connection.execute(statement, seed.WAITING_ID)
    await stage.tidy()


async def _require_in_turn(stage: Stage, given: list[str] | None, count: int) -> None:
    """The first of the queue were given out, each once, and nothing else was taken."""
    async with stage.database() as connection:
        taken = await connection.fetch(
            "SELECT id FROM conversations WHERE queue_id = $1 AND status = 'ACTIVE'", seed.WAITING_ID
        )
        first = await connection.fetch(
            "SELECT id FROM conversations WHERE queue_id = $1 ORDER BY eligible_since, id LIMIT $2",
            seed.WAITING_ID,
            count,
        )
    expected = sorted(str(row["id"]) for row in first)
    if sorted(str(row["id"]) for row in taken) != expected or (given is not None and sorted(given) != expected):
        raise WronglyClaimed(f"{len(taken)} were taken")
