"""Wake-ups over a real Redis that goes away and comes back (house.md §4)."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pytake_gql import embedded
from pytake_gql.kernel.bus import GAP, Bus, Wake
from tests.embedded.conftest import reachable_directory

SOON = 5.0


@pytest.fixture
def state() -> Iterator[Path]:
    """A Valkey of its own: these tests stop it."""
    directory = reachable_directory()
    embedded.ensure_valkey(directory, durable=False)
    yield directory
    embedded.stop(directory)
    shutil.rmtree(directory, ignore_errors=True)


def _url(state: Path) -> str:
    return embedded.ensure_valkey(state, durable=False).url


@pytest.fixture
async def bus(state: Path) -> AsyncIterator[Bus]:
    redis = Redis.from_url(_url(state), socket_timeout=2, socket_connect_timeout=1)
    made = Bus(redis)
    yield made
    await made.close()
    await redis.aclose()


async def test_what_is_published_is_heard_by_those_who_subscribed(bus: Bus) -> None:
    async with bus.subscribe("a") as one, bus.subscribe("a", "b") as both, bus.subscribe("c") as other:
        bus.publish([Wake("a", 1), Wake("b", "x"), Wake("d")])
        assert await one.next(SOON) == Wake("a", 1)
        assert [await both.next(SOON), await both.next(SOON)] == [Wake("a", 1), Wake("b", "x")]
        assert await other.next(0.2) is None
        assert one.drain() == []


async def test_what_is_published_at_once_is_heard_in_its_order(bus: Bus) -> None:
    async with bus.subscribe("a") as one:
        for number in range(100):
            bus.publish([Wake("a", number)])
            if number % 7 == 0:
                await asyncio.sleep(0)
        assert [await one.next(SOON) for _ in range(100)] == [Wake("a", number) for number in range(100)]


async def test_what_was_published_just_before_the_end_is_heard(bus: Bus, state: Path) -> None:
    redis = Redis.from_url(_url(state), socket_timeout=2, socket_connect_timeout=1)
    leaving = Bus(redis)
    async with bus.subscribe("a") as one:
        leaving.publish([Wake("a", 1)])
        await leaving.close()
        await redis.aclose()
        assert await one.next(SOON) == Wake("a", 1)


async def test_who_has_left_hears_nothing_and_who_stays_does(bus: Bus) -> None:
    async with bus.subscribe("a") as stays:
        async with bus.subscribe("a"):
            pass
        bus.publish([Wake("a", 2)])
        assert await stays.next(SOON) == Wake("a", 2)


async def test_nothing_is_lost_between_subscribing_and_the_first_wake_up(bus: Bus) -> None:
    for number in range(50):
        async with bus.subscribe(f"topic {number}") as subscription:
            bus.publish([Wake(f"topic {number}", number)])
            assert await subscription.next(SOON) == Wake(f"topic {number}", number)


async def test_a_lost_connection_is_told_as_a_gap_once_redis_is_back(bus: Bus, state: Path) -> None:
    async with bus.subscribe("a") as subscription:
        await asyncio.to_thread(embedded.stop, state)
        bus.publish([Wake("a", 1)])
        await asyncio.to_thread(_url, state)
        assert await subscription.next(SOON) == GAP
        bus.publish([Wake("a", 2)])
        assert await subscription.next(SOON) == Wake("a", 2)


async def test_who_subscribes_while_redis_is_away_is_told_a_gap_later(bus: Bus, state: Path) -> None:
    await asyncio.to_thread(embedded.stop, state)
    async with bus.subscribe("a") as subscription:
        assert await subscription.next(0.1) is None
        await asyncio.to_thread(_url, state)
        assert await subscription.next(SOON) == GAP
        bus.publish([Wake("a", 3)])
        assert await subscription.next(SOON) == Wake("a", 3)


async def test_a_reader_that_falls_behind_gets_one_gap(bus: Bus) -> None:
    async with bus.subscribe("a") as subscription:
        for number in range(2500):
            subscription.put(Wake("a", number))
        heard = subscription.drain()
    assert GAP in heard
    assert len(heard) <= 1000
    assert heard[-1] == Wake("a", 2499)
