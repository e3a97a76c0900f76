"""Assigning by itself, on the real database: D11-D17."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql import bootstrap
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues.models import RoutingStrategy
from pytake_gql.desk.routing import engine
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from pytake_gql.tenancy.members.models import Availability, Member
from tests.client import Client
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory

CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"
AVAILABLE = "mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) { userErrors { code } } }"
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } userErrors { code } } }"
DECISION = """query ($id: ID!) { conversation(id: $id) { status assignee { id } routingDecision {
    isUnroutable strategy chosen { id } candidates { member { id } isEligible reasonCode reason score } } } }"""


async def open_quiet_desk(make: Factory, http: httpx.AsyncClient, **queue: Any) -> Desk:
    """A desk whose first agent is away: the tests say who is at work."""
    desk = await open_desk(make, http, **queue)
    async with make.ports.units.of_system(desk.organization.id) as uow:
        away = sa.update(Member).values(availability=Availability.OFFLINE)
        await uow.session.execute(away.where(col(Member.id) == desk.agent_member.id))
    return desk


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_quiet_desk(make, http)


async def at_work(desk: Desk, **values: Any) -> tuple[Member, Client]:
    """A colleague who is ONLINE and connected."""
    values = {"availability": Availability.ONLINE, "last_seen_at": desk.make.ports.clock.now(), **values}
    return await desk.colleague(**values)


async def held(desk: Desk) -> Counter[UUID]:
    """How many each member has, checked against their load."""
    async with desk.make.ports.database.session(desk.organization.id) as session:
        statement = select(Conversation.assignee_id).where(Conversation.status == ConversationStatus.ACTIVE)
        counted = Counter(id_ for id_ in (await session.execute(statement)).scalars() if id_)
        for member in (await session.execute(select(Member))).scalars():
            assert member.load == counted[member.id], member.name
            assert member.load <= max(member.capacity, 0)
    return counted


async def route(desk: Desk) -> int:
    return await engine.route_queue(desk.make.ports, desk.organization.id, desk.queue.id)


@pytest.fixture
def prompt(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs routing jobs as soon as they are enqueued, as a worker does."""
    work = {"route_queue": engine.route_queue, "route_member": engine.route_member}

    async def run(jobs: list[Job]) -> None:
        for job in jobs:
            if job.name in work:
                await work[job.name](ports, *(UUID(argument) for argument in job.arguments))

    monkeypatch.setattr(ports.jobs, "enqueue", run)


async def test_d12_round_robin_counts_differ_by_at_most_one_and_survive_restarts(
    make: Factory, http: httpx.AsyncClient, settings: Settings
) -> None:
    desk = await open_quiet_desk(make, http, routing_strategy=RoutingStrategy.ROUND_ROBIN)
    agents = [(await at_work(desk, capacity=100))[0] for _ in range(3)]
    for round_ in range(3):
        await make.waiting(desk.channel, 10, first_number=1 + 10 * round_)
        async with bootstrap.ports(settings, make.ports.clock) as restarted:
            assert await engine.route_queue(restarted, desk.organization.id, desk.queue.id) == 10
        counts = await held(desk)
        spread = [counts[agent.id] for agent in agents]
        assert max(spread) - min(spread) <= 1, spread
    assert sum((await held(desk)).values()) == 30


@pytest.mark.usefixtures("prompt")
async def test_d12_who_comes_back_gets_no_burst(desk: Desk) -> None:
    agents = [await at_work(desk, capacity=100) for _ in range(2)]
    late, late_client = await at_work(desk, capacity=100, availability=Availability.OFFLINE)
    for _ in range(6):
        await desk.make.conversation(desk.channel)
    assert (await held(desk))[late.id] == 0
    await late_client.ask(AVAILABLE, input={"availability": "ONLINE"})
    for _ in range(6):
        await desk.make.conversation(desk.channel)
    counts = await held(desk)
    assert counts[late.id] == 2
    assert sorted(counts[agent.id] for agent, _ in agents) == [5, 5]


async def test_d13_load_balance_goes_by_the_share_of_capacity(make: Factory, http: httpx.AsyncClient) -> None:
    desk = await open_quiet_desk(make, http, routing_strategy=RoutingStrategy.LOAD_BALANCE)
    large, _ = await at_work(desk, capacity=8)
    small, _ = await at_work(desk, capacity=2)
    await make.waiting(desk.channel, 5, first_number=1)
    assert await route(desk) == 5
    counts = await held(desk)
    assert (counts[large.id], counts[small.id]) == (4, 1)


async def test_d11_capacity_is_the_limit_and_the_rest_waits(desk: Desk) -> None:
    await at_work(desk, capacity=3)
    await at_work(desk, capacity=2)
    await desk.make.waiting(desk.channel, 9, first_number=1)
    assert await route(desk) == 5
    assert await route(desk) == 0
    assert sum((await held(desk)).values()) == 5


async def test_d11_many_routers_pulls_and_closes_at_once_double_nothing(desk: Desk) -> None:
    colleagues = [await at_work(desk, capacity=4) for _ in range(4)]
    await desk.make.waiting(desk.channel, 40, first_number=1)

    async def close_one(client: Client) -> None:
        mine = "{ conversations(filter: {status: [ACTIVE]}, first: 5) { nodes { id assignee { id } } } }"
        for node in (await client.ask(mine))["nodes"][:2]:
            await client.ask(CLOSE, input={"id": node["id"]})

    for _ in range(3):
        await asyncio.gather(
            *(route(desk) for _ in range(4)),
            *(client.ask(PULL) for _, client in colleagues for _ in range(2)),
            *(close_one(client) for _, client in colleagues),
        )
        await held(desk)


