"""Pulling: D5's order, D7, D11, D18."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.desk.conversations.giving import Gift, give_all
from pytake_gql.desk.conversations.models import Conversation, ConversationPriority, MoveReason
from pytake_gql.desk.queues.models import QueueOrder
from pytake_gql.desk.routing import claims
from pytake_gql.kernel.ids import global_id
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory

PULL = """mutation ($input: PullNextConversationInput!) { pullNextConversation(input: $input) {
    conversation { id } emptyReason userErrors { code field } } }"""
ASSIGN = """mutation ($input: AssignConversationInput!) { assignConversation(input: $input) {
    conversation { status assignee { id } queuePosition } userErrors { code field message } } }"""
CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"


async def pull(client: Client, **input_: Any) -> str | None:
    answer = await client.ask(PULL, input=input_)
    assert answer["userErrors"] == []
    taken: str | None = answer["conversation"]["id"] if answer["conversation"] else answer["emptyReason"]
    return taken


async def loads(desk: Desk) -> dict[UUID, tuple[int, int]]:
    """Each member's load, and how many conversations say so."""
    async with desk.make.ports.database.session(desk.organization.id) as session:
        members = (await session.execute(select(Member))).scalars().all()
        held = (
            await session.execute(select(Conversation.assignee_id).where(Conversation.status == "ACTIVE"))
        ).scalars()
        counted = list(held)
    return {member.id: (member.load, counted.count(member.id)) for member in members}


@pytest.mark.parametrize("order", list(QueueOrder))
async def test_d5_a_queue_is_pulled_in_its_order(make: Factory, http: httpx.AsyncClient, order: QueueOrder) -> None:
    desk = await open_desk(make, http, order=order)
    now = make.ports.clock.now()
    low, normal, high, urgent = ConversationPriority

    async def waits(priority: ConversationPriority, minutes: float, due_in: float | None = None) -> str:
        due = now + timedelta(minutes=due_in) if due_in is not None else None
        since = now - timedelta(minutes=minutes)
        row = await make.conversation(desk.channel, priority=priority, eligible_since=since, sla_due_at=due)
        return conversation_id(row.id)

    new_normal = await waits(normal, 0)
    old_low = await waits(low, 60)
    capped_late = await waits(low, 300, due_in=50)
    capped_soon = await waits(high, 200, due_in=5)
    new_high = await waits(high, 1)
    new_urgent = await waits(urgent, 0)
    expected = {
        QueueOrder.PRIORITY_FIRST: [new_urgent, capped_soon, capped_late, new_high, old_low, new_normal],
        QueueOrder.DEADLINE_FIRST: [capped_soon, capped_late, new_urgent, new_high, old_low, new_normal],
    }[order]
    positions = await desk.agent.ask("{ conversations { nodes { id queuePosition } } }")
    by_position = sorted(positions["nodes"], key=lambda node: node["queuePosition"])
    assert [node["id"] for node in by_position] == expected
    listed = await desk.agent.ask(
        "query ($id: ID!) { queue(id: $id) { conversations { nodes { id } } } }", id=global_id("Queue", desk.queue.id)
    )
    assert [node["id"] for node in listed["conversations"]["nodes"]] == expected
    _, colleague = await desk.colleague(capacity=100)
    assert [await pull(colleague) for _ in expected] == expected


async def test_d7_a_pull_takes_from_the_queue_of_higher_priority(desk: Desk) -> None:
    minor = await desk.make.conversation(desk.channel, priority=ConversationPriority.URGENT)
    vip = await desk.make.queue(desk.organization, desk.agent_member, priority=90)
    channel = await desk.make.channel(desk.organization, queue_id=vip.id)
    major = await desk.make.conversation(channel)
    assert await pull(desk.agent, queueId=global_id("Queue", desk.queue.id)) == conversation_id(minor.id)
    again = await desk.make.conversation(desk.channel, priority=ConversationPriority.URGENT)
    assert await pull(desk.agent) == conversation_id(major.id)
    assert await pull(desk.agent, departmentId=global_id("Department", vip.department_id)) == "EMPTY"
    assert await pull(desk.agent) == conversation_id(again.id)


async def test_d18_nothing_to_take_is_no_error(desk: Desk) -> None:
    assert await pull(desk.agent) == "EMPTY"
    foreign = await desk.make.queue(desk.organization)
    assert await pull(desk.agent, queueId=global_id("Queue", foreign.id)) == "NOT_A_MEMBER"
    _, full = await desk.colleague(capacity=0)
    await desk.make.conversation(desk.channel)
    assert await pull(full) == "AT_CAPACITY"
    unknown = await desk.agent.ask(PULL, input={"queueId": f"Queue_{'0' * 32}"})
    assert unknown["userErrors"] == [{"code": "NOT_FOUND", "field": ["queueId"]}]


