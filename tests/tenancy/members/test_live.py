"""`memberPresence`, over a real websocket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pytake_gql.kernel.graphql import turns
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members import jobs, slots
from pytake_gql.tenancy.members.models import Availability, Member
from pytake_gql.tenancy.members.presence import presence_topic
from tests.conftest import TravellingClock
from tests.sockets import Served, SocketClient
from tests.tenancy.members.conftest import House, Person

WATCH = "subscription { memberPresence { id availability load } }"
SET = "mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) { userErrors { code } } }"
UPDATE = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code } } }"


@asynccontextmanager
async def watching(live: Served, token: str, house: House) -> AsyncIterator[SocketClient]:
    """Once the subscription is registered: what happens from then on is told."""
    async with live.socket() as socket:
        await socket.start(token)
        await socket.subscribe(WATCH)
        topic = presence_topic(house.organization.id)
        async with asyncio.timeout(10):
            while topic not in house.ports.bus._topics:
                await asyncio.sleep(0.005)
        yield socket


async def choose(person: Person, availability: Availability) -> None:
    assert await person.client.ask(SET, input={"availability": availability.value}) == {"userErrors": []}


async def take(ports: Ports, member: Member) -> None:
    async with ports.units.of_system(member.organization_id) as uow:
        assert await slots.take_slot(uow, member.id) is not None


async def is_silent(socket: SocketClient) -> bool:
    """Nothing comes although all that was told before has been."""
    try:
        async with asyncio.timeout(1):
            await socket.receive()
    except TimeoutError:
        return True
    return False


def told(person: Person, availability: str, load: int) -> dict[str, Any]:
    return {"id": person.id, "availability": availability, "load": load}


async def test_availability_and_load_are_pushed_as_they_change(house: House, live: Served, ports: Ports) -> None:
    agent, viewer = await house.person(), await house.person(Role.VIEWER)
    async with watching(live, viewer.signed_in.token, house) as socket:
        await choose(agent, Availability.ONLINE)
        assert await socket.update() == told(agent, "ONLINE", 0)
        await take(ports, agent.member)
        assert await socket.update() == told(agent, "ONLINE", 1)
        async with ports.units.of_system(house.organization.id) as uow:
            await slots.free_slot(uow, agent.member.id)
        assert await socket.update() == told(agent, "ONLINE", 0)


async def test_d19_a_lost_and_a_deactivated_member_are_seen_to_go_offline(
    house: House, admin: Person, live: Served, ports: Ports, clock: TravellingClock
) -> None:
    lost = await house.person(availability=Availability.ONLINE, lost_at=clock.now())
    inactive = await house.person(availability=Availability.BUSY)
    async with watching(live, admin.signed_in.token, house) as socket:
        assert await jobs.lose_member(ports, house.organization.id, lost.member.id)
        assert await socket.update() == told(lost, "OFFLINE", 0)
        assert await admin.client.ask(UPDATE, input={"id": inactive.id, "isActive": False}) == {"userErrors": []}
        assert await socket.update() == told(inactive, "OFFLINE", 0)


async def test_g1_a_stranger_sees_nothing(house: House, elsewhere: House, live: Served) -> None:
    agent, stranger = await house.person(), await elsewhere.person(Role.ORG_ADMIN)
    at_home = await elsewhere.person()
    async with watching(live, stranger.signed_in.token, elsewhere) as socket:
        await choose(agent, Availability.ONLINE)
        assert await is_silent(socket)
        await choose(at_home, Availability.AWAY)
        assert await socket.update() == told(at_home, "AWAY", 0)


async def test_a_pull_that_takes_nothing_is_no_news(house: House, live: Served, ports: Ports) -> None:
    agent = await house.person()
    async with watching(live, agent.signed_in.token, house) as socket:
        async with ports.units.of_system(house.organization.id) as uow, uow.session.begin_nested() as attempt:
            await slots.take_slot(uow, agent.member.id)
            await attempt.rollback()
        assert await is_silent(socket)


async def test_many_changes_are_told_at_most_five_times_a_second(house: House, live: Served, ports: Ports) -> None:
    agent = await house.person(capacity=100)
    async with watching(live, agent.signed_in.token, house) as socket:
        begun = asyncio.get_running_loop().time()
        for _ in range(50):
            await take(ports, agent.member)
        updates = [await socket.update()]
        while updates[-1]["load"] < 50:
            updates.append(await socket.update())
        lasted = asyncio.get_running_loop().time() - begun
    assert updates[-1] == told(agent, "OFFLINE", 50)
    assert [update["load"] for update in updates] == sorted(update["load"] for update in updates)
    assert len(updates) <= 2 + lasted / 0.2


async def test_a_lost_wake_up_is_healed_by_the_poll(
    house: House, live: Served, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.2)
    agent = await house.person()

    def lose(_wakes: object) -> None:
        """As if Redis had swallowed it."""

    async with watching(live, agent.signed_in.token, house) as socket:
        monkeypatch.setattr(ports.bus, "publish", lose)
        await choose(agent, Availability.BUSY)
        assert await socket.update() == told(agent, "BUSY", 0)


async def test_g11_who_lost_the_rights_is_told_nothing_more(
    house: House, admin: Person, live: Served, ports: Ports
) -> None:
    watcher, agent = await house.person(Role.VIEWER), await house.person()
    async with watching(live, watcher.signed_in.token, house) as socket:
        assert await admin.client.ask(UPDATE, input={"id": watcher.id, "isActive": False}) == {"userErrors": []}
        await take(ports, agent.member)
        assert (await socket.closed())[0] == 4401
    assert [message for message in socket.received if agent.id in str(message)] == []


async def test_visitors_do_not_watch_members(house: House, live: Served) -> None:
    visitor = await house.make.visitor(await house.make.channel(house.organization))
    async with live.socket() as socket:
        await socket.start(visitor.token)
        await socket.subscribe(WATCH)
        message = await socket.receive()
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert [error["extensions"]["code"] for error in errors] == ["FORBIDDEN"]
