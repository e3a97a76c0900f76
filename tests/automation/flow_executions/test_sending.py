"""What goes wrong around the provider's call, and who may still write what: E4-E9, S16."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlmodel import col

from pytake_gql.automation.flow_executions import beginning, chunks, jobs, rates, retrying, service
from pytake_gql.automation.flow_executions.models import ExecutionRecipient, ExecutionStatus, FlowExecution
from pytake_gql.automation.flow_executions.snapshots import Audience
from pytake_gql.automation.flow_executions.windows import EXPIRES_AFTER, Span
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.conversations import jobs as deliveries
from pytake_gql.desk.conversations import locks, messages, outcomes
from pytake_gql.desk.conversations.models import MessageStatus
from pytake_gql.desk.conversations.ports import Channels, DeliveryFailed
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from tests.automation.flow_executions.campaign import ASKS, HELLO, Campaign, Recorder, plan
from tests.conftest import TravellingClock
from tests.desk.desk import Desk

BUSY = DeliveryFailed("Ocupado", is_transient=True)
GONE = DeliveryFailed("Número inexistente", is_transient=False)
REVOKED = DeliveryFailed("Token revogado", is_transient=False, is_access_at_fault=True)


async def cancel(campaign: Campaign, execution_id: UUID) -> None:
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        await service.cancel(uow, execution_id)


async def settle(campaign: Campaign, message_id: UUID, status: MessageStatus, error: str | None = None) -> None:
    """As a provider's status does."""
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        await outcomes.settle(uow, message_id, status, error=error)


async def test_e8_sending_is_written_before_the_call_and_sent_after_it(desk: Desk) -> None:
    asking, channel = await plan(desk, ASKS), Recorder(may_answer=asyncio.Event())
    await asking.contacts()
    execution_id = await asking.fire()
    running = asyncio.create_task(asking.begin(execution_id, channel))
    await channel.asked.wait()
    row, (message,) = await asking.recipient(execution_id), await asking.messages()
    assert (row.status, message.status, row.message_id) == ("SENDING", "QUEUED", channel.sent[0].message_id)
    assert channel.may_answer is not None
    channel.may_answer.set()
    await running
    row, (message,) = await asking.recipient(execution_id), await asking.messages()
    assert (row.status, row.due_at, row.attempts) == ("SENT", None, 1)
    assert (message.status, message.provider_message_id) == ("SENT", f"provider-{message.id.hex}")


async def test_e8_a_worker_that_dies_in_the_call_leaves_unknown_which_the_provider_settles(
    desk: Desk, clock: TravellingClock
) -> None:
    asking, channel = await plan(desk, ASKS), Recorder(answers=[asyncio.CancelledError()])
    await asking.contacts()
    execution_id = await asking.fire()
    with pytest.raises(asyncio.CancelledError):
        await asking.begin(execution_id, channel)
    await asking.look(execution_id, channel)
    assert await asking.counts(execution_id) == {"SENDING": 1}
    clock.advance(seconds=chunks.LEASE.total_seconds() + 1)
    await asking.deliver(channel)  # the lease of the message has run out
    assert await asking.counts(execution_id) == {"UNKNOWN": 1}
    execution = await asking.finish(execution_id, channel)
    assert execution.status == "COMPLETED_WITH_ERRORS"
    assert len(channel.sent) == 1  # never sent again by itself
    (message,) = await asking.messages()
    for status, expected in (("SENT", "SENT"), ("DELIVERED", "DELIVERED"), ("READ", "READ"), ("SENT", "READ")):
        await settle(asking, message.id, MessageStatus(status))
        assert await asking.counts(execution_id) == {expected: 1}


