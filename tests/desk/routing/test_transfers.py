"""Transfers: D1, D6, D11, D22."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import select

from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues.models import Queue
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory

TRANSFER = """mutation ($input: TransferConversationInput!) { transferConversation(input: $input) {
    conversation { status queue { id } assignee { id } } userErrors { code field message } } }"""
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
CLOSE = """mutation ($input: CloseConversationInput!) { closeConversation(input: $input) {
    conversation { id } userErrors { code } } }"""
SNOOZE = """mutation ($input: SnoozeConversationInput!) { snoozeConversation(input: $input) {
    conversation { status } userErrors { code } } }"""
DUE = "query ($id: ID!) { conversation(id: $id) { firstResponseDueAt } }"
READ = """query ($id: ID!) { conversation(id: $id) { status lastSeq queuePosition queue { id } assignee { id }
    messages(last: 1) { nodes { text isNote author { id } } }
    timeline(first: 100) { nodes { __typename seq
        ... on ConversationStatusChanged { status }
        ... on ConversationAssigned { assignee { id } reason }
        ... on ConversationTransferred { fromQueue { id } toQueue { id } by { id } reason note } } } } }"""


def queue_id(queue: Queue) -> str:
    return global_id("Queue", queue.id)


def member_id(member: Member) -> str:
    return global_id("Member", member.id)


async def read(desk: Desk, row: Conversation) -> Any:
    return await desk.admin.ask(READ, id=conversation_id(row.id))


async def transfer(client: Client, row: Conversation, **input_: Any) -> Any:
    return await client.ask(TRANSFER, input={"id": conversation_id(row.id), **input_})


async def stored(desk: Desk) -> Any:
    """Everything that a refusal leaves as it is."""
    async with desk.make.ports.database.session(desk.organization.id) as session:
        rows = (await session.execute(select(Conversation).order_by(Conversation.id))).scalars()  # type: ignore[arg-type]
        members = (await session.execute(select(Member.id, Member.load).order_by(Member.id))).all()  # type: ignore[arg-type]
        return [row.model_dump() for row in rows], [tuple(member) for member in members]


async def loads(desk: Desk) -> dict[UUID, tuple[int, int]]:
    """Each member's load, and how many conversations say so."""
    async with desk.make.ports.database.session(desk.organization.id) as session:
        members = (await session.execute(select(Member))).scalars().all()
        held = list(
            (await session.execute(select(Conversation.assignee_id).where(Conversation.status == "ACTIVE"))).scalars()
        )
    return {member.id: (member.load, held.count(member.id)) for member in members}


