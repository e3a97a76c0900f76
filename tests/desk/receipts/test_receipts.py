"""The provider is told what a member has read: by a worker, once it is stored, and again until it has heard (E4)."""

import asyncio
import time
from datetime import timedelta

from sqlmodel import select

from pytake_gql import duties, worker
from pytake_gql.desk.channels.models import Channel, ChannelStatus
from pytake_gql.desk.contacts import merging
from pytake_gql.desk.receipts import jobs, service
from pytake_gql.desk.receipts.models import DueReceipt
from pytake_gql.desk.receipts.ports import Receipts
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Fault
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.jobs import Job
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk
from tests.meta import Wire

READ = "mutation ($id: ID!, $seq: Int!) { markConversationRead(input: {id: $id, seq: $seq}) { userErrors { code } } }"
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"


async def read(client: Client, wire: Wire, seq: int | None = None) -> None:
    row = await wire.conversation()
    given = {"id": global_id("Conversation", row.id), "seq": row.last_seq if seq is None else seq}
    assert await client.ask(READ, **given) == {"userErrors": []}


async def tell(wire: Wire) -> bool:
    by_kind = wire.ports.adapters[Receipts]
    return await jobs.tell_read(wire.ports, by_kind, wire.desk.organization.id, (await wire.conversation()).id)


async def is_due(wire: Wire) -> bool:
    async with wire.ports.database.session(None) as session:
        found = await service.due(session, wire.ports.clock.now(), 10_000)
    return (wire.desk.organization.id, (await wire.conversation()).id) in found


async def test_whatsapp_hears_of_the_newest_message_that_the_assignee_has_read(wire: Wire) -> None:
    await wire.says("Oi")
    second = await wire.says("Tem alguém aí?")
    await wire.desk.agent.ask(PULL)
    assert (wire.line.seen, await wire.rows(DueReceipt)) == ([], [])
    await read(wire.desk.agent, wire)
    assert (wire.line.seen, await is_due(wire)) == ([], True)
    assert await tell(wire)
    assert (wire.line.seen, wire.line.sent, await wire.rows(DueReceipt)) == ([second], [], [])
    # Nothing new was read: our own note is no message of theirs.
    await wire.answer("Cliente antigo", isNote=True)
    await read(wire.desk.agent, wire)
    assert (await wire.rows(DueReceipt), await tell(wire), wire.line.seen) == ([], False, [second])


async def test_instagram_hears_that_the_contact_was_seen(gram: Wire) -> None:
    event = payloads.event(gram.contact, gram.line.address, time.time(), message={"mid": "m1", "text": "Oi"})
    assert await gram.deliver(payloads.instagram(gram.line.address, event)) == 200
    await gram.desk.agent.ask(PULL)
    await read(gram.desk.agent, gram)
    assert await tell(gram)
    assert (gram.line.seen, await gram.rows(DueReceipt)) == ([gram.contact], [])


async def test_what_others_read_and_what_no_provider_carries_is_told_to_nobody(wire: Wire, desk: Desk) -> None:
    await wire.says("Oi")
    await desk.agent.ask(PULL)
    await read(desk.admin, wire)
    assert await wire.rows(DueReceipt) == []
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    assert await desk.agent.ask(READ, id=global_id("Conversation", row.id), seq=2) == {"userErrors": []}
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert (await session.execute(select(DueReceipt))).all() == []


async def test_a_failure_for_now_is_tried_again_and_one_for_good_is_not(wire: Wire, clock: TravellingClock) -> None:
    first = await wire.says("Oi")
    await wire.desk.agent.ask(PULL)
    await read(wire.desk.agent, wire)
    wire.recorder.faults.append(Fault(status=503))
    assert not await tell(wire)
    assert (await is_due(wire), await tell(wire), wire.line.seen) == (False, False, [])
    clock.ahead += timedelta(seconds=11)
    assert (await is_due(wire), await tell(wire), wire.line.seen) == (True, True, [first])

    await wire.says("E agora?")
    await read(wire.desk.agent, wire)
    wire.recorder.faults.append(Fault(status=400, code=100))
    assert not await tell(wire)
    assert (await wire.rows(DueReceipt), wire.line.seen) == ([], [first])

    await wire.says("Alô?")
    await read(wire.desk.agent, wire)
    wire.recorder.faults.append(Fault(status=401, code=190))
    assert not await tell(wire)
    async with wire.ports.database.session(wire.desk.organization.id) as session:
        channel = await session.get_one(Channel, (wire.desk.organization.id, wire.channel.id))
    assert (await wire.rows(DueReceipt), channel.status) == ([], ChannelStatus.ERROR)


async def test_e4_what_is_read_while_a_worker_tells_is_told_too(wire: Wire) -> None:
    first = await wire.says("Oi")
    await wire.desk.agent.ask(PULL)
    await read(wire.desk.agent, wire)
    wire.recorder.faults.append(Fault(status=200, seconds=0.5))
    telling = asyncio.create_task(tell(wire))
    await asyncio.sleep(0.2)
    second = await wire.says("Mais uma coisa")
    await read(wire.desk.agent, wire)
    assert await telling
    assert (wire.line.seen, await is_due(wire)) == ([first], True)
    assert sorted(await asyncio.gather(tell(wire), tell(wire))) == [False, True]
    assert (wire.line.seen, await wire.rows(DueReceipt)) == ([first, second], [])


async def test_of_an_erased_contact_nothing_is_told(wire: Wire) -> None:
    await wire.says("Oi")
    await wire.desk.agent.ask(PULL)
    await read(wire.desk.agent, wire)
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await merging.erase(uow, (await wire.conversation()).contact_id)
    assert (await tell(wire), wire.line.seen, await wire.rows(DueReceipt)) == (False, [], [])


async def test_a_worker_finds_it_though_redis_has_forgotten(wire: Wire) -> None:
    await wire.says("Oi")
    await wire.desk.agent.ask(PULL)
    await read(wire.desk.agent, wire)
    job = Job("tell_read", (str(wire.desk.organization.id), str((await wire.conversation()).id)))
    found = [job_ for sweep in duties.sweeps(wire.ports) for job_ in await sweep()]
    assert job in found
    await worker.Workshop(duties.jobs(wire.ports, None, {})).run(job)  # type: ignore[arg-type]
    assert len(wire.line.seen) == 1
