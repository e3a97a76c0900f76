"""The worker against a real Redis that is emptied, stopped and started; PostgreSQL keeps what is due."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from sqlmodel import col, select

from pytake_gql import bootstrap, duties, embedded, worker
from pytake_gql.kernel import idempotency, tasks
from pytake_gql.kernel.idempotency import IdempotencyKey
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from pytake_gql.tenancy.mail import service as mails
from pytake_gql.tenancy.mail.models import Mail
from pytake_gql.tenancy.mail.ports import Letter
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Availability, Member
from tests.conftest import Servers, TravellingClock, _clone, _drop, database_named
from tests.embedded.conftest import reachable_directory
from tests.factories import Factory

HURRY = 30.0  # far more than anything takes, on a machine that is busy
STOPPED_WITHIN = 10.0


@dataclass
class RecordingMailer:
    """Keeps what it is given; `blocked` holds deliveries up."""

    letters: list[Letter] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.free.set()

    async def deliver(self, letter: Letter) -> None:
        self.begun.set()
        await self.free.wait()
        self.letters.append(letter)

    async def has(self, mail_id: UUID) -> None:
        async with asyncio.timeout(HURRY):
            while mail_id not in {letter.id for letter in self.letters}:
                await asyncio.sleep(0.005)


@pytest.fixture
def state() -> Iterator[Path]:
    """Of a Valkey of the test's own, to be stopped and emptied at will."""
    place = reachable_directory()
    yield place / "state"
    embedded.stop(place / "state")
    shutil.rmtree(place)


@pytest.fixture
async def office(
    servers: Servers, template: str, state: Path, settings: Settings, travelling_clock: TravellingClock
) -> AsyncIterator[Ports]:
    """Ports over a database and a Redis that nobody else uses."""
    name = f"worker_{uuid4().hex}"
    await _clone(servers.database_url, name, template)
    redis = await asyncio.to_thread(embedded.ensure_valkey, state, durable=False)
    own = replace(settings, database_url=database_named(servers.database_url, name), redis_url=redis.url)
    async with bootstrap.ports(own, travelling_clock) as ports:
        yield ports
    await _drop(servers.database_url, name)


