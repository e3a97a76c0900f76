"""kill -9 of workers and FLUSHALL while a campaign runs over a provider: nobody lost, nobody told twice (E8-E10)."""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import httpx
import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.automation.flow_executions import jobs
from pytake_gql.automation.flow_executions.models import ExecutionRecipient, FlowExecution
from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.desk.conversations.models import Message
from pytake_gql.development.meta.recorder import Recorder
from pytake_gql.kernel.ports import Ports
from tests.automation.flow_executions.campaign import HELLO, Campaign, plan
from tests.desk.desk import open_desk
from tests.factories import Factory
from tests.meta import connect, recording
from tests.processes.machinery import Processes, flush

MOST_KILLS = 1
WORKERS = ("worker", "worker-2")


async def test_e10_kill_9_and_flushall_lose_nobody_and_tell_nobody_twice(
    place: Processes, their_ports: Ports, http: httpx.AsyncClient, is_long: bool
) -> None:
    desk, recorder = await open_desk(Factory(their_ports), http), Recorder()
    async with recording(recorder) as url:
        wire = await connect(desk, recorder, url)
        campaign = await plan(desk, HELLO, wire.channel)
        count = 5000 if is_long else 60
        await campaign.contacts(count)
        async with their_ports.units.of_system(desk.organization.id) as uow:
            await uow.session.execute(sa.update(ContactIdentity).values(last_wrote_at=their_ports.clock.now()))
        execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=60 * 30))
        for name in WORKERS:
            place.start(name)
        kills = 0
        while (await campaign.execution(execution_id)).finished_at is None:
            await asyncio.sleep(random.uniform(0.1, 0.5))
            is_at_work = "SENDING" in await campaign.counts(execution_id)
            if is_at_work and (kills < MOST_KILLS or is_long):
                await place.kill(WORKERS[kills % 2])
                await flush(place.settings.redis_url)
                await run_out(campaign)
                kills += 1
        counts = await campaign.counts(execution_id)
        # A worker has at most so many in flight: four jobs, of one batch each.
        assert counts.get("UNKNOWN", 0) <= kills * jobs.AT_ONCE * jobs.BATCH
        assert {**counts, "UNKNOWN": 0, "COMPLETED": 0} == {"UNKNOWN": 0, "COMPLETED": 0}
        assert sum(counts.values()) == count
        assert kills >= 1
        told = Counter(sent.get("to") or sent["recipient"] for sent in wire.line.sent)
        assert max(told.values()) == 1
        assert counts["COMPLETED"] <= len(told) <= count
        reached = {row.message_id for row in await campaign.recipients(execution_id) if row.status == "COMPLETED"}
        sent = {row.id for row in await campaign.messages() if row.provider_message_id is not None}
        assert reached == sent


async def run_out(campaign: Campaign) -> None:
    """As if a minute had passed: leases run out, those of workers that live on too, and executions are looked at."""
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        long_ago = uow.now() - timedelta(seconds=1)
        for model in (ExecutionRecipient, Message):
            held = sa.update(model).where(col(model.due_at) > uow.now() + timedelta(seconds=5), col(model.epoch) > 0)
            await uow.session.execute(held.values(due_at=long_ago).execution_options(synchronize_session=False))
        waiting = sa.update(FlowExecution).where(col(FlowExecution.due_at).is_not(None)).values(due_at=long_ago)
        await uow.session.execute(waiting.execution_options(synchronize_session=False))
