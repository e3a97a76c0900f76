"""Who is there: real websockets, several processes, a clock that travels (D19)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import select

from pytake_gql import app, bootstrap
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from pytake_gql.tenancy.members import jobs, presence
from pytake_gql.tenancy.members.models import Availability, Member
from tests.conftest import TravellingClock
from tests.sockets import Served, SocketClient, serving
from tests.tenancy.members.conftest import House, Person

SET = """mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) {
    member { availability } userErrors { code } } }"""
HURRY = 10.0
STEP = 5.0
EVERYBODY = 100_000


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(HURRY):
        while not await holds():
            await asyncio.sleep(0.01)


async def choose(person: Person, availability: Availability) -> None:
    answer = await person.client.ask(SET, input={"availability": availability.value})
    assert answer == {"member": {"availability": availability.value}, "userErrors": []}


@dataclass(frozen=True)
class Onlooker:
    """A worker's watch over one organization, stepped through the time by hand."""

    house: House
    clock: TravellingClock
    watch: jobs.Watch

    async def look(self) -> list[UUID]:
        """Whom it turned OFFLINE."""
        found = await self.watch.lost(EVERYBODY)
        here = [member_id for of, member_id in found if of == self.house.organization.id]
        return [id_ for id_ in here if await jobs.lose_member(self.house.ports, self.house.organization.id, id_)]

    async def live(self, seconds: float, connected: Collection[Person] = ()) -> list[UUID]:
        """Lets time pass in steps, at each of which whoever is connected is heard of before it looks."""
        lost = await self.look()
        while seconds > 0:
            self.clock.advance(seconds=min(STEP, seconds))
            seconds -= STEP
            for person in connected:
                await self.hears_of(person)
            lost += await self.look()
        return lost

    async def hears_of(self, person: Person) -> None:
        now = self.clock.now()

        async def is_seen() -> bool:
            seen = (await self.house.stored(person.member)).last_seen_at
            return seen is not None and seen >= now

        await until(is_seen)


@pytest.fixture
async def onlooker(house: House, clock: TravellingClock) -> Onlooker:
    """One that has watched long enough to judge."""
    watcher = Onlooker(house, clock, jobs.Watch(house.ports))
    assert await watcher.live(60) == []
    return watcher


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "BEAT", timedelta(seconds=0.05))


@asynccontextmanager
async def process(settings: Settings, clock: TravellingClock) -> AsyncIterator[Served]:
    """Another process of the service: ports, heartbeat and server of its own."""
    async with bootstrap.ports(settings, clock) as ports, serving(app.build(ports)) as served:
        yield served


@pytest.fixture
async def one(settings: Settings, clock: TravellingClock) -> AsyncIterator[Served]:
    async with process(settings, clock) as served:
        yield served


@pytest.fixture
async def other(settings: Settings, clock: TravellingClock) -> AsyncIterator[Served]:
    async with process(settings, clock) as served:
        yield served


@asynccontextmanager
async def connected(served: Served, person: Person) -> AsyncIterator[SocketClient]:
    async with served.socket() as socket:
        await socket.start(person.signed_in.token)
        yield socket


async def availability(house: House, person: Person) -> Availability:
    return (await house.stored(person.member)).availability


async def has_left(house: House, person: Person, since: datetime) -> None:
    """Until the process has written that the last connection closed: the grace has begun."""

    async def is_written() -> bool:
        row = await house.stored(person.member)
        assert row.lost_at is not None
        assert row.last_seen_at is not None
        return row.last_seen_at >= since and row.lost_at == row.last_seen_at + presence.GRACE

    await until(is_written)


async def test_d19_the_first_connection_is_told_at_once_and_every_beat_goes_on(
    house: House, one: Served, clock: TravellingClock, onlooker: Onlooker
) -> None:
    person = await house.person()
    before = clock.now()
    async with connected(one, person):
        await onlooker.hears_of(person)
        row = await house.stored(person.member)
        assert row.last_seen_at is not None
        assert row.last_seen_at >= before
        assert row.lost_at == row.last_seen_at + presence.BEAT + presence.GRACE
        clock.advance(minutes=5)
        await onlooker.hears_of(person)


