"""What a newcomer does first with queues that route by themselves, through GraphQL, with API and worker running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import orjson
import pytest

from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from tests.client import Client
from tests.factories import Factory
from tests.processes.machinery import Processes, socket_of

SKILL = "mutation ($name: String!) { createSkill(input: {name: $name}) { skill { id } userErrors { code } } }"
DEPARTMENT = 'mutation { createDepartment(input: {name: "Financeiro"}) { department { id } userErrors { code } } }'
QUEUE = """mutation ($input: CreateQueueInput!) { createQueue(input: $input) {
    queue { id requiredSkills { skill { name } minLevel isMandatory } } userErrors { code field message } } }"""
CHANNEL = """mutation ($queue: ID!) { createChannel(input: {kind: WEB_CHAT, name: "Site", queueId: $queue}) {
    channel { id } userErrors { code } } }"""
MEMBER = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code field } } }"
ONLINE = "mutation { setAvailability(input: {availability: ONLINE}) { member { availability } userErrors { code } } }"
VISIT = "mutation ($id: ID!) { startVisit(input: {channelId: $id}) { visit { visitorToken } userErrors { code } } }"
SAY = """mutation { sendVisitorMessage(input: {text: "Minha fatura veio errada"}) { userErrors { code } } }"""
READ = """{ conversations(orderBy: OLDEST_ACTIVITY) { nodes { status assignee { name } queuePosition routingDecision {
    isUnroutable chosen { name } candidates { member { name } isEligible reasonCode reason score } } } } }"""
PRESENCE = "subscription { memberPresence { name availability } }"
FOLLOW = """subscription ($id: ID!) { queueUpdates(queueId: $id) { __typename
    ... on QueueConversationChanged { conversation { status assignee { name } } } } }"""


@pytest.fixture
async def doors(processes: Processes) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=processes.url, timeout=15) as client:
        yield client


async def read_until(admin: Client, statuses: list[str]) -> list[Any]:
    async with asyncio.timeout(20):
        while True:
            nodes: list[Any] = (await admin.ask(READ))["nodes"]
            if [node["status"] for node in nodes] == statuses:
                return nodes
            await asyncio.sleep(0.1)


async def subscribed(stack: AsyncExitStack, url: str, client: Client, document: str, **variables: Any) -> Any:
    connection = await stack.enter_async_context(socket_of(url, client.token or ""))
    payload = {"query": document, "variables": variables}
    await connection.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())
    return connection


async def pushed(connection: Any) -> Any:
    async with asyncio.timeout(15):
        message = orjson.loads(await connection.recv())
    assert "errors" not in message["payload"], message
    return next(iter(message["payload"]["data"].values()))


async def test_a_newcomer_sees_a_queue_route_by_skills_and_reads_why(
    processes: Processes, their_ports: Ports, doors: httpx.AsyncClient
) -> None:
    make = Factory(their_ports)
    organization = await make.organization()
    admin = Client(doors, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token, "en")
    agents = {name: await make.member(organization, name=name, capacity=1) for name in ("Ana", "Bruno", "Clara")}
    clients = {name: Client(doors, (await make.signed_in(member)).token) for name, member in agents.items()}

    skills = {name: (await admin.ask(SKILL, name=name))["skill"]["id"] for name in ("billing", "portuguese", "calm")}
    department = (await admin.ask(DEPARTMENT))["department"]["id"]
    required = [
        {"skillId": skills["billing"], "minLevel": 3},
        {"skillId": skills["portuguese"], "minLevel": 2},
        {"skillId": skills["calm"], "minLevel": 1, "isMandatory": False},
    ]
    made = await admin.ask(
        QUEUE,
        input={
            "departmentId": department,
            "name": "Faturas",
            "routingStrategy": "SKILLS_BASED",
            "requiredSkills": required,
            "memberIds": [global_id("Member", member.id) for member in agents.values()],
        },
    )
    assert made["userErrors"] == []
    assert len(made["queue"]["requiredSkills"]) == 3
    queue = made["queue"]["id"]
    levels = {
        "Ana": {"billing": 3, "portuguese": 5},
        "Bruno": {"billing": 2, "portuguese": 5, "calm": 5},
        "Clara": {"billing": 5, "portuguese": 2, "calm": 4},
    }
    for name, known in levels.items():
        given = [{"skillId": skills[skill], "level": level} for skill, level in known.items()]
        changed = await admin.ask(MEMBER, input={"id": global_id("Member", agents[name].id), "skills": given})
        assert changed == {"userErrors": []}
    channel = (await admin.ask(CHANNEL, queue=queue))["channel"]["id"]

    async with AsyncExitStack() as stack:
        presence = await subscribed(
            stack, processes.url, admin, "subscription { memberPresence { name availability } }"
        )
        for client in clients.values():
            await subscribed(stack, processes.url, client, "subscription { memberPresence { name } }")
            assert (await client.ask(ONLINE))["member"] == {"availability": "ONLINE"}
        seen: set[str] = set()
        while seen != set(agents):
            told = await pushed(presence)
            seen |= {told["name"]} if told["availability"] == "ONLINE" else set()
        queue_stream = await subscribed(stack, processes.url, admin, FOLLOW, id=queue)
        assert (await pushed(queue_stream))["__typename"] == "QueueSnapshot"

        for count in (1, 2, 3):
            visit = (await Client(doors, None).ask(VISIT, id=channel))["visit"]
            await Client(doors, visit["visitorToken"]).ask(SAY)
            nodes = await read_until(admin, (["ACTIVE", "ACTIVE", "QUEUED"])[:count])
        while (told := await pushed(queue_stream))["conversation"]["status"] != "ACTIVE":
            assert told["conversation"] == {"status": "QUEUED", "assignee": None}

    assert [node["assignee"] and node["assignee"]["name"] for node in nodes] == ["Clara", "Ana", None]
    first, waiting = nodes[0]["routingDecision"], nodes[2]["routingDecision"]
    assert first["chosen"] == {"name": "Clara"}
    reasons = {candidate["member"]["name"]: candidate["reason"] for candidate in first["candidates"]}
    assert reasons == {"Clara": "can take it", "Ana": "can take it", "Bruno": "lacks skill 'billing' (level 3)"}
    scores = {candidate["member"]["name"]: candidate["score"] for candidate in first["candidates"]}
    assert scores == {"Clara": 0.8, "Ana": 0.0, "Bruno": 1.0}
    assert (waiting["chosen"], waiting["isUnroutable"], nodes[2]["queuePosition"]) == (None, False, 1)
    assert {candidate["member"]["name"]: candidate["reason"] for candidate in waiting["candidates"]} == {
        "Ana": "at capacity (1 of 1)",
        "Bruno": "lacks skill 'billing' (level 3)",
        "Clara": "at capacity (1 of 1)",
    }
