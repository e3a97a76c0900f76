"""Overflow: D9."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, TimelineEntry, TimelineKind
from pytake_gql.desk.queues.models import Queue
from pytake_gql.kernel.ids import global_id
from pytake_gql.tenancy.members.models import Availability
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, conversation_id

TRANSFER = """mutation ($input: TransferConversationInput!) { transferConversation(input: $input) {
    conversation { queue { id } } userErrors { code } } }"""
ASSIGN = """mutation ($input: AssignConversationInput!) { assignConversation(input: $input) {
    conversation { queue { id } } userErrors { code } } }"""
UPDATE = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code } } }"
DELETE = "mutation ($input: DeleteQueueInput!) { deleteQueue(input: $input) { userErrors { code } } }"
PULL = """mutation ($input: PullNextConversationInput!) { pullNextConversation(input: $input) {
    conversation { id } emptyReason userErrors { code } } }"""

WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
BUSINESS = [{"weekday": day, "opens_at": "09:00:00", "closes_at": "18:00:00"} for day in WEEKDAYS]
ZONE = ZoneInfo("America/Sao_Paulo")


async def chain(desk: Desk, *settings: dict[str, Any]) -> list[Queue]:
    """Queues of which each overflows into the next."""
    made: list[Queue] = []
    following: Queue | None = None
    for values in reversed(settings):
        overflow = {"overflow_queue_id": following.id} if following else {}
        following = await desk.make.queue(desk.organization, desk.agent_member, **overflow, **values)
        made.insert(0, following)
    return made


async def arrives(desk: Desk, queue: Queue) -> Conversation:
    channel = await desk.make.channel(desk.organization, queue_id=queue.id)
    return await desk.make.conversation(channel)


async def hops(desk: Desk, row: Conversation) -> list[Any]:
    """(from, to, reason) of each transfer in its timeline."""
    told = select(TimelineEntry.data).where(
        TimelineEntry.conversation_id == row.id, TimelineEntry.kind == TimelineKind.TRANSFERRED
    )
    async with desk.make.ports.database.session(desk.organization.id) as session:
        found = (await session.execute(told.order_by(col(TimelineEntry.seq)))).scalars()
        return [(data["from_queue_id"], data["to_queue_id"], data["reason"]) for data in found]


def expected(way: Sequence[Queue]) -> list[Any]:
    return [(one.id.hex, two.id.hex, "OVERFLOW") for one, two in pairwise(way)]


async def waiting(desk: Desk, *queues: Queue) -> list[int]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return [
            await session.scalar(
                select(sa.func.count()).where(Conversation.queue_id == queue.id, Conversation.status == "QUEUED")
            )
            or 0
            for queue in queues
        ]


def travel(clock: TravellingClock, weekday: int, hour: int) -> None:
    """To the next such hour on the organization's wall, in a week without holidays."""
    wall = dt.datetime(2027, 3, 1, hour, tzinfo=ZONE) + dt.timedelta(days=weekday)
    clock.ahead = wall.astimezone(dt.UTC) - dt.datetime.now(dt.UTC)


async def test_d9_thirty_who_come_together_never_exceed_a_limit_of_five(desk: Desk) -> None:
    small, rest = await chain(desk, {"max_size": 5}, {})
    channel = await desk.make.channel(desk.organization, queue_id=small.id)
    at_once = asyncio.Semaphore(5)  # on a busy machine a longer line would outwait a statement's three seconds

    async def arrive() -> Conversation:
        async with at_once:
            return await desk.make.conversation(channel)

    rows = await asyncio.gather(*(arrive() for _ in range(30)))
    assert sorted(row.number for row in rows) == list(range(1, 31))
    assert await waiting(desk, small, rest) == [5, 25]


