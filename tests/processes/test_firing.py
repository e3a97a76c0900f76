"""Everything that fires dies again and again, and a clock is wrong: each nominal once, nobody lost or told twice (E10).

Half of the nominals come due while processes are killed, Redis is emptied and the servers start anew; the other half
was missed before and is caught up with. A recorder stands for the provider, and counts.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from pytake_gql import bootstrap, embedded, migration
from pytake_gql.automation.flow_automations import audiences, cron, settings
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation
from pytake_gql.automation.flow_automations.recurrences import Dates, Recurrence
from pytake_gql.automation.flow_automations.settings import CatchUpPolicy, OverlapPolicy, Settings
from pytake_gql.automation.flow_executions.models import (
    ExecutionRecipient,
    ExecutionStatus,
    FlowExecution,
    RecipientStatus,
)
from pytake_gql.automation.flow_executions.snapshots import Audience
from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.development.meta.recorder import Recorder
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings as ProcessSettings
from pytake_gql.kernel.settings import read_settings
from tests.automation.flow_executions.campaign import HELLO, Campaign, plan
from tests.conftest import Servers, _clone, _drop, database_named
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory
from tests.meta import Wire, connect, recording
from tests.processes.machinery import flush
from tests.processes.nursery import Birth, Nursery
from tests.processes.test_campaigns import run_out

log = logging.getLogger(__name__)

FIVE_MINUTES = timedelta(minutes=5)
AHEAD_SECONDS = 90.0
IN_FLIGHT = 14
"""At most, of one worker: ten jobs of the bulk queue and four of the sweep, each with the one recipient."""


@dataclass(frozen=True)
class Size:
    """`seconds`: how long the nominals of the punctual come due, and how long everything dies."""

    organizations: int
    punctual: int
    """Automations of each organization."""
    missed: int
    nominals: int
    """Of each."""
    seconds: float
    ticks: int
    """Processes that fire and do nothing else; each worker fires, too."""
    between_kills: float
    patience: float


SHORT = Size(organizations=3, punctual=4, missed=1, nominals=4, seconds=5, ticks=0, between_kills=2, patience=100)
LONG = Size(organizations=10, punctual=10, missed=10, nominals=100, seconds=400, ticks=3, between_kills=2, patience=600)


@dataclass
class Arena:
    """Servers of their own; the workers and the ticks on them."""

    settings: ProcessSettings
    state: Path
    nursery: Nursery
    deaths: int = 0
    """Of workers, and of the database: that is one of each worker."""
    workers: list[str] = field(default_factory=list)

    async def bear(self, name: str, *, is_tick: bool = False, ahead_seconds: float = 0.0) -> None:
        environment = {"DATABASE_URL": self.settings.database_url, "REDIS_URL": self.settings.redis_url}
        log = str(self.state / f"{name}.log")
        await self.nursery.bear(name, Birth(environment, log, is_tick, ahead_seconds))
        if not is_tick:
            self.workers.append(name)

    async def kill(self) -> None:
        name = random.choice(list(self.nursery.born))
        await self.nursery.kill(name)
        self.deaths += name in self.workers

    async def flush(self) -> None:
        await flush(self.settings.redis_url)

    async def restart_redis(self) -> None:
        await asyncio.to_thread(embedded.valkey.Valkey(self.state).stop)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(embedded.ensure_valkey, self.state, durable=False)

    async def restart_postgres(self) -> None:
        self.deaths += len(self.workers)
        await asyncio.to_thread(embedded.postgres.Postgres(self.state).stop)
        await asyncio.to_thread(embedded.ensure_postgres, self.state, durable=True)


@pytest.fixture
async def arena(servers: Servers, template: str, state: Path, *, is_long: bool) -> AsyncIterator[Arena]:
    """The short form shares its PostgreSQL with other tests, and leaves it alone."""
    redis = await asyncio.to_thread(embedded.ensure_valkey, state, durable=False)
    if is_long:
        postgres = await asyncio.to_thread(embedded.ensure_postgres, state, durable=True)
        await asyncio.to_thread(migration.upgrade, postgres.url)
        database_url = postgres.url
    else:
        name = f"firing_{state.name}"
        await _clone(servers.database_url, name, template)
        database_url = database_named(servers.database_url, name)
    nursery = await Nursery.open()
    made = read_settings({"DATABASE_URL": database_url, "REDIS_URL": redis.url, "PYTAKE_DATABASE_POOL_SIZE": "15"})
    try:
        yield Arena(made, state, nursery)
    finally:
        await nursery.close()
        if not is_long:
            await _drop(servers.database_url, name)


@pytest.fixture
async def arena_ports(arena: Arena) -> AsyncIterator[Ports]:
    async with bootstrap.ports(arena.settings) as made:
        yield made


@dataclass
class Firings:
    """The automations of an organization, and what each is to fire."""

    campaign: Campaign
    wire: Wire
    nominals: dict[UUID, set[datetime]] = field(default_factory=dict)

    @classmethod
    async def make(cls, desk: Desk, wire: Wire, size: Size) -> "Firings":
        made = cls(await plan(desk, HELLO, wire.channel), wire)
        contacts = await made.campaign.contacts(size.punctual + size.missed)
        ports = desk.make.ports
        async with ports.units.of_system(desk.organization.id) as uow:
            await uow.session.execute(sa.update(ContactIdentity).values(last_wrote_at=uow.now()))
        now = ports.clock.now().replace(microsecond=0)
        rows = []
        for number, contact in enumerate(contacts):
            is_punctual = number < size.punctual
            moments = coming(now, size) if is_punctual else passed(now, size)
            recurrence: Recurrence = cron.parse("*/5 * * * *")
            if is_punctual:
                recurrence = Dates(tuple(moment.replace(tzinfo=None) for moment in moments))
            row = made._automation(contact.id, recurrence, moments, is_skipping=number % 10 == 0)
            made.nominals[row.id] = set(moments)
            rows.append(row)
        await desk.make.save(desk.organization.id, *rows)
        return made

    def _automation(
        self, contact_id: UUID, recurrence: Recurrence, moments: list[datetime], *, is_skipping: bool
    ) -> FlowAutomation:
        given = Settings(
            timezone="UTC",
            recurrence=recurrence,
            ends_at=moments[-1].replace(tzinfo=None),
            overlap=OverlapPolicy.SKIP if is_skipping else OverlapPolicy.ALLOW,
            catch_up=CatchUpPolicy.ALL,
            catch_up_seconds=24 * 3600,
        )
        before = moments[0] - timedelta(seconds=1)
        return FlowAutomation(
            name=f"Automação {contact_id.hex}",
            flow_id=self.campaign.version.flow_id,
            channel_id=self.wire.channel.id,
            status=AutomationStatus.ACTIVE,
            schedule=settings.to_json(given),
            audience=audiences.to_json(Audience(contact_ids=(contact_id,))),
            max_concurrent=100,
            rate_per_minute=60_000,
            max_attempts=3,
            anchored_at=before,
            active_since=before,
            next_firing_at=moments[0],
            next_nominal_at=moments[0],
            created_at=before,
            updated_at=before,
        )

    async def is_done(self) -> bool:
        """Whether everything was fired, and whatever began has ended."""
        wanted = [
            sa.select(sa.func.count())
            .select_from(FlowAutomation)
            .where(col(FlowAutomation.next_firing_at).is_not(None)),
            sa.select(sa.func.count()).select_from(FlowExecution).where(col(FlowExecution.finished_at).is_(None)),
        ]
        with suppress(SQLAlchemyError, OSError):
            async with self.campaign.ports.database.session(self.campaign.organization_id) as session:
                return not any([await session.scalar(statement) for statement in wanted])
        return False


def coming(now: datetime, size: Size) -> list[datetime]:
    """From now on, a second apart at least."""
    first, step = now + timedelta(seconds=random.randint(2, 6)), size.seconds / size.nominals
    return [first + timedelta(seconds=int(step * index)) for index in range(size.nominals)]


def passed(now: datetime, size: Size) -> list[datetime]:
    """Every five minutes, until now."""
    last = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % FIVE_MINUTES
    return [last - FIVE_MINUTES * index for index in reversed(range(size.nominals))]


async def harm(arena: Arena, size: Size, *, is_long: bool) -> None:
    """Until the time is over. Each fault after so many kills."""
    faults: dict[int, Callable[[], Awaitable[None]]] = {
        3: arena.flush,
        17: arena.restart_redis,
        41: arena.restart_postgres,
    }
    if not is_long:
        faults = {1: arena.flush, 2: arena.restart_redis}
    deadline, kills = time.monotonic() + size.seconds + 2, 0
    while time.monotonic() < deadline:
        await asyncio.sleep(size.between_kills)
        await arena.kill()
        kills += 1
        for after, fault in faults.items():
            if kills % after == 0:
                await fault()


async def ends(all_firings: Sequence[Firings], size: Size, *, is_long: bool) -> None:
    """Leases run out by themselves; the short form does not wait for that."""
    async with asyncio.timeout(size.patience):
        for firings in all_firings:
            looks = 0
            while not await firings.is_done():
                await asyncio.sleep(0.5)
                looks += 1
                if not is_long and looks % 20 == 12:
                    await run_out(firings.campaign)


async def test_e10_each_nominal_once_whatever_dies(
    arena: Arena, arena_ports: Ports, http: httpx.AsyncClient, *, is_long: bool
) -> None:
    size, recorder = LONG if is_long else SHORT, Recorder()
    async with recording(recorder) as url:
        desks = [await open_desk(Factory(arena_ports), http) for _ in range(size.organizations)]
        wires = [await connect(desk, recorder, url) for desk in desks]
        for number in range(3):
            await arena.bear(f"worker-{number}", ahead_seconds=AHEAD_SECONDS if number == 1 else 0.0)
        for number in range(size.ticks):
            await arena.bear(f"tick-{number}", is_tick=True, ahead_seconds=-AHEAD_SECONDS if number == 1 else 0.0)
        made = [await Firings.make(desk, wire, size) for desk, wire in zip(desks, wires, strict=True)]
        await harm(arena, size, is_long=is_long)
        await ends(made, size, is_long=is_long)
    unknown = 0
    for firings in made:
        await each_nominal_has_one_execution(firings)
        unknown += await each_recipient_was_told_once(firings)
    nominals = sum(len(moments) for firings in made for moments in firings.nominals.values())
    log.warning("%d nominals, %d deaths of workers, %d unknown", nominals, arena.deaths, unknown)
    assert unknown <= arena.deaths * IN_FLIGHT


async def each_nominal_has_one_execution(firings: Firings) -> None:
    executions = await firings.campaign.rows(FlowExecution)
    assert Counter((it.automation_id, it.scheduled_for) for it in executions) == Counter(
        (id_, moment) for id_, moments in firings.nominals.items() for moment in moments
    )
    ended = Counter(it.status for it in executions)
    assert ended.keys() <= {
        ExecutionStatus.COMPLETED,
        ExecutionStatus.COMPLETED_WITH_ERRORS,
        ExecutionStatus.SKIPPED,
    }, ended


async def each_recipient_was_told_once(firings: Firings) -> int:
    """By the recorder's count; answers of how many nobody knows."""
    executions = await firings.campaign.rows(FlowExecution)
    recipients = await firings.campaign.rows(ExecutionRecipient)
    ran = {it.id for it in executions if it.status is not ExecutionStatus.SKIPPED}
    assert Counter(it.execution_id for it in recipients) == Counter(ran)
    told = Counter(UUID(sent["biz_opaque_callback_data"]) for sent in firings.wire.line.sent)
    assert max(told.values()) == 1
    stands = Counter(it.status for it in recipients)
    assert stands.keys() <= {RecipientStatus.COMPLETED, RecipientStatus.UNKNOWN}, stands
    of_message = {it.message_id: it for it in recipients}
    assert len(of_message) == len(recipients)
    assert told.keys() <= of_message.keys()
    assert {it.message_id for it in recipients if it.status is RecipientStatus.COMPLETED} <= told.keys()
    assert {it.id for it in await firings.campaign.messages()} == of_message.keys()
    return stands[RecipientStatus.UNKNOWN]