async def test_d27_a_message_that_the_provider_fails_later_fails_its_recipient_and_is_told(campaign: Campaign) -> None:
    await campaign.contacts(2)
    execution_id = await campaign.fire()
    assert (await campaign.finish(execution_id, Recorder())).status == "COMPLETED"
    await settle(campaign, (await campaign.messages())[0].id, MessageStatus.FAILED, "Bloqueado")
    assert await campaign.counts(execution_id) == {"COMPLETED": 1, "FAILED": 1}
    await campaign.look(execution_id)
    assert (await campaign.execution(execution_id)).status == "COMPLETED_WITH_ERRORS"
    (failed,) = [row for row in await campaign.recipients(execution_id) if row.status == "FAILED"]
    assert failed.reason == "Bloqueado"


async def test_e7_what_passes_is_tried_again_on_the_recipient_with_the_same_message(
    campaign: Campaign, clock: TravellingClock
) -> None:
    channel = Recorder(answers=[BUSY, BUSY])
    await campaign.contacts()
    execution_id = await campaign.fire()
    await campaign.begin(execution_id, channel)
    for attempts, ceiling in ((1, 30), (2, 60)):
        row = await campaign.recipient(execution_id)
        assert (row.status, row.attempts, row.reason) == ("PENDING", attempts, "Ocupado")
        assert row.due_at is not None
        assert row.due_at <= clock.now() + timedelta(seconds=ceiling)
        await campaign.deliver(channel)  # nobody else tries it in between
        assert len(channel.sent) == attempts
        clock.advance(seconds=ceiling)
        await campaign.begin(execution_id, channel)
    assert await campaign.counts(execution_id) == {"COMPLETED": 1}
    assert len({sent.message_id for sent in channel.sent}) == 1
    assert len(channel.sent) == 3
    assert (await campaign.finish(execution_id, channel)).status == "COMPLETED"


async def test_e7_after_its_attempts_it_fails(campaign: Campaign, clock: TravellingClock) -> None:
    channel = Recorder(answers=[BUSY] * 9)
    await campaign.contacts()
    execution_id = await campaign.fire(limits=campaign.limits(max_attempts=2))
    await campaign.begin(execution_id, channel)
    clock.advance(seconds=30)
    execution = await campaign.finish(execution_id, channel)
    row, (message,) = await campaign.recipient(execution_id), await campaign.messages()
    assert (row.status, row.attempts, row.reason, message.status) == ("FAILED", 2, "Ocupado", "FAILED")
    assert (execution.status, len(channel.sent)) == ("FAILED", 2)
    clock.advance(hours=3)
    await campaign.deliver(channel)
    assert len(channel.sent) == 2


async def test_e7_what_does_not_pass_is_not_tried_again(campaign: Campaign) -> None:
    channel = Recorder(answers=[GONE])
    await campaign.contacts(2)
    execution_id = await campaign.fire()
    execution = await campaign.finish(execution_id, channel)
    assert execution.status == "COMPLETED_WITH_ERRORS"
    assert await campaign.counts(execution_id) == {"COMPLETED": 1, "FAILED": 1}
    assert len(channel.sent) == 2


async def test_retrying_begins_the_failed_ones_anew_and_no_others(campaign: Campaign) -> None:
    channel = Recorder(answers=[GONE])
    await campaign.contacts(2)
    execution_id = await campaign.fire()
    await campaign.finish(execution_id, channel)
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        assert (await retrying.retry(uow, execution_id)).status == "RUNNING"
    assert await campaign.counts(execution_id) == {"COMPLETED": 1, "PENDING": 1}
    assert (await campaign.finish(execution_id, channel)).status == "COMPLETED"
    assert (await campaign.counts(execution_id), len(channel.sent)) == ({"COMPLETED": 2}, 3)
    with pytest.raises(Refusal, match="No recipient of it has failed"):
        async with campaign.ports.units.of_system(campaign.organization_id) as uow:
            await retrying.retry(uow, execution_id)