@asynccontextmanager
async def working(ports: Ports, mailer: RecordingMailer) -> AsyncIterator[None]:
    """A whole worker, in this process."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.work(ports, mailer, bootstrap.channels(ports), stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(HURRY):
            await task


@asynccontextmanager
async def reading(ports: Ports, mailer: RecordingMailer, queue: JobQueue) -> AsyncIterator[None]:
    """One queue alone, without the reconciler."""
    workshop = worker.Workshop(duties.jobs(ports, mailer, bootstrap.channels(ports)))
    task = asyncio.create_task(worker.QueueReader(ports.settings, workshop, queue, worker.PACES[queue]).run())
    try:
        yield
    finally:
        async with asyncio.timeout(HURRY):
            await tasks.end([task])


async def write_mail(ports: Ports) -> UUID:
    async with ports.units.of_system(None) as uow:
        mail = await mails.send(uow, recipient="ana@example.com", subject="Olá", text="Oi")
    return mail.id


async def sent(ports: Ports, mail_id: UUID) -> bool:
    async with ports.database.session(None) as session:
        return (await session.execute(select(Mail.sent_at).where(Mail.id == mail_id))).scalar_one() is not None


async def settled(ports: Ports, mail_id: UUID) -> None:
    async with asyncio.timeout(HURRY):
        while not await sent(ports, mail_id):
            await asyncio.sleep(0.01)


async def test_an_interactive_job_starts_within_a_tenth_of_a_second(office: Ports) -> None:
    mailer = RecordingMailer()
    async with reading(office, mailer, JobQueue.INTERACTIVE):
        await mailer.has(await write_mail(office))  # by now it is awake
        waits = []
        for _ in range(5):
            mail_id = await write_mail(office)
            begun = time.monotonic()
            await mailer.has(mail_id)
            waits.append(time.monotonic() - begun)
        await settled(office, mail_id)
    assert min(waits) < 0.1


async def test_a_bulk_job_runs_too(office: Ports) -> None:
    mailer = RecordingMailer()
    async with office.units.of_system(None) as uow:
        mail = await mails.send(uow, recipient="ana@example.com", subject="Olá", text="Oi")
        uow.jobs.clear()
        uow.enqueue(Job("deliver_mail", (str(mail.id),), JobQueue.BULK))
    async with reading(office, mailer, JobQueue.BULK):
        await mailer.has(mail.id)
        await settled(office, mail.id)


async def test_a_job_that_fails_does_not_stop_the_others(office: Ports) -> None:
    mailer = RecordingMailer()
    await office.jobs.enqueue([Job("deliver_mail", ("no id",)), Job("unknown", ())])
    async with reading(office, mailer, JobQueue.INTERACTIVE):
        await mailer.has(await write_mail(office))


async def test_h4_flushall_between_commit_and_pick_up_loses_nothing(office: Ports) -> None:
    mailer = RecordingMailer()
    mail_id = await write_mail(office)
    async with Redis.from_url(office.settings.redis_url) as redis:
        assert await redis.zcard(JobQueue.INTERACTIVE.value) == 1
        await redis.flushall()
    async with working(office, mailer):
        await mailer.has(mail_id)
        await settled(office, mail_id)
    assert [letter.id for letter in mailer.letters] == [mail_id]


async def test_h4_work_goes_on_without_redis_and_the_queues_come_back_with_it(office: Ports, state: Path) -> None:
    mailer = RecordingMailer()
    async with working(office, mailer):
        await mailer.has(await write_mail(office))
        await asyncio.to_thread(embedded.stop, state)
        during = await write_mail(office)
        await mailer.has(during)
        redis = await asyncio.to_thread(embedded.ensure_valkey, state, durable=False)
        assert redis.url == office.settings.redis_url
        async with Redis.from_url(redis.url) as client, asyncio.timeout(HURRY):
            # Both queues are read again: arq says so under a key of its own.
            while await client.exists(*(f"{queue.value}:health-check" for queue in JobQueue)) < len(JobQueue):
                await asyncio.sleep(0.01)
        after = await write_mail(office)
        await mailer.has(after)
    delivered = [letter.id for letter in mailer.letters]
    assert len(delivered) == len(set(delivered)) == 3


async def test_g24_a_worker_that_is_told_to_stop_finishes_what_it_does(office: Ports) -> None:
    mailer = RecordingMailer()
    mailer.free.clear()
    mail_id = await write_mail(office)
    async with working(office, mailer):
        await asyncio.wait_for(mailer.begun.wait(), HURRY)
        asyncio.get_running_loop().call_later(0.3, mailer.free.set)
    assert [letter.id for letter in mailer.letters] == [mail_id]
    assert await sent(office, mail_id)


async def test_g5_idempotency_keys_are_forgotten_after_a_day(office: Ports, clock: TravellingClock) -> None:
    make = Factory(office)
    organization, other = await make.organization(), await make.organization()
    actor = uuid4()
    for of, key in ((organization, "old"), (other, "old")):
        async with office.units.of_system(of.id) as uow:
            await idempotency.claim(uow, actor, key, {})
    clock.advance(hours=23)
    async with office.units.of_system(organization.id) as uow:
        await idempotency.claim(uow, actor, "young", {})
    await idempotency.forget_expired(office.units)
    assert await keys_of(office, organization.id) == ["old", "young"]
    clock.advance(hours=1, seconds=1)
    await idempotency.forget_expired(office.units)
    assert await keys_of(office, organization.id) == ["young"]
    assert await keys_of(office, other.id) == []


async def test_d19_a_lost_member_goes_offline_though_other_work_hangs(
    office: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE", timedelta(seconds=0.1))
    mailer = RecordingMailer()
    mailer.free.clear()
    await write_mail(office)
    make, now = Factory(office), office.clock.now()
    lost = await make.member(await make.organization(), availability=Availability.ONLINE, lost_at=now)

    async def stored() -> Availability:
        async with office.database.session(lost.organization_id) as session:
            return (await session.get_one(Member, (lost.organization_id, lost.id))).availability

    async with working(office, mailer):
        await asyncio.wait_for(mailer.begun.wait(), HURRY)
        async with asyncio.timeout(HURRY):
            while await stored() is not Availability.OFFLINE:
                await asyncio.sleep(0.05)
        assert mailer.letters == []
        mailer.free.set()


async def keys_of(ports: Ports, organization_id: UUID) -> list[str]:
    async with ports.database.session(organization_id) as session:
        return list((await session.execute(select(IdempotencyKey.key).order_by(col(IdempotencyKey.key)))).scalars())


async def test_g24_the_process_ends_well_on_sigterm(office: Ports) -> None:
    environment = os.environ | {"DATABASE_URL": office.settings.database_url, "REDIS_URL": office.settings.redis_url}
    process = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-m", "pytake_gql", "worker"], env=environment)
    try:
        await settled(office, await write_mail(office))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, STOPPED_WITHIN) == 0
    finally:
        process.kill()
        process.wait()


async def test_e9_a_backlog_of_executions_is_swept_a_few_at_a_time_and_holds_up_nobody() -> None:
    """Any of them, so that workers do not all find the same; the other places are for what people wait for (E11)."""
    running, most, done = 0, 0, list[str]()

    async def look(id_: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        done.append(id_)

    async def sweep() -> list[Job]:
        return [Job("run_execution", (str(number),)) for number in range(20)]

    await worker.Reconciler(worker.Workshop({"run_execution": look}), (sweep,))._sweep(sweep)
    assert most == duties.AT_ONCE["run_execution"] == 4
    assert sorted(done, key=int) == [str(number) for number in range(20)]