async def test_d9_a_hop_is_an_event_and_keeps_eligible_since(desk: Desk, clock: TravellingClock) -> None:
    small, rest = await chain(desk, {"max_size": 1}, {})
    first = await arrives(desk, small)
    second = await arrives(desk, small)
    assert (first.queue_id, await hops(desk, first)) == (small.id, [])
    assert (second.queue_id, await hops(desk, second)) == (rest.id, expected([small, rest]))
    since = second.eligible_since
    await desk.admin.ask(
        ASSIGN, input={"id": conversation_id(second.id), "memberId": global_id("Member", desk.agent_member.id)}
    )
    clock.advance(minutes=1)
    await desk.admin.ask(ASSIGN, input={"id": conversation_id(second.id), "memberId": None})
    async with desk.make.ports.database.session(desk.organization.id) as session:
        again = (await session.execute(select(Conversation).where(Conversation.id == second.id))).scalar_one()
    assert (again.queue_id, again.eligible_since) == (rest.id, since)


async def test_d9_an_inactive_queue_overflows(desk: Desk) -> None:
    idle, rest = await chain(desk, {"is_active": False}, {})
    row = await arrives(desk, idle)
    assert (row.queue_id, await hops(desk, row)) == (rest.id, expected([idle, rest]))


async def test_d9_five_hops_are_followed_and_the_sixth_is_not(desk: Desk) -> None:
    idle = {"is_active": False}
    six = await chain(desk, *[idle] * 5, {})
    row = await arrives(desk, six[0])
    assert (row.queue_id, await hops(desk, row)) == (six[5].id, expected(six))
    seven = await chain(desk, *[idle] * 6, {})
    row = await arrives(desk, seven[0])
    assert (row.queue_id, await hops(desk, row)) == (seven[0].id, [])


async def test_d9_a_circle_is_walked_once_and_it_waits_where_it_was_meant_to(desk: Desk) -> None:
    """No door makes a circle; the table might hold one all the same."""
    circle = await chain(desk, *[{"is_active": False}] * 3)
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        last = (await uow.session.execute(select(Queue).where(Queue.id == circle[2].id))).scalar_one()
        last.overflow_queue_id = circle[0].id
    for queue in circle:
        row = await arrives(desk, queue)
        assert (row.queue_id, await hops(desk, row)) == (queue.id, [])


async def test_d9_entries_of_a_circle_of_full_queues_wait_for_nobody(desk: Desk) -> None:
    one, two = await chain(desk, {"max_size": 3}, {"max_size": 3})
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        last = (await uow.session.execute(select(Queue).where(Queue.id == two.id))).scalar_one()
        last.overflow_queue_id = one.id
    rows = await asyncio.gather(*(arrives(desk, queue) for queue in [one, two] * 6))
    counts = await waiting(desk, one, two)
    assert sum(counts) == len(rows) == 12
    assert min(counts) >= 3
    assert sum([len(await hops(desk, row)) for row in rows]) <= 3


async def test_d9_agents_who_go_at_once_and_arrivals_wait_for_nobody_in_a_circle(desk: Desk) -> None:
    """Each agent's conversations come back to both queues, in opposite orders."""
    one, two = await chain(desk, {"max_size": 2}, {"max_size": 2})
    agents = [await desk.make.member(desk.organization, availability=Availability.ONLINE) for _ in range(2)]
    for agent, order in zip(agents, ([one, two] * 2, [two, one] * 2), strict=True):
        await desk.make.serves(one, agent)
        await desk.make.serves(two, agent)
        for queue in order:
            row = await arrives(desk, queue)
            input_ = {"id": conversation_id(row.id), "memberId": global_id("Member", agent.id)}
            assert (await desk.admin.ask(ASSIGN, input=input_))["userErrors"] == []
    leaving = [{"id": global_id("Member", agent.id), "isActive": False} for agent in agents]
    answers = await asyncio.gather(
        *(desk.admin.ask(UPDATE, input=input_) for input_ in leaving), *(arrives(desk, two) for _ in range(4))
    )
    assert answers[:2] == [{"userErrors": []}] * 2
    assert sum(await waiting(desk, one, two)) == 12