async def test_s21_an_access_that_is_revoked_fails_the_channel_and_the_execution(campaign: Campaign) -> None:
    channel = Recorder(answers=[REVOKED])
    await campaign.contacts(40)
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=1))
    await campaign.begin(execution_id, channel)
    execution = await campaign.finish(execution_id, channel)
    (row,) = await campaign.rows(Channel, Channel.id == campaign.channel.id)
    assert (row.status, row.last_error) == ("ERROR", "Token revogado")
    assert execution.status == "FAILED"
    assert execution.reason is not None
    assert "Token revogado" in execution.reason
    assert (await campaign.counts(execution_id), len(channel.sent)) == ({"FAILED": 40}, 1)


async def test_e5_a_cancelled_execution_sends_nothing_new(campaign: Campaign) -> None:
    channel = Recorder(may_answer=asyncio.Event())
    await campaign.contacts(80)
    execution_id = await campaign.fire()
    running = asyncio.create_task(campaign.begin(execution_id, channel))
    await channel.asked.wait()
    await cancel(campaign, execution_id)
    assert channel.may_answer is not None
    channel.may_answer.set()
    await running
    assert len(channel.sent) == jobs.BATCH  # what was in flight
    for _ in range(3):
        await campaign.look(execution_id, channel)
        await campaign.deliver(channel)
    assert len(channel.sent) == jobs.BATCH
    assert await campaign.counts(execution_id) == {"COMPLETED": jobs.BATCH, "CANCELLED": 80 - jobs.BATCH}
    execution = await campaign.execution(execution_id)
    assert (execution.status, execution.due_at) == ("CANCELLED", None)


async def test_e5_a_large_one_is_cancelled_at_once_and_its_recipients_follow(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_AT_ONCE", 10)
    await campaign.contacts(35)
    execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=1))
    await campaign.look(execution_id)
    await cancel(campaign, execution_id)
    assert (await campaign.execution(execution_id)).status == "CANCELLED"
    assert await campaign.counts(execution_id) == {"PENDING": 25, "CANCELLED": 10}
    while await campaign.is_due(execution_id):
        await campaign.look(execution_id)
    assert (await campaign.counts(execution_id), await campaign.said()) == ({"CANCELLED": 35}, [])


async def test_e5_a_paused_one_waits_and_goes_on(campaign: Campaign) -> None:
    await campaign.contacts(3)
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=1))
    await campaign.begin(execution_id)
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        await service.pause_of(uow, campaign.automation_id)
    for _ in range(3):
        assert not await campaign.look(execution_id)
    assert await campaign.counts(execution_id) == {"COMPLETED": 1, "PENDING": 2}
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        await service.resume_of(uow, campaign.automation_id)
    assert await campaign.is_due(execution_id)
    assert (await campaign.finish(execution_id)).status == "COMPLETED"


async def test_s22_only_what_has_not_begun_is_cancelled_by_an_edit(campaign: Campaign) -> None:
    await campaign.contacts()
    begun, waiting = await campaign.fire(limits=campaign.limits(rate_per_minute=1)), await campaign.fire()
    await campaign.look(begun)
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        running = await service.running_of(uow.session, campaign.automation_id)
        gone = await service.cancel_of(uow, campaign.automation_id, "Foi alterada.", only_waiting=True)
    assert ([row.id for row in running], [row.id for row in gone]) == ([begun, waiting], [waiting])
    assert (await campaign.execution(begun)).status == "RUNNING"
    assert (await campaign.execution(waiting)).reason == "Foi alterada."
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        assert [row.id for row in await service.cancel_of(uow, campaign.automation_id)] == [begun]
    assert (await campaign.counts(begun), await campaign.said()) == ({"CANCELLED": 1}, [])