async def test_d18_the_same_key_answers_with_the_same_conversation(desk: Desk) -> None:
    for _ in range(3):
        await desk.make.conversation(desk.channel)
    taken = await asyncio.gather(*(pull(desk.agent, idempotencyKey="k") for _ in range(10)))
    assert len(set(taken)) == 1
    assert (await loads(desk))[desk.agent_member.id] == (1, 1)


async def test_d18_one_refusal_among_pulls_that_are_served_together_keeps_the_others(desk: Desk) -> None:
    """Served by one transaction: somebody of another plan, somebody refused, and twice the same member."""
    vip = await desk.make.queue(desk.organization, desk.agent_member, priority=90)
    _, colleague = await desk.colleague()
    first, second = [await desk.make.conversation(desk.channel) for _ in range(2)]
    best = await desk.make.conversation(await desk.make.channel(desk.organization, queue_id=vip.id))
    nowhere = desk.agent.ask(PULL, input={"departmentId": f"Department_{'0' * 32}"})
    refused, taken, more, theirs = await asyncio.gather(nowhere, pull(desk.agent), pull(desk.agent), pull(colleague))
    assert refused["userErrors"] == [{"code": "NOT_FOUND", "field": ["departmentId"]}]
    assert conversation_id(best.id) in {taken, more}
    assert {taken, more, theirs} == {conversation_id(row.id) for row in (best, first, second)}
    assert (await loads(desk))[desk.agent_member.id] == (2, 2)


async def test_d11_who_is_served_together_with_other_queues_gets_another_conversation(desk: Desk) -> None:
    """A transaction's own locks do not keep it from what it has taken."""
    await desk.make.queue(desk.organization, desk.agent_member)
    colleagues = [(await desk.colleague())[1] for _ in range(3)]
    waiting = {conversation_id((await desk.make.conversation(desk.channel)).id) for _ in range(4)}
    assert set(await asyncio.gather(*(pull(client) for client in (desk.agent, *colleagues)))) == waiting


async def test_d11_behind_what_others_hold_each_is_taken_once(desk: Desk) -> None:
    other = await desk.make.queue(desk.organization, desk.agent_member)
    members = [desk.agent_member.id, *[(await desk.colleague())[0].id for _ in range(3)]]
    first = await desk.make.conversation(await desk.make.channel(desk.organization, queue_id=other.id))
    rows = await desk.make.waiting(desk.channel, 60, first_number=100)
    held = [row.id for row in rows[:50]]
    plan = ((QueueOrder.PRIORITY_FIRST, (other.id, desk.queue.id)),)
    async with desk.make.ports.units.of_system(desk.organization.id) as holder:
        await holder.session.execute(select(Conversation.id).where(col(Conversation.id).in_(held)).with_for_update())
        async with desk.make.ports.units.of_system(desk.organization.id) as uow:
            claims_ = await claims.take_from(uow, members, plan)
            given = await give_all(
                [Gift(uow, id_, member) for member, id_ in claims_.taken.items()], reason=MoveReason.PULL
            )
    assert set(given) == {first.id, *(row.id for row in rows[50:53])}
    assert len(claims_.taken) == 4


async def test_d18_a_key_is_taken_for_one_request_and_is_free_again_after_a_day(desk: Desk, clock: Any) -> None:
    rows = [await desk.make.conversation(desk.channel) for _ in range(2)]
    assert await pull(desk.agent, idempotencyKey="k") == conversation_id(rows[0].id)
    queue_id = global_id("Queue", desk.queue.id)
    other = await desk.agent.ask(PULL, input={"idempotencyKey": "k", "queueId": queue_id})
    assert other["userErrors"] == [{"code": "CONFLICT", "field": ["idempotencyKey"]}]
    clock.advance(hours=25)
    fresh = Client(desk.http, (await desk.make.signed_in(desk.agent_member)).token)
    assert await pull(fresh, idempotencyKey="k", queueId=queue_id) == conversation_id(rows[1].id)