async def test_d22_a_transfer_to_a_queue_frees_the_agent_and_leaves_the_note(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    other = await desk.make.queue(desk.organization, desk.agent_member)
    sent = await transfer(desk.agent, row, queueId=queue_id(other), note="Já é cliente")
    assert sent == {
        "conversation": {"status": "QUEUED", "queue": {"id": queue_id(other)}, "assignee": None},
        "userErrors": [],
    }
    assert (await loads(desk))[desk.agent_member.id] == (0, 0)
    agent = {"id": member_id(desk.agent_member)}
    after = await read(desk, row)
    assert after["messages"]["nodes"] == [{"text": "Já é cliente", "isNote": True, "author": agent}]
    assert after["timeline"]["nodes"][2:] == [
        {"__typename": "ConversationAssigned", "seq": 3, "assignee": agent, "reason": "PULL"},
        {
            "__typename": "ConversationTransferred",
            "seq": 4,
            "fromQueue": {"id": queue_id(desk.queue)},
            "toQueue": {"id": queue_id(other)},
            "by": agent,
            "reason": "MEMBER",
            "note": "Já é cliente",
        },
        {"__typename": "ConversationStatusChanged", "seq": 5, "status": "QUEUED"},
        {"__typename": "MessageAdded", "seq": 6},
    ]


async def test_d6_an_explicit_transfer_starts_the_wait_anew(desk: Desk, clock: TravellingClock) -> None:
    other = await desk.make.queue(desk.organization, desk.agent_member)
    channel = await desk.make.channel(desk.organization, queue_id=other.id)
    early = await desk.make.conversation(desk.channel)
    clock.advance(minutes=2)
    await desk.make.conversation(channel)
    clock.advance(minutes=2)
    assert (await transfer(desk.agent, early, queueId=queue_id(other)))["conversation"]["status"] == "QUEUED"
    after = await read(desk, early)
    assert (after["queue"], after["queuePosition"]) == ({"id": queue_id(other)}, 2)
    assert [node["__typename"] for node in after["timeline"]["nodes"]][2:] == ["ConversationTransferred"]


async def test_d22_deadlines_run_on_through_a_transfer(
    make: Factory, http: httpx.AsyncClient, clock: TravellingClock
) -> None:
    desk = await open_desk(make, http, first_response_minutes=30)
    row = await desk.make.conversation(desk.channel)
    due = await desk.admin.ask(DUE, id=conversation_id(row.id))
    assert due["firstResponseDueAt"] is not None
    clock.advance(minutes=5)
    other = await desk.make.queue(desk.organization, first_response_minutes=1)
    assert (await transfer(desk.admin, row, queueId=queue_id(other)))["userErrors"] == []
    assert await desk.admin.ask(DUE, id=conversation_id(row.id)) == due


async def test_d22_a_transfer_to_a_member_hands_it_over(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    colleague, _ = await desk.colleague()
    sent = await transfer(desk.agent, row, memberId=member_id(colleague), note="Fala inglês")
    assert sent["conversation"] == {
        "status": "ACTIVE",
        "queue": {"id": queue_id(desk.queue)},
        "assignee": {"id": member_id(colleague)},
    }
    counts = await loads(desk)
    assert (counts[desk.agent_member.id], counts[colleague.id]) == ((0, 0), (1, 1))
    after = await read(desk, row)
    assert after["timeline"]["nodes"][3:] == [
        {
            "__typename": "ConversationAssigned",
            "seq": 4,
            "assignee": {"id": member_id(colleague)},
            "reason": "MEMBER",
        },
        {"__typename": "MessageAdded", "seq": 5},
    ]
    assert after["messages"]["nodes"][0]["text"] == "Fala inglês"


@pytest.mark.parametrize("status", ["BOT", "QUEUED", "ACTIVE", "SNOOZED"])
@pytest.mark.parametrize("target", ["queue", "member"])
async def test_d1_every_open_state_may_be_transferred(desk: Desk, status: str, target: str) -> None:
    begins = ConversationStatus.BOT if status == "BOT" else ConversationStatus.QUEUED
    row = await desk.make.conversation(desk.channel, status=begins)
    if status in {"ACTIVE", "SNOOZED"}:
        await desk.agent.ask(PULL)
    if status == "SNOOZED":
        until = (desk.make.ports.clock.now() + timedelta(hours=1)).isoformat()
        await desk.agent.ask(SNOOZE, input={"id": conversation_id(row.id), "until": until})
    assert (await read(desk, row))["status"] == status
    other = await desk.make.queue(desk.organization)
    colleague, _ = await desk.colleague()
    input_ = {"queueId": queue_id(other)} if target == "queue" else {"memberId": member_id(colleague)}
    sent = await transfer(desk.admin, row, **input_)
    assert sent["userErrors"] == []
    assert sent["conversation"]["status"] == {"queue": "QUEUED", "member": "ACTIVE"}[target]
    counts = await loads(desk)
    assert counts[desk.agent_member.id] == (0, 0)
    assert counts[colleague.id] == {"queue": (0, 0), "member": (1, 1)}[target]


async def test_d22_each_refusal_names_its_field_and_changes_nothing(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.make.conversation(desk.channel)
    taken = await desk.agent.ask(PULL)
    assert taken["conversation"]["id"] == conversation_id(row.id)
    waiting = await desk.make.conversation(desk.channel)
    idle_queue = await desk.make.queue(desk.organization, name="Parada", is_active=False)
    stranger = await open_desk(desk.make, desk.http)
    closed = await desk.make.conversation(desk.channel)
    await desk.admin.ask(CLOSE, input={"id": conversation_id(closed.id)})
    before = await stored(desk)
    here = {"queueId": queue_id(desk.queue)}
    for moved, input_, code, field in (
        (row, {}, "REQUIRED", "queueId"),
        (row, {**here, "memberId": member_id(desk.agent_member)}, "INVALID", "memberId"),
        (row, {"queueId": queue_id(stranger.queue)}, "NOT_FOUND", "queueId"),
        (row, {"queueId": f"Queue_{'0' * 32}"}, "NOT_FOUND", "queueId"),
        (row, {"queueId": member_id(desk.agent_member)}, "NOT_FOUND", "queueId"),
        (row, {"queueId": queue_id(idle_queue)}, "WRONG_STATE", "queueId"),
        (waiting, here, "WRONG_STATE", "queueId"),
        (closed, here, "WRONG_STATE", "id"),
        (row, {**here, "note": "   "}, "REQUIRED", "note"),
        (row, {**here, "note": "x" * 65_537}, "TOO_LONG", "note"),
    ):
        answer = await transfer(desk.admin, moved, **input_)
        assert answer["conversation"] is None
        assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [(code, [field])], input_
    unknown = await desk.admin.ask(TRANSFER, input={"id": f"Conversation_{'0' * 32}", **here})
    assert [(error["code"], error["field"]) for error in unknown["userErrors"]] == [("NOT_FOUND", ["id"])]
    assert await stored(desk) == before


async def test_d22_a_member_who_may_not_have_it_is_refused_with_the_reason(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    gone = await desk.make.member(desk.organization, removed_at=desk.make.ports.clock.now())
    foreign = (await open_desk(desk.make, desk.http)).agent_member
    cases = [
        ((await desk.colleague(serves=False, name="Caio"))[0], "WRONG_STATE", "Caio does not serve this queue."),
        ((await desk.colleague(capacity=0, name="Duda"))[0], "LIMIT_REACHED", "Duda is at capacity."),
        ((await desk.colleague(is_active=False, name="Edu"))[0], "WRONG_STATE", "Edu is not active."),
        ((await desk.colleague(Role.VIEWER, name="Flor"))[0], "WRONG_STATE", "Flor answers no conversations."),
        (desk.agent_member, "WRONG_STATE", "Ana Agent has this conversation already."),
        (gone, "NOT_FOUND", "Nothing was found by this id."),
        (foreign, "NOT_FOUND", "Nothing was found by this id."),
    ]
    before = await stored(desk)
    for member, code, sentence in cases:
        answer = await transfer(desk.admin, row, memberId=member_id(member), note="não chega")
        assert answer["conversation"] is None
        assert answer["userErrors"] == [{"code": code, "field": ["memberId"], "message": sentence}]
    assert await stored(desk) == before


async def test_who_may_not_see_it_or_only_reads_transfers_nothing(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    other = await desk.make.queue(desk.organization)
    _, outsider = await desk.colleague(serves=False)
    _, viewer = await desk.colleague(Role.VIEWER)
    stranger = await open_desk(desk.make, desk.http)
    before = await stored(desk)
    for client in (outsider, stranger.admin):
        answer = await transfer(client, row, queueId=queue_id(stranger.queue if client is stranger.admin else other))
        assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [("NOT_FOUND", ["id"])]
    input_ = {"id": conversation_id(row.id), "queueId": queue_id(other)}
    assert await viewer.code(TRANSFER, input=input_) == "FORBIDDEN"
    assert await stored(desk) == before


async def test_a_transfer_is_told_to_the_audit_log(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    other = await desk.make.queue(desk.organization)
    await transfer(desk.admin, row, queueId=queue_id(other))
    log = await desk.admin.ask("{ auditLog(first: 20) { nodes { action entityId changes } } }")
    entry = next(node for node in log["nodes"] if node["action"] == "conversation.transferred")
    assert entry["entityId"] == conversation_id(row.id)


async def test_d11_transfers_closes_and_pulls_at_once_keep_load_true(desk: Desk) -> None:
    other = await desk.make.queue(desk.organization, desk.agent_member)
    members = [await desk.colleague(capacity=4) for _ in range(3)]
    for member, _ in members:
        await desk.make.serves(other, member)
    rows = [await desk.make.conversation(desk.channel) for _ in range(10)]

    async def to_member(index: int) -> None:
        await transfer(desk.admin, rows[index], memberId=member_id(members[index % 3][0]))

    async def to_queue(index: int) -> None:
        await transfer(desk.admin, rows[index], queueId=queue_id(other if index % 2 else desk.queue))

    async def close(index: int) -> None:
        await desk.admin.ask(CLOSE, input={"id": conversation_id(rows[index].id)})

    for round_ in range(2):
        await asyncio.gather(
            *(client.ask(PULL) for _, client in members for _ in range(3)),
            *(to_member((index + round_) % 10) for index in range(10)),
            *(to_queue((index + 2 * round_) % 10) for index in range(10)),
            *(close(index) for index in range(round_, 10, 5)),
        )
        counts = await loads(desk)
        assert all(load == held <= 5 for load, held in counts.values()), counts
    async with desk.make.ports.database.session(desk.organization.id) as session:
        statuses = (await session.execute(select(Conversation.status, Conversation.assignee_id))).all()
    assert len(statuses) == 10
    assert all((status is ConversationStatus.QUEUED) <= (assignee is None) for status, assignee in statuses)