async def test_e4_a_lease_that_runs_out_is_taken_over_and_its_zombie_writes_nothing(
    campaign: Campaign, clock: TravellingClock
) -> None:
    await campaign.contacts(3)
    execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=1))
    await campaign.look(execution_id)
    ports, of = campaign.ports, campaign.organization_id

    async def claim() -> list[chunks.Claimed]:
        async with ports.units.of_system(of) as uow:
            return list(await chunks.claim(uow, await service.get(uow, execution_id), 10))

    zombie = await claim()
    assert (len(zombie), await claim()) == (3, [])
    clock.advance(seconds=chunks.LEASE.total_seconds() + 1)
    heir = await claim()
    assert [(it.id, it.epoch, it.attempts) for it in heir] == [(it.id, 2, 2) for it in zombie]
    assert all(it.is_suspect for it in heir)
    before = await campaign.recipients(execution_id)
    async with ports.units.of_system(of) as uow:
        await chunks.put_back(uow, zombie, uow.now())
        await chunks.renew(uow, zombie)
    assert await campaign.recipients(execution_id) == before
    with pytest.raises(chunks.Superseded) as superseded:
        async with ports.units.of_system(of) as uow:
            await chunks.hold(uow, [heir[0], *zombie[1:]])
    assert superseded.value.gone == {it.id for it in zombie[1:]}
    async with ports.units.of_system(of) as uow:
        await chunks.put_back(uow, heir, uow.now())
    await campaign.change(FlowExecution, execution_id, snapshot=campaign.firing().snapshot.to_json())
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    assert len(await campaign.said()) == 3


async def test_e4_a_lease_is_renewed(campaign: Campaign, clock: TravellingClock) -> None:
    await campaign.contacts(2)
    execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=1))
    await campaign.look(execution_id)
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        claimed = await chunks.claim(uow, await service.get(uow, execution_id), 10)
    clock.advance(seconds=50)
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        await chunks.renew(uow, claimed)
    clock.advance(seconds=50)
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        assert await chunks.claim(uow, await service.get(uow, execution_id), 10) == []


async def test_e6_a_rate_is_kept_and_nobody_sleeps(campaign: Campaign) -> None:
    """Three workers ask as fast as they can: together they get what a second brings, from an empty bucket on."""
    execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=40 * 60))
    loop, granted, waits = asyncio.get_running_loop(), 0, list[float]()
    await rates.take(campaign.ports, campaign.organization_id, execution_id, 10)  # the bucket is known from now on
    began = loop.time()

    async def ask() -> None:
        nonlocal granted
        while loop.time() < began + 1.0:
            share = await rates.take(campaign.ports, campaign.organization_id, execution_id, 10)
            granted += share.count
            waits.append(share.wait_seconds if not share.count else 0.0)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(ask() for _ in range(3)))
    took = loop.time() - began
    assert 0.9 * 40 - 2 <= granted <= 40 * took + 2
    assert max(waits) <= 1 / 40 + 0.001


async def test_e6_small_executions_leave_each_other_what_they_do_not_need(campaign: Campaign) -> None:
    """A look takes tokens before it knows whom it claims: no more than there are recipients."""
    people = await campaign.contacts(3)
    audience = Audience(contact_ids=tuple(contact.id for contact in people))
    begun, queued = [await campaign.fire(audience=audience) for _ in range(2)]
    await campaign.begin(begun, Recorder(answers=[BUSY, BUSY]))
    of, wanted = (campaign.ports, campaign.organization_id), 100
    assert (await rates.take(*of, begun, wanted)).count == 0  # two wait for their next attempt
    async with asyncio.timeout(10):
        while (share := await rates.take(*of, queued, wanted)).count < 3:
            await rates.give_back(campaign.ports.limiter, share, share.count)
            await asyncio.sleep(0.01)
    assert share.count == 3


async def test_e9_whoever_finds_the_database_too_busy_puts_recipients_back(campaign: Campaign, ports: Ports) -> None:
    """Such as behind a lock: their lease would else run for a minute, and then each would stand alone."""
    (contact,) = await campaign.contacts(1)
    execution_id = await campaign.fire()
    async with ports.units.of_system(campaign.organization_id) as uow:
        await locks.opening_all(uow, campaign.channel.id, [contact.id])
        await campaign.begin(execution_id)
    row = await campaign.recipient(execution_id)
    assert (row.status, row.attempts, row.message_id) == ("PENDING", 0, None)
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    assert len(await campaign.messages()) == 1