@pytest.mark.parametrize(
    "values", [{"routing_strategy": RoutingStrategy.MANUAL}, {"auto_assign": False}], ids=["manual", "by hand"]
)
async def test_d15_some_queues_assign_nothing_by_themselves(
    make: Factory, http: httpx.AsyncClient, values: dict[str, Any]
) -> None:
    desk = await open_quiet_desk(make, http, **values)
    await at_work(desk)
    await make.conversation(desk.channel)
    assert await route(desk) == 0


@pytest.mark.usefixtures("prompt")
async def test_d16_a_new_conversation_a_freed_slot_and_a_return_each_assign_at_once(desk: Desk) -> None:
    agent, client = await at_work(desk, capacity=1)
    first = await desk.make.conversation(desk.channel)
    assert (await held(desk))[agent.id] == 1
    second = await desk.make.conversation(desk.channel)
    read = "query ($id: ID!) { conversation(id: $id) { status } }"
    assert await desk.admin.ask(read, id=conversation_id(second.id)) == {"status": "QUEUED"}
    await client.ask(CLOSE, input={"id": conversation_id(first.id)})
    assert await desk.admin.ask(read, id=conversation_id(second.id)) == {"status": "ACTIVE"}
    third = await desk.make.conversation(desk.channel)
    other, other_client = await at_work(desk, availability=Availability.AWAY)
    await other_client.ask(AVAILABLE, input={"availability": "ONLINE"})
    assert await desk.admin.ask(read, id=conversation_id(third.id)) == {"status": "ACTIVE"}
    assert (await held(desk))[other.id] == 1


async def test_d16_the_sweep_finds_where_somebody_waits_while_somebody_is_free(desk: Desk) -> None:
    ports = desk.make.ports

    async def found() -> bool:
        async with ports.database.session(None) as session:
            due = await engine.routable(session, ports.clock.now(), 10_000)
        return (desk.organization.id, desk.queue.id) in due

    await desk.make.waiting(desk.channel, 1, first_number=1)
    assert not await found()
    await at_work(desk)
    assert await found()
    await route(desk)
    assert not await found()


async def test_d10_d17_one_that_waits_says_why_nobody_could_be_chosen(desk: Desk) -> None:
    names = {
        "INACTIVE": await at_work(desk, name="Inês", is_active=False),
        "NOT_ONLINE": await at_work(desk, name="Ana", availability=Availability.AWAY),
        "NO_PRESENCE": await at_work(desk, name="Noa", last_seen_at=None),
        "AT_CAPACITY": await at_work(desk, name="Caio", capacity=0),
    }
    row = await desk.make.conversation(desk.channel)
    assert await route(desk) == 0
    answer = (await desk.admin.ask(DECISION, id=conversation_id(row.id)))["routingDecision"]
    assert (answer["isUnroutable"], answer["strategy"], answer["chosen"]) == (False, "ROUND_ROBIN", None)
    told = {candidate["member"]["id"]: candidate for candidate in answer["candidates"]}
    for code, (member, _) in names.items():
        verdict = told[global_id("Member", member.id)]
        assert (verdict["isEligible"], verdict["reasonCode"]) == (False, code)
    sentences = {told[global_id("Member", names[code][0].id)]["reason"] for code in names}
    assert sentences == {"deactivated", "away", "online, but not connected", "at capacity (0 of 0)"}
    portuguese = Client(desk.http, desk.admin.token, locale="pt-BR")
    answer = (await portuguese.ask(DECISION, id=conversation_id(row.id)))["routingDecision"]
    assert "ausente" in {candidate["reason"] for candidate in answer["candidates"]}


async def test_d17_one_that_was_assigned_says_why(desk: Desk) -> None:
    agent, _ = await at_work(desk)
    away, _ = await at_work(desk, availability=Availability.BUSY)
    row = await desk.make.conversation(desk.channel)
    assert await route(desk) == 1
    answer = await desk.admin.ask(DECISION, id=conversation_id(row.id))
    assert (answer["status"], answer["assignee"]) == ("ACTIVE", {"id": global_id("Member", agent.id)})
    decision = answer["routingDecision"]
    assert decision["chosen"] == {"id": global_id("Member", agent.id)}
    told = {candidate["member"]["id"]: candidate["reasonCode"] for candidate in decision["candidates"]}
    assert told[global_id("Member", agent.id)] == "ELIGIBLE"
    assert told[global_id("Member", away.id)] == "NOT_ONLINE"
    timeline = await desk.admin.ask(
        """query ($id: ID!) { conversation(id: $id) { timeline(last: 1) { nodes {
            ... on ConversationAssigned { reason by { id } decision { chosen { id } } } } } } }""",
        id=conversation_id(row.id),
    )
    assert timeline["timeline"]["nodes"] == [
        {"reason": "ROUTING", "by": None, "decision": {"chosen": {"id": global_id("Member", agent.id)}}}
    ]


async def test_a_pull_leaves_no_decision(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    answer = await desk.admin.ask(DECISION, id=conversation_id(row.id))
    assert (answer["status"], answer["routingDecision"]) == ("ACTIVE", None)
    async with desk.make.ports.database.session(desk.organization.id) as session:
        statement = select(Conversation.assignee_id).where(col(Conversation.id) == row.id)
        assert (await session.execute(statement)).scalar_one() == desk.agent_member.id
