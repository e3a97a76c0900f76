"""What becomes of a message that a member wrote: D27, E4, E8, G4."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from pytake_gql import bootstrap
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations import attempts, jobs, messages, outcomes
from pytake_gql.desk.conversations.models import Message, MessageStatus, TimelineEntry, TimelineKind
from pytake_gql.desk.conversations.ports import ChannelPort, DeliveryFailed, Outgoing
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.ports import Ports
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, conversation_id

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    message { id status } userErrors { code } } }"""


@dataclass
class Recorder:
    """A channel that writes down what it is given, and then does what it is told to."""

    is_idempotent: bool = False
    answers: list[str | BaseException] = field(default_factory=list)
    sent: list[Outgoing] = field(default_factory=list)

    def parts(self, message: Outgoing) -> list[Outgoing]:
        return [message]

    async def send(self, message: Outgoing) -> str | None:
        self.sent.append(message)
        answer = self.answers.pop(0) if self.answers else f"provider-{len(self.sent)}"
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Slow(Recorder):
    """Answers once it is let."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Outgoing) -> str | None:
        self.asked.set()
        await self.may_answer.wait()
        return await super().send(message)


@dataclass(frozen=True)
class Written:
    """A message that an agent wrote and that no worker has seen."""

    ports: Ports
    organization_id: UUID
    conversation_id: UUID
    id: UUID

    async def deliver(self, channel: ChannelPort) -> bool:
        by_kind = {ChannelKind.WEB_CHAT: channel}
        return await jobs.deliver_message(self.ports, by_kind, self.organization_id, self.id)

    async def row(self) -> Message:
        async with self.ports.database.session(self.organization_id) as session:
            return (await messages.by_ids(session, [self.id]))[self.id]

    async def became(self) -> list[str]:
        """What the timeline tells of it."""
        told = select(TimelineEntry.data).where(
            TimelineEntry.conversation_id == self.conversation_id,
            TimelineEntry.kind == TimelineKind.MESSAGE_STATUS_CHANGED,
        )
        async with self.ports.database.session(self.organization_id) as session:
            rows = await session.execute(told.order_by(TimelineEntry.seq))  # type: ignore[arg-type]
            return [data["message_status"] for data in rows.scalars()]

    async def is_due(self, at: Any) -> bool:
        async with self.ports.database.session(None) as session:
            return (self.organization_id, self.id) in await messages.due(session, at, 10_000)


@pytest.fixture
async def written(desk: Desk) -> Written:
    conversation = await desk.make.conversation(desk.channel)
    sent = await desk.agent.ask(SEND, input={"conversationId": conversation_id(conversation.id), "text": "Pois não?"})
    assert sent["userErrors"] == []
    assert sent["message"]["status"] == "QUEUED"
    parsed = parse_global_id(sent["message"]["id"])
    assert parsed is not None
    return Written(desk.make.ports, desk.organization.id, conversation.id, parsed[1])


async def test_d27_ten_workers_at_once_send_it_once(written: Written, ports: Ports) -> None:
    channel = Recorder()
    assert await written.is_due(ports.clock.now())
    assert sorted(await asyncio.gather(*(written.deliver(channel) for _ in range(10)))) == [False] * 9 + [True]
    assert channel.sent == [Outgoing(written.organization_id, written.id, "Pois não?")]
    row = await written.row()
    assert (row.status, row.provider_message_id, row.error, row.due_at) == ("SENT", "provider-1", None, None)
    assert (row.epoch, row.attempts) == (1, 1)
    assert await written.became() == ["SENT"]


async def test_the_web_chat_sends_by_having_stored(written: Written) -> None:
    assert await jobs.deliver_message(
        written.ports, bootstrap.channels(written.ports), written.organization_id, written.id
    )
    assert (await written.row()).status == "SENT"
    assert not await jobs.deliver_message(
        written.ports, bootstrap.channels(written.ports), written.organization_id, written.id
    )
    assert await written.became() == ["SENT"]


async def test_another_organization_cannot_have_it_sent(written: Written, desk: Desk) -> None:
    stranger, channel = await desk.make.organization(), Recorder()
    by_kind: dict[ChannelKind, ChannelPort] = {ChannelKind.WEB_CHAT: channel}
    assert not await jobs.deliver_message(written.ports, by_kind, stranger.id, written.id)
    assert (channel.sent, (await written.row()).status) == ([], "QUEUED")


async def test_e8_an_answer_lost_with_its_worker_is_unknown_and_not_sent_again(
    written: Written, clock: TravellingClock
) -> None:
    channel = Recorder(answers=[asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await written.deliver(channel)
    assert not await written.deliver(channel)  # the lease still runs
    assert ((await written.row()).status, await written.became()) == ("QUEUED", [])
    clock.advance(seconds=jobs.LEASE.total_seconds())
    assert await written.is_due(clock.now())
    assert not await written.deliver(channel)
    row = await written.row()
    assert (row.status, row.error, row.due_at) == ("UNKNOWN", "The answer of the channel was lost.", None)
    assert not await written.deliver(channel)
    assert (len(channel.sent), await written.became()) == (1, ["UNKNOWN"])


async def test_g4_an_idempotent_channel_is_asked_again_with_the_same_id(
    written: Written, clock: TravellingClock
) -> None:
    channel = Recorder(is_idempotent=True, answers=[asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await written.deliver(channel)
    clock.advance(seconds=jobs.LEASE.total_seconds())
    assert await written.deliver(channel)
    assert [outgoing.message_id for outgoing in channel.sent] == [written.id, written.id]
    assert await written.became() == ["SENT"]


async def test_e8_an_answer_lost_after_a_failure_is_lost_all_the_same(written: Written, clock: TravellingClock) -> None:
    channel = Recorder(answers=[DeliveryFailed("busy", is_transient=True), asyncio.CancelledError()])
    await written.deliver(channel)
    clock.advance(seconds=2)
    with pytest.raises(asyncio.CancelledError):
        await written.deliver(channel)
    clock.advance(seconds=jobs.LEASE.total_seconds())
    await written.deliver(channel)
    assert (len(channel.sent), await written.became()) == (2, ["UNKNOWN"])


async def test_e8_a_channel_that_does_not_answer_in_time_is_unknown(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "TIMEOUT_SECONDS", 0.05)
    assert not await written.deliver(Slow())
    row = await written.row()
    assert (row.status, row.error, row.due_at) == ("UNKNOWN", "The channel did not answer.", None)


async def test_d27_a_transient_failure_is_retried_with_growing_pauses_and_then_given_up(
    written: Written, clock: TravellingClock
) -> None:
    channel = Recorder(answers=[DeliveryFailed("busy", is_transient=True) for _ in range(jobs.MOST_ATTEMPTS)])
    pauses = []
    for attempt in range(1, jobs.MOST_ATTEMPTS):
        before = clock.now()
        assert not await written.deliver(channel)
        row = await written.row()
        assert (row.status, row.error, row.attempts) == ("QUEUED", "busy", attempt)
        assert row.due_at is not None
        pauses.append(round((row.due_at - before).total_seconds()))
        assert not await written.deliver(channel)  # too early: nothing is asked
        assert len(channel.sent) == attempt
        clock.ahead += row.due_at - clock.now() + timedelta(milliseconds=1)
    assert pauses == [2, 4, 8, 16, 32, 64, 128]
    assert not await written.deliver(channel)
    row = await written.row()
    assert (row.status, row.error, row.due_at, len(channel.sent)) == ("FAILED", "busy", None, jobs.MOST_ATTEMPTS)
    assert await written.became() == ["FAILED"]


async def test_d27_a_retry_that_succeeds_leaves_no_error(written: Written, clock: TravellingClock) -> None:
    channel = Recorder(answers=[DeliveryFailed("busy", is_transient=True)])
    await written.deliver(channel)
    clock.advance(seconds=3)
    assert await written.deliver(channel)
    row = await written.row()
    assert (row.status, row.error, await written.became()) == ("SENT", None, ["SENT"])


async def test_d27_a_permanent_failure_is_told_and_not_retried(written: Written, clock: TravellingClock) -> None:
    channel = Recorder(answers=[DeliveryFailed("the number is blocked", is_transient=False)])
    assert not await written.deliver(channel)
    row = await written.row()
    assert (row.status, row.error, row.due_at) == ("FAILED", "the number is blocked", None)
    clock.advance(hours=2)
    assert not await written.is_due(clock.now())
    assert not await written.deliver(channel)
    assert (len(channel.sent), await written.became()) == (1, ["FAILED"])


@pytest.mark.parametrize(
    "answer",
    ["late", DeliveryFailed("late", is_transient=True), DeliveryFailed("late", is_transient=False)],
    ids=["sent", "transient", "permanent"],
)
async def test_e4_a_zombie_writes_nothing(
    written: Written, clock: TravellingClock, answer: str | DeliveryFailed
) -> None:
    zombie = Slow(is_idempotent=True, answers=[answer])
    running = asyncio.create_task(written.deliver(zombie))
    await zombie.asked.wait()
    clock.advance(seconds=jobs.LEASE.total_seconds() + 1)
    heir = Slow(is_idempotent=True)
    inheriting = asyncio.create_task(written.deliver(heir))
    await heir.asked.wait()
    claimed = await written.row()
    zombie.may_answer.set()
    await running
    after = await written.row()
    assert (after.status, after.error, after.due_at) == ("QUEUED", None, claimed.due_at)
    assert (after.provider_message_id, await written.became()) == (None, [])
    heir.may_answer.set()
    assert await inheriting
    row = await written.row()
    assert (row.status, row.provider_message_id, row.epoch) == ("SENT", "provider-1", 2)


async def test_d27_a_status_never_moves_backwards(written: Written) -> None:
    steps = [
        (MessageStatus.DELIVERED, "DELIVERED"),
        (MessageStatus.SENT, "DELIVERED"),
        (MessageStatus.FAILED, "DELIVERED"),
        (MessageStatus.UNKNOWN, "DELIVERED"),
        (MessageStatus.READ, "READ"),
        (MessageStatus.DELIVERED, "READ"),
        (MessageStatus.READ, "READ"),
        (MessageStatus.SENT, "READ"),
    ]
    for status, expected in steps:
        async with written.ports.units.of_system(written.organization_id) as uow:
            await outcomes.settle(uow, written.id, status, error="late" if status is MessageStatus.FAILED else None)
        row = await written.row()
        assert (row.status, row.error, row.due_at) == (expected, None, None)
    assert await written.became() == ["DELIVERED", "READ"]


async def test_d27_an_unknown_message_is_settled_by_what_the_provider_tells_later(
    written: Written, clock: TravellingClock
) -> None:
    channel = Recorder(answers=[asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await written.deliver(channel)
    clock.advance(seconds=61)
    await written.deliver(channel)
    async with written.ports.units.of_system(written.organization_id) as uow:
        await outcomes.settle(uow, written.id, MessageStatus.SENT, provider_id="wamid")
    row = await written.row()
    assert (row.status, row.provider_message_id, row.error) == ("SENT", "wamid", None)
    assert await written.became() == ["UNKNOWN", "SENT"]