async def test_d11_fifty_concurrent_pulls_hand_out_each_conversation_once_in_order(
    make: Factory, http: httpx.AsyncClient
) -> None:
    desk = await open_desk(make, http)
    waiting = [conversation_id((await make.conversation(desk.channel)).id) for _ in range(60)]
    clients = [(await desk.colleague(capacity=3))[1] for _ in range(10)]
    taken: list[str | None] = []
    for _ in range(2):
        taken += await asyncio.gather(*(pull(client) for client in clients for _ in range(5)))
    handed_out = [id_ for id_ in taken if id_ and id_.startswith("Conversation_")]
    assert sorted(handed_out) == waiting[:30]
    assert len(set(handed_out)) == 30
    assert taken.count("AT_CAPACITY") == 70
    counts = await loads(desk)
    assert all(load == held <= 5 for load, held in counts.values())


async def test_d11_pulls_assignments_and_closes_at_once_keep_load_and_assignee_true(desk: Desk) -> None:
    rows = [await desk.make.conversation(desk.channel) for _ in range(20)]
    members = [await desk.colleague(capacity=4) for _ in range(4)]

    async def assign(index: int) -> None:
        member, _ = members[index % 4]
        input_ = {"id": conversation_id(rows[index].id), "memberId": global_id("Member", member.id)}
        await desk.admin.ask(ASSIGN, input=input_)

    async def close(index: int) -> None:
        await desk.admin.ask(CLOSE, input={"id": conversation_id(rows[index].id)})

    async def unassign(index: int) -> None:
        await desk.admin.ask(ASSIGN, input={"id": conversation_id(rows[index].id), "memberId": None})

    for round_ in range(3):
        await asyncio.gather(
            *(pull(client) for _, client in members for _ in range(3)),
            *(assign((index + round_) % 20) for index in range(20)),
            *(close(index) for index in range(0, 20, 5)),
            *(unassign(index) for index in range(1, 20, 5)),
        )
        counts = await loads(desk)
        assert all(load == held <= 5 for load, held in counts.values()), counts


async def test_d6_unassigning_keeps_the_place(desk: Desk) -> None:
    first = await desk.make.conversation(desk.channel)
    await desk.make.conversation(desk.channel)
    assert await pull(desk.agent) == conversation_id(first.id)
    back = await desk.agent.ask(ASSIGN, input={"id": conversation_id(first.id), "memberId": None})
    assert back["conversation"] == {"status": "QUEUED", "assignee": None, "queuePosition": 1}
    assert (await loads(desk))[desk.agent_member.id] == (0, 0)


async def test_d15_who_may_not_have_it_is_refused_with_the_reason(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    stranger, _ = await desk.colleague(serves=False, name="Caio")
    full, _ = await desk.colleague(capacity=0, name="Duda")
    idle, _ = await desk.colleague(is_active=False, name="Edu")

    async def assign(client: Client, member: Member, **more: Any) -> Any:
        input_ = {"id": conversation_id(row.id), "memberId": global_id("Member", member.id), **more}
        return await client.ask(ASSIGN, input=input_)

    for member, code, sentence in (
        (stranger, "WRONG_STATE", "Caio does not serve this queue."),
        (full, "LIMIT_REACHED", "Duda is at capacity."),
        (idle, "WRONG_STATE", "Edu is not active."),
    ):
        answer = await assign(desk.agent, member)
        assert answer["conversation"] is None
        assert answer["userErrors"] == [{"code": code, "field": ["memberId"], "message": sentence}]
    forbidden = await assign(desk.agent, full, force=True)
    assert forbidden["userErrors"][0]["code"] == "FORBIDDEN"
    assert (await loads(desk))[full.id] == (0, 0)
    forced = await assign(desk.admin, full, force=True)
    assert forced["conversation"]["assignee"] == {"id": global_id("Member", full.id)}
    assert (await loads(desk))[full.id] == (1, 1)


async def test_d10_d15_pulls_and_assignments_ask_for_the_mandatory_skills(desk: Desk) -> None:
    skill = await desk.make.skill(desk.organization, name="billing")
    await desk.make.requires(desk.queue, skill, min_level=3)
    row = await desk.make.conversation(desk.channel)
    expert, client = await desk.colleague()
    await desk.make.masters(expert, skill, level=3)
    assert await pull(desk.agent) == "NO_SKILL_MATCH"
    await desk.make.masters(desk.agent_member, skill, level=2)
    assert await pull(desk.agent) == "NO_SKILL_MATCH"
    input_ = {"id": conversation_id(row.id), "memberId": global_id("Member", desk.agent_member.id)}
    refused = await desk.admin.ask(ASSIGN, input=input_)
    assert refused["userErrors"] == [
        {"code": "WRONG_STATE", "field": ["memberId"], "message": "Ana Agent lacks skill 'billing' (level 3)."}
    ]
    assert await pull(client) == conversation_id(row.id)