async def test_d19_the_first_connection_does_not_wait_for_the_beat(
    house: House, settings: Settings, clock: TravellingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT", timedelta(hours=1))
    person = await house.person()
    async with process(settings, clock) as served, connected(served, person):
        await until(lambda: _is_seen(house, person))


async def _is_seen(house: House, person: Person) -> bool:
    return (await house.stored(person.member)).last_seen_at is not None


async def test_d19_after_the_last_connection_the_choice_holds_for_one_grace(
    house: House, one: Served, clock: TravellingClock, onlooker: Onlooker
) -> None:
    person = await house.person()
    async with connected(one, person):
        await choose(person, Availability.ONLINE)
        assert await onlooker.live(120, [person]) == []
        closing = clock.now()
    await has_left(house, person, closing)
    assert await onlooker.live(59) == []
    assert await availability(house, person) is Availability.ONLINE
    assert await onlooker.live(2) == [person.member.id]
    row = await house.stored(person.member)
    assert row.availability is Availability.OFFLINE
    assert row.offline_since is not None
    assert await onlooker.live(120) == []


async def test_d19_one_of_two_sockets_closing_begins_no_grace(house: House, one: Served, onlooker: Onlooker) -> None:
    person = await house.person()
    async with connected(one, person):
        async with connected(one, person):
            await choose(person, Availability.AWAY)
        assert await onlooker.live(90, [person]) == []
    assert await availability(house, person) is Availability.AWAY


async def test_d19_who_comes_back_within_the_grace_keeps_the_choice(
    house: House, one: Served, clock: TravellingClock, onlooker: Onlooker
) -> None:
    person = await house.person()
    for _ in range(3):
        async with connected(one, person):
            await onlooker.hears_of(person)
            await choose(person, Availability.BUSY)
            closing = clock.now()
        await has_left(house, person, closing)
        assert await onlooker.live(50) == []
    assert await availability(house, person) is Availability.BUSY
    assert await onlooker.live(11) == [person.member.id]


async def test_d19_two_processes_know_of_each_other_through_the_row(
    house: House, one: Served, other: Served, clock: TravellingClock, onlooker: Onlooker
) -> None:
    person = await house.person()
    async with AsyncExitStack() as here:
        async with connected(one, person):
            await choose(person, Availability.ONLINE)
            await here.enter_async_context(connected(other, person))
            await onlooker.hears_of(person)
        assert await onlooker.live(120, [person]) == []
        assert await availability(house, person) is Availability.ONLINE
        closing = clock.now()
    await has_left(house, person, closing)
    assert await onlooker.live(61) == [person.member.id]


async def test_d19_a_process_that_dies_leaves_a_beat_and_a_grace_for_the_next_one(
    house: House, clock: TravellingClock, onlooker: Onlooker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT", timedelta(seconds=20))
    person = await house.person(availability=Availability.ONLINE)
    async with house.ports.units.of_system(house.organization.id) as uow:
        assert await presence.beat(uow, {person.member.id}) == set()
    assert await onlooker.live(79) == []
    assert not presence.is_alive((await house.stored(person.member)).last_seen_at, clock.now())
    assert await onlooker.live(2) == [person.member.id]


async def test_d19_many_workers_lose_a_member_once(house: House, clock: TravellingClock) -> None:
    person = await house.person(availability=Availability.ONLINE, lost_at=clock.now())
    clock.advance(seconds=1)
    of, id_ = house.organization.id, person.member.id
    assert sum(await asyncio.gather(*(jobs.lose_member(house.ports, of, id_) for _ in range(8)))) == 1
    assert await house.audit() == []


async def test_d19_who_is_seen_while_the_worker_decides_stays(house: House, clock: TravellingClock) -> None:
    person = await house.person(availability=Availability.ONLINE, lost_at=clock.now())
    clock.advance(seconds=1)
    of, id_ = house.organization.id, person.member.id
    async with house.ports.units.of_system(of) as uow:
        assert await presence.beat(uow, {id_}) == set()
        losing = asyncio.create_task(jobs.lose_member(house.ports, of, id_))
        await asyncio.sleep(0.1)
        assert not losing.done()
    assert await losing is False
    assert await availability(house, person) is Availability.ONLINE


async def test_d19_redis_has_no_part_in_it(
    house: House, settings: Settings, clock: TravellingClock, onlooker: Onlooker
) -> None:
    away = replace(settings, redis_url="redis://127.0.0.1:1/0")
    person = await house.person()
    await choose(person, Availability.ONLINE)
    async with process(away, clock) as served:
        async with connected(served, person):
            assert await onlooker.live(120, [person]) == []
            closing = clock.now()
        await has_left(house, person, closing)
    assert await availability(house, person) is Availability.ONLINE
    async with bootstrap.ports(away, clock) as deaf:
        assert await Onlooker(replace(house, ports=deaf), clock, onlooker.watch).live(61) == [person.member.id]


async def test_d19_a_watch_that_was_broken_loses_nobody_until_it_has_seen_a_grace(
    house: House, clock: TravellingClock, onlooker: Onlooker
) -> None:
    """As after a database that was away for minutes: nobody could say that they are there."""
    person = await house.person(availability=Availability.ONLINE, lost_at=clock.now() + timedelta(seconds=30))
    clock.advance(minutes=5)
    assert await onlooker.look() == []
    assert await onlooker.live(55) == []
    async with house.ports.units.of_system(house.organization.id) as uow:
        await presence.beat(uow, {person.member.id})
    assert await onlooker.live(55) == []
    assert await availability(house, person) is Availability.ONLINE
    assert await onlooker.live(6) == [person.member.id]


async def test_d19_a_look_that_fails_breaks_the_watch(
    house: House, clock: TravellingClock, onlooker: Onlooker, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await house.person(availability=Availability.ONLINE, lost_at=clock.now())

    async def fail(*_: object) -> list[tuple[UUID, UUID]]:
        raise OSError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(presence, "due", fail)
        clock.advance(seconds=2)
        with pytest.raises(OSError, match="away"):
            await onlooker.look()
    assert await onlooker.live(59) == []
    assert await onlooker.live(1) == [person.member.id]


async def test_d19_who_chooses_without_a_connection_has_one_grace_from_then(
    house: House, clock: TravellingClock, onlooker: Onlooker
) -> None:
    person = await house.person()
    for chosen in (Availability.ONLINE, Availability.BUSY):
        await choose(person, chosen)
        assert not presence.is_alive((await house.stored(person.member)).last_seen_at, clock.now())
        assert await onlooker.live(59) == []
        assert await onlooker.live(2) == [person.member.id]


async def test_d10_the_criterion_says_what_the_function_says(
    house: House, ports: Ports, clock: TravellingClock
) -> None:
    now = clock.now()
    ages = [None, -1.0, 0.0, 59.999, 60.0, 61.0, 10_000.0]
    seen = [None if age is None else now - timedelta(seconds=age) for age in ages]
    people = {(await house.person(last_seen_at=at)).member.id: at for at in seen}
    async with ports.database.session(house.organization.id) as session:
        found = set((await session.execute(select(Member.id).where(presence.alive(now)))).scalars())
    assert found == {id_ for id_, at in people.items() if presence.is_alive(at, now)}
    assert [presence.is_alive(at, now) for at in seen] == [False, True, True, True, False, False, False]


async def test_d11_a_beat_waits_for_no_lock_and_is_said_again(house: House, ports: Ports) -> None:
    busy, free = await house.person(), await house.person()
    ids = {busy.member.id, free.member.id}
    async with ports.units.of_system(house.organization.id) as holder:
        rows = select(Member).where(Member.id == busy.member.id).with_for_update()
        await holder.session.execute(rows)
        async with asyncio.timeout(1), ports.units.of_system(house.organization.id) as uow:
            assert await presence.beat(uow, ids) == {busy.member.id}
    assert (await house.stored(busy.member)).last_seen_at is None
    assert (await house.stored(free.member)).last_seen_at is not None
    async with ports.units.of_system(house.organization.id) as uow:
        assert await presence.beat(uow, {busy.member.id}) == set()
    assert (await house.stored(busy.member)).last_seen_at is not None


async def test_g1_a_beat_reaches_no_other_organization(house: House, elsewhere: House, ports: Ports) -> None:
    stranger = await elsewhere.person()
    async with ports.units.of_system(house.organization.id) as uow:
        assert await presence.beat(uow, {stranger.member.id}) == set()
    assert (await elsewhere.stored(stranger.member)).last_seen_at is None


async def test_what_could_not_be_written_is_written_once_the_database_is_back(
    house: House, one: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await house.person()
    asked = asyncio.Event()

    async def fail(*_: object) -> set[UUID]:
        asked.set()
        raise OSError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(presence, "beat", fail)
        async with connected(one, person):
            await asyncio.wait_for(asked.wait(), HURRY)
            assert (await house.stored(person.member)).last_seen_at is None
            broken.undo()
            await until(lambda: _is_seen(house, person))