async def test_d9_a_full_chain_keeps_it_where_it_was_meant_to_wait(desk: Desk) -> None:
    one, two = await chain(desk, {"max_size": 1}, {"max_size": 1})
    for _ in range(4):
        await arrives(desk, one)
    assert await waiting(desk, one, two) == [3, 1]


async def test_d9_what_a_deleted_queue_leaves_does_not_overflow_back_into_it(desk: Desk) -> None:
    full, doomed = await chain(desk, {"max_size": 1}, {})
    await arrives(desk, full)
    row = await desk.make.conversation(desk.channel)
    moved = {"id": conversation_id(row.id), "queueId": global_id("Queue", doomed.id)}
    assert (await desk.admin.ask(TRANSFER, input=moved))["userErrors"] == []
    input_ = {"id": global_id("Queue", doomed.id), "moveToQueueId": global_id("Queue", full.id)}
    assert await desk.admin.ask(DELETE, input=input_) == {"userErrors": []}
    assert await waiting(desk, full) == [2]


@pytest.mark.parametrize(
    ("weekday", "hour", "is_open"),
    [(0, 8, False), (0, 9, True), (4, 17, True), (4, 18, False), (5, 12, False)],
)
async def test_d9_outside_opening_hours_it_overflows(
    desk: Desk, clock: TravellingClock, weekday: int, hour: int, is_open: bool
) -> None:
    office, night = await chain(desk, {"opening_hours": BUSINESS}, {})
    travel(clock, weekday, hour)
    row = await arrives(desk, office)
    way = [office] if is_open else [office, night]
    assert (row.queue_id, await hops(desk, row)) == (way[-1].id, expected(way))


async def test_d9_a_holiday_closes(desk: Desk, clock: TravellingClock) -> None:
    office, night = await chain(desk, {"opening_hours": BUSINESS}, {})
    tiradentes = dt.datetime(2027, 4, 21, 12, tzinfo=ZONE)  # a Wednesday
    clock.ahead = tiradentes.astimezone(dt.UTC) - dt.datetime.now(dt.UTC)
    assert (await arrives(desk, office)).queue_id == night.id


async def test_d9_a_transfer_overflows_too(desk: Desk) -> None:
    small, rest = await chain(desk, {"max_size": 1}, {})
    await arrives(desk, small)
    row = await desk.make.conversation(desk.channel)
    input_ = {"id": conversation_id(row.id), "queueId": global_id("Queue", small.id)}
    answer = await desk.admin.ask(TRANSFER, input=input_)
    assert answer["conversation"] == {"queue": {"id": global_id("Queue", rest.id)}}
    member = (desk.queue.id.hex, small.id.hex, "MEMBER")
    assert await hops(desk, row) == [member, *expected([small, rest])]


async def test_d18_a_pull_from_closed_queues_says_that_they_are_closed(desk: Desk, clock: TravellingClock) -> None:
    (office,) = await chain(desk, {"opening_hours": BUSINESS})
    row = await arrives(desk, office)
    travel(clock, 5, 12)
    signed_in = await desk.make.signed_in(desk.agent_member)
    client = type(desk.agent)(desk.http, signed_in.token)
    named = {"queueId": global_id("Queue", office.id)}
    closed: Any = {"conversation": None, "emptyReason": "OUTSIDE_OPENING_HOURS", "userErrors": []}
    assert await client.ask(PULL, input=named) == closed
    assert (await client.ask(PULL, input={}))["emptyReason"] == "EMPTY"  # the other queue is open
    async with desk.make.ports.database.session(desk.organization.id) as session:
        status = await session.scalar(select(Conversation.status).where(Conversation.id == row.id))
    assert status is ConversationStatus.QUEUED
    travel(clock, 7, 9)
    client = type(desk.agent)(desk.http, (await desk.make.signed_in(desk.agent_member)).token)
    assert (await client.ask(PULL, input=named))["conversation"] == {"id": conversation_id(row.id)}
