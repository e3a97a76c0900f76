"""Token buckets: in Redis, by its clock; without Redis, by the process."""

import asyncio
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from pytake_gql.kernel.errors import RateLimited
from pytake_gql.kernel.limiter import Limiter, Rate
from pytake_gql.kernel.ports import Ports

SLOW = Rate(capacity=5, per_second=0.01)


async def taken(limiter: Limiter, key: str, tries: int, *, lease: float = 0.0) -> int:
    takes = (limiter.take(key, SLOW, lease=lease) for _ in range(tries))
    outcomes = await asyncio.gather(*takes, return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    assert all(refusal.retry_after_seconds > 0 for refusal in refusals)
    return outcomes.count(None)


async def test_a_bucket_gives_what_it_holds_and_each_key_has_its_own(ports: Ports) -> None:
    one, other = uuid4().hex, uuid4().hex
    assert await taken(ports.limiter, one, 12) == 5
    assert await taken(ports.limiter, other, 3) == 3


async def test_two_processes_share_a_bucket(ports: Ports, redis_url: str) -> None:
    key = uuid4().hex
    async with Redis.from_url(redis_url) as redis:
        counts = await asyncio.gather(taken(ports.limiter, key, 8), taken(Limiter(redis), key, 8))
    assert sum(counts) == 5


async def test_a_lease_serves_many_at_once_and_no_more_than_the_bucket(ports: Ports) -> None:
    assert await taken(ports.limiter, uuid4().hex, 12, lease=4) == 5


async def test_a_bucket_refills(ports: Ports) -> None:
    key, quick = uuid4().hex, Rate(capacity=1, per_second=20)
    await ports.limiter.take(key, quick)
    with pytest.raises(RateLimited):
        await ports.limiter.take(key, quick)
    await asyncio.sleep(0.1)
    await ports.limiter.take(key, quick)


async def test_without_redis_each_process_counts_for_itself() -> None:
    async with Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2) as nowhere:
        assert await taken(Limiter(nowhere), "key", 9) == 5