async def test_an_execution_ends_with_its_last_recipient_without_another_look(campaign: Campaign) -> None:
    await campaign.contacts(3)
    execution_id = await campaign.fire()
    await campaign.begin(execution_id)
    assert (await campaign.execution(execution_id)).status == "COMPLETED"


async def test_e6_after_a_flush_the_buckets_begin_empty(campaign: Campaign, settings: Settings) -> None:
    await campaign.contacts(50)
    execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=60))
    await campaign.begin(execution_id)
    before = (await campaign.counts(execution_id))["COMPLETED"]
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.flushdb()
    await campaign.look(execution_id)
    assert (await campaign.counts(execution_id))["COMPLETED"] == before


async def test_at_most_so_many_are_being_sent_to_at_once(campaign: Campaign) -> None:
    channel = Recorder(may_answer=asyncio.Event())
    await campaign.contacts(20)
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=5))
    running = asyncio.create_task(campaign.begin(execution_id, channel))
    await channel.asked.wait()
    for _ in range(3):
        await campaign.look(execution_id, channel)
    assert len(channel.sent) == 5
    assert channel.may_answer is not None
    channel.may_answer.set()
    await running
    assert (await campaign.finish(execution_id, channel)).status == "COMPLETED"
    assert len(channel.sent) == 20


async def test_s16_at_closing_it_waits_and_at_the_next_opening_it_goes_on(
    campaign: Campaign, clock: TravellingClock
) -> None:
    await campaign.contacts(3)
    now = clock.now()
    later = now + timedelta(hours=20)
    spans = [Span(now, now + timedelta(hours=1)), Span(later, later + timedelta(hours=1))]
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=1), spans=spans)
    await campaign.begin(execution_id)
    clock.advance(hours=1)
    assert not await campaign.look(execution_id)
    execution = await campaign.execution(execution_id)
    assert (execution.status, execution.due_at) == ("WAITING_WINDOW", later)
    assert await campaign.counts(execution_id) == {"COMPLETED": 1, "PENDING": 2}
    clock.advance(hours=19)
    assert await campaign.is_due(execution_id)
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    assert await campaign.counts(execution_id) == {"COMPLETED": 3}


async def test_s16_a_window_that_closes_while_a_chunk_is_sent_lets_the_batch_end(
    campaign: Campaign, clock: TravellingClock
) -> None:
    channel = Recorder(may_answer=asyncio.Event())
    await campaign.contacts(60)
    now = clock.now()
    execution_id = await campaign.fire(spans=[Span(now, now + timedelta(hours=1))])
    running = asyncio.create_task(campaign.begin(execution_id, channel))
    await channel.asked.wait()
    clock.advance(hours=1)
    await campaign.look(execution_id, channel)
    assert channel.may_answer is not None
    channel.may_answer.set()
    await running
    assert len(channel.sent) == jobs.BATCH
    assert await campaign.counts(execution_id) == {"COMPLETED": jobs.BATCH, "PENDING": 60 - jobs.BATCH}
    clock.advance(seconds=EXPIRES_AFTER.total_seconds())
    await campaign.look(execution_id, channel)
    assert (await campaign.execution(execution_id)).status == ExecutionStatus.EXPIRED
    assert await campaign.counts(execution_id) == {"COMPLETED": jobs.BATCH, "EXPIRED": 60 - jobs.BATCH}


async def test_e9_an_execution_that_nobody_looks_at_is_due_again(campaign: Campaign, clock: TravellingClock) -> None:
    await campaign.contacts(3)
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=1))
    assert await campaign.is_due(execution_id)
    await campaign.begin(execution_id)
    assert not await campaign.is_due(execution_id)
    clock.advance(seconds=30)
    assert await campaign.is_due(execution_id)
    await campaign.finish(execution_id)
    clock.advance(days=30)
    assert not await campaign.is_due(execution_id)


