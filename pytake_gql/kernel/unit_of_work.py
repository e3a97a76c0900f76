"""One transaction: one mutation field, one job, or one webhook delivery. One commit, publish after."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from pytake_gql.kernel import frozen
from pytake_gql.kernel.bus import Bus, Wake
from pytake_gql.kernel.clock import Clock
from pytake_gql.kernel.db import Database, TenantModel
from pytake_gql.kernel.events import Event, Listeners
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.jobs import Job, Jobs
from pytake_gql.kernel.principal import Principal, System
from pytake_gql.kernel.settings import Settings


class UnitOfWork:
    """What a service verb works with: a session confined to the organization, the instant, and what to tell whom.

    `now()` is the same throughout. Nobody but the maker of the unit commits.
    """

    def __init__(
        self,
        session: AsyncSession,
        principal: Principal,
        now: datetime,
        listeners: Listeners,
        settings: Settings,
    ) -> None:
        self.session = session
        self.principal = principal
        self.settings = settings
        self.ip_address: str | None = None
        self._now = now
        self._listeners = listeners
        self._events: list[Event] = []
        self._kept: list[SQLModel] = []
        # Of the transaction: all its units write together.
        self._appended: dict[type[TenantModel], list[dict[str, Any]]] = session.info.setdefault("appended", {})
        self.wakes: dict[Wake, None] = {}
        self.jobs: dict[Job, None] = {}

    @property
    def organization_id(self) -> UUID:
        organization_id: UUID | None = self.session.sync_session.info["organization_id"]
        if organization_id is None:
            raise RuntimeError("this unit of work belongs to no organization")
        return organization_id

    def now(self) -> datetime:
        return self._now

    async def enter(self, organization_id: UUID) -> None:
        """From here on the transaction works in that organization.

        For verbs that find out the organization themselves (sign-in, visits, super admins): nothing of the one
        before stays at hand.
        """
        await self.write()
        self.session.expunge_all()
        self.session.sync_session.info["organization_id"] = organization_id
        await self.session.execute(sa.select(sa.func.set_config("app.organization_id", str(organization_id), True)))

    def add(self, row: SQLModel) -> None:
        self.session.add(row)

    def append(self, model: type[TenantModel], values: Mapping[str, Any]) -> dict[str, Any]:
        """Adds a row to a log, such as a timeline: written with all others at the end, and not read before.

        Many of these are written in each transaction, so they take the short way, past the session's objects. The
        row that is answered may be changed until then.
        """
        row = {"organization_id": self.organization_id, "id": uuid7(), **values}
        self._appended.setdefault(model, []).append(row)
        return row

    async def write(self) -> None:
        """Sends what was added and appended to the database, in this order; the commit stays the maker's."""
        if self.session.new or self.session.dirty or self.session.deleted:
            await self.session.flush()
        await frozen.append(self.session, self._appended)
        self._appended.clear()

    def keep(self, row: SQLModel) -> None:
        """Holds on to a row that listeners will ask for: the session forgets it once it is written."""
        self._kept.append(row)

    def insert(self, model: type[TenantModel], values: Mapping[str, Any]) -> Insert:
        """An INSERT into a tenant table, stamped; for ON CONFLICT, which `add` cannot say."""
        return insert(model).values(organization_id=self.organization_id, **values)

    def emit(self, event: Event) -> None:
        """Its listeners run just before the commit."""
        self._events.append(event)

    async def announce(self, event: Event) -> None:
        """Runs its listeners now: where they must mend or refuse before it is done, such as a deletion."""
        for listener in self._listeners.of(event):
            await listener(self, event)

    def wake(self, topic: str, data: str | int | None = None) -> None:
        """Publishes on the bus, after the commit."""
        self.wakes[Wake(topic, data)] = None

    def enqueue(self, job: Job) -> None:
        """Wakes a worker, after the commit."""
        self.jobs[job] = None

    def withdraw(self, job: Job) -> None:
        """Wakes nobody for what is done already, in this transaction or by its maker right after it."""
        self.jobs.pop(job, None)

    async def settle(self) -> None:
        """Runs the listeners, those of the events that listeners emit too."""
        while self._events:
            await self.announce(self._events.pop(0))


class UnitsOfWork:
    """Opens units of work with the process's ports."""

    def __init__(
        self, database: Database, clock: Clock, bus: Bus, jobs: Jobs, listeners: Listeners, settings: Settings
    ) -> None:
        self._database = database
        self._clock = clock
        self._bus = bus
        self._jobs = jobs
        self._listeners = listeners
        self._settings = settings

    @asynccontextmanager
    async def open(self, principal: Principal) -> AsyncIterator[UnitOfWork]:
        """Commits once when the block ends well, then publishes and enqueues; else nothing happened."""
        async with self.open_together([principal]) as (uow,):
            yield uow

    @asynccontextmanager
    async def open_together(
        self, principals: Sequence[Principal], *, keeps_plans: bool = False
    ) -> AsyncIterator[Sequence[UnitOfWork]]:
        """Like `open`, one transaction for several of one organization: each has a unit, for what it tells.

        `keeps_plans` is the session's.
        """
        (organization_id,) = {principal.organization_id for principal in principals}
        wakes: dict[Wake, None] = {}
        jobs: dict[Job, None] = {}
        async with self._database.session(organization_id, keeps_plans=keeps_plans) as session:
            now = self._clock.now()
            units = [UnitOfWork(session, it, now, self._listeners, self._settings) for it in principals]
            yield units
            for uow in units:
                await uow.settle()
                wakes |= uow.wakes
                jobs |= uow.jobs
            await units[0].write()
            await session.commit()
        if wakes:
            self._bus.publish(wakes)
        if jobs:
            await self._jobs.enqueue(list(jobs))

    def of_system(self, organization_id: UUID | None) -> AbstractAsyncContextManager[UnitOfWork]:
        """Like `open`, for a job."""
        return self.open(System(organization_id))
