"""Putting aside and waking: D3, D4, D6, D11."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql import duties
from pytake_gql.desk.conversations import jobs, service
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, TimelineEntry, TimelineKind
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Availability, Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, conversation_id
from tests.factories import Visitor

SNOOZE = """mutation ($input: SnoozeConversationInput!) { snoozeConversation(input: $input) {
    conversation { status snoozedUntil assignee { id } } userErrors { code field } } }"""
REOPEN = """mutation ($input: ReopenConversationInput!) { reopenConversation(input: $input) {
    conversation { status snoozedUntil } userErrors { code field } } }"""
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"
WRITE = """mutation { sendVisitorMessage(input: { text: "Voltei" }) { chat { status } userErrors { code } } }"""


class Aside:
    """A conversation that its agent has, and its visitor."""

    def __init__(self, desk: Desk, visitor: Visitor, row: Conversation) -> None:
        self.desk, self.row = desk, row
        self.visitor = Client(desk.http, visitor.token)

    async def snooze(self, **after: float) -> Any:
        until = self.desk.make.ports.clock.now() + timedelta(**after)
        input_ = {"id": conversation_id(self.row.id), "until": until.isoformat()}
        return await self.desk.agent.ask(SNOOZE, input=input_)

    async def wake(self) -> bool:
        return await jobs.wake_conversation(self.desk.make.ports, self.desk.organization.id, self.row.id)

    async def now(self) -> Conversation:
        async with self.desk.make.ports.database.session(self.desk.organization.id) as session:
            return (await service.by_ids(session, [self.row.id]))[self.row.id]

    async def load(self) -> int:
        async with self.desk.make.ports.database.session(self.desk.organization.id) as session:
            load = await session.scalar(select(Member.load).where(Member.id == self.desk.agent_member.id))
        assert load is not None
        return load

    async def reasons(self) -> list[str]:
        """Why it was assigned, each time."""
        told = select(TimelineEntry.data).where(
            TimelineEntry.conversation_id == self.row.id, TimelineEntry.kind == TimelineKind.ASSIGNED
        )
        async with self.desk.make.ports.database.session(self.desk.organization.id) as session:
            found = (await session.execute(told.order_by(col(TimelineEntry.seq)))).scalars()
            return [data["reason"] for data in found]

    async def is_due(self) -> bool:
        ports = self.desk.make.ports
        async with ports.database.session(None) as session:
            due = await service.due_to_wake(session, ports.clock.now(), 10_000)
        return (self.desk.organization.id, self.row.id) in due

    async def make_agent(self, **values: Any) -> None:
        async with self.desk.make.ports.units.of_system(self.desk.organization.id) as uow:
            is_agent = col(Member.id) == self.desk.agent_member.id
            await uow.session.execute(sa.update(Member).where(is_agent).values(**values))

    async def be_present(self) -> None:
        await self.desk.make.seen(self.desk.agent_member)


@pytest.fixture
async def aside(desk: Desk) -> Aside:
    visitor = await desk.make.visitor(desk.channel)
    await Client(desk.http, visitor.token).ask(WRITE)
    taken = await desk.agent.ask(PULL)
    async with desk.make.ports.database.session(desk.organization.id) as session:
        row = (await session.execute(select(Conversation))).scalar_one()
    assert taken["conversation"] == {"id": conversation_id(row.id)}
    return Aside(desk, visitor, row)


async def test_d4_a_snoozed_conversation_frees_the_slot_and_keeps_its_assignee(aside: Aside) -> None:
    answer = await aside.snooze(hours=1)
    row = await aside.now()
    assert answer["userErrors"] == []
    assert (answer["conversation"]["status"], row.status) == ("SNOOZED", ConversationStatus.SNOOZED)
    assert row.assignee_id == row.last_assignee_id == aside.desk.agent_member.id
    assert row.snoozed_until is not None
    assert await aside.load() == 0


async def test_d4_it_wakes_at_its_time_and_not_before(aside: Aside, clock: TravellingClock) -> None:
    await aside.snooze(minutes=2)
    clock.advance(seconds=118)
    await aside.be_present()
    assert not await aside.is_due()
    assert not await aside.wake()
    clock.advance(seconds=3)
    assert await aside.is_due()
    assert await aside.wake()
    row = await aside.now()
    assert (row.status, row.assignee_id, row.snoozed_until) == ("ACTIVE", aside.desk.agent_member.id, None)
    assert (await aside.load(), await aside.reasons()) == (1, ["PULL", "WOKEN"])
    assert not await aside.is_due()
    assert not await aside.wake()


async def test_d4_the_workers_sweep_finds_what_is_due(aside: Aside, ports: Ports, clock: TravellingClock) -> None:
    await aside.snooze(minutes=2)
    wanted = ("wake_conversation", (str(aside.desk.organization.id), str(aside.row.id)))

    async def swept() -> bool:
        found = [job for sweep in duties.sweeps(ports) for job in await sweep()]
        return wanted in [(job.name, job.arguments) for job in found]

    assert not await swept()
    clock.advance(minutes=2)
    assert await swept()


async def test_d4_ten_wakes_and_a_message_at_once_wake_it_once(aside: Aside, clock: TravellingClock) -> None:
    await aside.snooze(minutes=1)
    clock.advance(minutes=1)
    await aside.be_present()
    *woken, answer = await asyncio.gather(*(aside.wake() for _ in range(10)), aside.visitor.ask(WRITE))
    assert answer == {"chat": {"status": "ACTIVE"}, "userErrors": []}
    assert woken.count(True) <= 1
    row = await aside.now()
    assert (row.status, await aside.load(), await aside.reasons()) == ("ACTIVE", 1, ["PULL", "WOKEN"])


async def test_d11_snoozes_messages_wakes_and_closes_at_once_keep_load_true(
    aside: Aside, clock: TravellingClock
) -> None:
    for _ in range(3):
        await aside.be_present()
        await asyncio.gather(
            *(aside.snooze(seconds=1) for _ in range(3)),
            *(aside.visitor.ask(WRITE) for _ in range(3)),
            *(aside.wake() for _ in range(3)),
            aside.desk.agent.ask(CLOSE, input={"id": conversation_id(aside.row.id)}),
            aside.desk.agent.ask(PULL),
        )
        clock.advance(seconds=2)
        row = await aside.now()
        assert await aside.load() == int(row.status is ConversationStatus.ACTIVE)


async def test_d4_the_contacts_next_message_wakes_it_first(aside: Aside) -> None:
    await aside.snooze(hours=1)
    answer = await aside.visitor.ask(WRITE)
    assert answer["chat"] == {"status": "ACTIVE"}
    row = await aside.now()
    assert (row.assignee_id, row.snoozed_until) == (aside.desk.agent_member.id, None)
    assert (await aside.load(), await aside.reasons()) == (1, ["PULL", "WOKEN"])


@pytest.mark.parametrize(
    "values",
    [
        {"availability": Availability.AWAY},
        {"availability": Availability.OFFLINE},
        {"is_active": False},
        {"last_seen_at": None},
        {"capacity": 0},
        {"role": Role.VIEWER},
    ],
    ids=["away", "offline", "inactive", "not present", "full", "viewer"],
)
@pytest.mark.parametrize("by", ["time", "message"])
async def test_d4_without_a_routable_assignee_it_goes_to_its_queue(
    aside: Aside, clock: TravellingClock, values: dict[str, Any], by: str
) -> None:
    await aside.snooze(seconds=30)
    clock.advance(seconds=31)
    await aside.make_agent(**values)
    before = (await aside.now()).eligible_since
    if by == "time":
        assert await aside.wake()
    else:
        await aside.visitor.ask(WRITE)
    row = await aside.now()
    assert (row.status, row.assignee_id, row.queue_id) == ("QUEUED", None, aside.desk.queue.id)
    assert (row.snoozed_until, await aside.load()) == (None, 0)
    # D6: the clock is not the customer's doing, the message is.
    assert (row.eligible_since == before) is (by == "time")


async def test_d3_a_closed_one_is_reopened_by_a_present_agent_only(aside: Aside, clock: TravellingClock) -> None:
    await aside.desk.agent.ask(CLOSE, input={"id": conversation_id(aside.row.id)})
    clock.advance(seconds=61)  # a presence of a minute ago is none
    assert (await aside.visitor.ask(WRITE))["chat"] == {"status": "QUEUED"}
    row = await aside.now()
    assert (row.id, row.assignee_id, row.queue_id) == (aside.row.id, None, aside.desk.queue.id)


async def test_reopening_wakes_a_snoozed_one(aside: Aside) -> None:
    await aside.snooze(hours=1)
    answer = await aside.desk.agent.ask(REOPEN, input={"id": conversation_id(aside.row.id)})
    assert answer == {"conversation": {"status": "ACTIVE", "snoozedUntil": None}, "userErrors": []}
    assert await aside.reasons() == ["PULL", "WOKEN"]


async def test_only_what_somebody_has_is_put_aside_and_only_for_a_year(aside: Aside) -> None:
    waiting = await aside.desk.make.conversation(aside.desk.channel)
    now = aside.desk.make.ports.clock.now()
    later = now + timedelta(hours=1)
    before = (await aside.now()).model_dump()
    for id_, until, error in (
        (aside.row.id, now - timedelta(seconds=1), ("INVALID", ["until"])),
        (aside.row.id, now + timedelta(days=365, minutes=1), ("INVALID", ["until"])),
        (waiting.id, later, ("WRONG_STATE", ["id"])),
    ):
        input_ = {"id": conversation_id(id_), "until": until.isoformat()}
        answer = await aside.desk.admin.ask(SNOOZE, input=input_)
        assert answer["conversation"] is None
        assert [(wrong["code"], wrong["field"]) for wrong in answer["userErrors"]] == [error]
    unknown = {"id": f"Conversation_{'0' * 32}", "until": later.isoformat()}
    answer = await aside.desk.agent.ask(SNOOZE, input=unknown)
    assert answer == {"conversation": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
    assert (await aside.now()).model_dump() == before
    assert await aside.load() == 1


async def test_a_snoozed_one_is_not_snoozed_again_and_may_be_closed(aside: Aside) -> None:
    await aside.snooze(hours=1)
    until = (await aside.now()).snoozed_until
    again = await aside.snooze(hours=2)
    assert again["userErrors"] == [{"code": "WRONG_STATE", "field": ["id"]}]
    assert (await aside.now()).snoozed_until == until
    await aside.desk.agent.ask(CLOSE, input={"id": conversation_id(aside.row.id)})
    row = await aside.now()
    assert (row.status, row.snoozed_until, await aside.load()) == ("CLOSED", None, 0)