async def test_what_breaks_one_batch_is_tried_alone(
    campaign: Campaign, clock: TravellingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await campaign.contacts(10)
    execution_id = await campaign.fire()

    async def broken(*_: object) -> None:
        raise RuntimeError("a worker dies here")

    with monkeypatch.context() as patch:
        patch.setattr(beginning, "begin", broken)
        with pytest.raises(RuntimeError):
            await campaign.begin(execution_id)
    assert (await campaign.counts(execution_id), await campaign.said()) == ({"SENDING": 10}, [])
    clock.advance(seconds=chunks.LEASE.total_seconds() + 1)
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    assert len(await campaign.said()) == 10
    assert {row.attempts for row in await campaign.recipients(execution_id)} == {2}


@pytest.fixture
async def numbered(desk: Desk) -> Campaign:
    """One over a WhatsApp channel that nobody connects anywhere."""
    return await plan(desk, HELLO, await desk.make.channel(desk.organization, kind=ChannelKind.WHATSAPP))


async def test_d28_outside_the_reply_window_a_free_text_fails_and_nothing_is_begun(
    numbered: Campaign, clock: TravellingClock
) -> None:
    fresh, stale = await numbered.contacts(2)
    await numbered.wrote(fresh, clock.now() - timedelta(hours=23))
    await numbered.wrote(stale, clock.now() - timedelta(hours=25))
    channel = Recorder()
    execution_id = await numbered.fire()
    await numbered.finish(execution_id, channel)
    rows = {row.contact_id: row for row in await numbered.recipients(execution_id)}
    assert rows[fresh.id].status == "COMPLETED"
    assert (rows[stale.id].status, rows[stale.id].conversation_id) == ("FAILED", None)
    assert rows[stale.id].reason == ("O contato não escreve há 24 horas: só um modelo passa.")
    assert len(channel.sent) == 1
    assert channel.sent[0].addressed().account.channel_id == numbered.channel.id


async def test_a_whatsapp_contact_is_reached_by_its_phone(desk: Desk, numbered: Campaign) -> None:
    await desk.make.contact(desk.organization, phone="+5511987654321", phone_key="+5511987654321")
    execution_id, channel = await numbered.fire(), Recorder()
    await numbered.finish(execution_id, channel)
    row = await numbered.recipient(execution_id)
    assert (row.status, channel.sent) == ("FAILED", [])  # reached, but only a template passes


async def test_e6_a_campaign_leaves_a_tenth_of_the_numbers_pace_to_people(numbered: Campaign, ports: Ports) -> None:
    people = await numbered.contacts(90)
    for contact in people:
        await numbered.wrote(contact, ports.clock.now())
    execution_id, channel = await numbered.fire(), Recorder()
    await numbered.look(execution_id, channel)
    await asyncio.sleep(1.2)
    await numbered.look(execution_id, channel)
    assert 0 < len(channel.sent) <= 80
    recipient = next(iter(await numbered.rows(ExecutionRecipient, col(ExecutionRecipient.status) == "PENDING")))
    assert recipient.attempts == 0


async def test_a_message_is_delivered_by_the_worker_that_begins_it_alone(campaign: Campaign) -> None:
    channel = Recorder(may_answer=asyncio.Event())
    await campaign.contacts()
    execution_id = await campaign.fire()
    running = asyncio.create_task(campaign.begin(execution_id, channel))
    await channel.asked.wait()
    (message,) = await campaign.messages()
    by_kind: Channels = {campaign.channel.kind: channel}
    assert not await deliveries.deliver_message(campaign.ports, by_kind, campaign.organization_id, message.id)
    async with campaign.ports.database.session(None) as session:
        due = await messages.due(session, campaign.ports.clock.now(), 10_000)
    assert (campaign.organization_id, message.id) not in due
    assert channel.may_answer is not None
    channel.may_answer.set()
    await running
    assert len(channel.sent) == 1
