"""One commit, publish after, and everything or nothing (house.md §2)."""

from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlmodel import select

from pytake_gql.desk.contacts.models import Contact
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.bus import Wake
from pytake_gql.kernel.db import TenancyViolation
from pytake_gql.kernel.events import Event, Listeners, change
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.principal import System
from pytake_gql.kernel.unit_of_work import UnitOfWork, UnitsOfWork
from pytake_gql.tenancy.organizations.models import Organization
from tests.factories import Factory


@dataclass(frozen=True, kw_only=True, slots=True)
class SomethingHappened(Event):
    entity: ClassVar[str] = "Contact"


class Outside:
    """A bus and a queue that remember."""

    def __init__(self) -> None:
        self.wakes: list[Wake] = []
        self.jobs: list[Job] = []

    def publish(self, wakes: Any) -> None:
        self.wakes += wakes

    async def enqueue(self, jobs: list[Job]) -> None:
        self.jobs += jobs


def units(make: Factory, outside: Outside, listeners: Listeners | None = None) -> UnitsOfWork:
    ports = make.ports
    return UnitsOfWork(
        ports.database,
        ports.clock,
        outside,  # type: ignore[arg-type]  # both sides of it
        outside,  # type: ignore[arg-type]
        listeners or Listeners(),
        ports.settings,
    )


def contact(make: Factory, name: str = "Bia") -> Contact:
    return Contact(name=name, created_at=make.ports.clock.now())


async def names(make: Factory, organization: Organization) -> list[str | None]:
    async with make.ports.database.session(organization.id) as session:
        return list((await session.execute(select(Contact.name))).scalars())


async def test_what_is_told_is_told_after_the_commit_and_once(make: Factory) -> None:
    organization, outside = await make.organization(), Outside()
    async with units(make, outside).open(System(organization.id)) as uow:
        uow.add(contact(make))
        for _ in range(2):
            uow.wake("topic", 1)
            uow.enqueue(Job("job", ("1",)))
        assert (outside.wakes, outside.jobs) == ([], [])
    assert (outside.wakes, outside.jobs) == ([Wake("topic", 1)], [Job("job", ("1",))])
    assert await names(make, organization) == ["Bia"]


async def test_a_failure_leaves_nothing_and_tells_nothing(make: Factory) -> None:
    organization, outside = await make.organization(), Outside()

    async def fail() -> None:
        async with units(make, outside).open(System(organization.id)) as uow:
            uow.add(contact(make))
            uow.wake("topic")
            await uow.session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await names(make, organization) == []
    assert (outside.wakes, outside.jobs) == ([], [])


async def test_listeners_write_in_the_same_transaction_and_may_stop_it(make: Factory) -> None:
    organization, outside, listeners = await make.organization(), Outside(), Listeners()

    async def follow(uow: UnitOfWork, event: SomethingHappened) -> None:
        uow.add(contact(make, f"after {event.changes['name']}"))

    async def stop(_uow: UnitOfWork, event: SomethingHappened) -> None:
        if event.changes["name"] == "bad":
            raise LookupError

    listeners.on(SomethingHappened, follow)
    listeners.on(SomethingHappened, stop)
    for name in ("good", "bad"):
        try:
            async with units(make, outside, listeners).open(System(organization.id)) as uow:
                uow.emit(SomethingHappened(entity_id=UUID(int=1), changes={"name": name}))
        except LookupError:
            assert name == "bad"
    assert await names(make, organization) == ["after good"]


async def test_a_row_of_another_organization_is_refused(make: Factory) -> None:
    ours, theirs = await make.organization(), await make.organization()
    row = contact(make)
    row.organization_id = theirs.id

    async def smuggle() -> None:
        async with units(make, Outside()).open(System(ours.id)) as uow:
            uow.add(row)

    with pytest.raises(TenancyViolation):
        await smuggle()
    assert await names(make, theirs) == []


async def test_g23_the_process_audits_what_happens(make: Factory) -> None:
    organization = await make.organization()
    entity = UUID(int=7)
    async with make.ports.units.of_system(organization.id) as uow:
        uow.emit(SomethingHappened(entity_id=entity, changes={"name": {"from": None, "to": "x"}}))
    async with make.ports.database.session(organization.id) as session:
        entries = (await session.execute(select(AuditEntry))).scalars().all()
    assert [(e.action, e.entity_id, e.changes, e.actor_name) for e in entries] == [
        ("something.happened", entity, {"name": {"from": None, "to": "x"}}, "PyTake")
    ]


def test_a_change_tells_only_what_became_another(make: Factory) -> None:
    row = contact(make, "Ana")
    assert change(row, {"name": "Bia", "phone": None}) == {"name": {"from": "Ana", "to": "Bia"}}
    assert row.name == "Bia"
