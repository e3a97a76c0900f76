"""Token buckets in Redis, by the server's clock; without Redis each process counts for itself."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pytake_gql.kernel import metrics
from pytake_gql.kernel.errors import RateLimited

log = logging.getLogger(__name__)

_MOST_LOCAL_BUCKETS = 100_000
_AWAY_SECONDS = 1.0

# Keeps (tokens, instant) and answers the seconds to wait: 0 when `cost` was taken.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local capacity, per_second, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(capacity, (tonumber(state[1]) or capacity) + (now - (tonumber(state[2]) or now)) * per_second)
local wait = 0
if tokens >= cost then tokens = tokens - cost else wait = (cost - tokens) / per_second end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / per_second * 1000) + 1000)
return tostring(wait)
"""


# Of several buckets as many as all have above their reserves, up to `wanted`, or the seconds until there is one.
# A bucket that is not known is empty: what a flush forgets is not given twice.
_TAKE_SOME = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local granted, wait, found = tonumber(ARGV[1]), 0, {}
for i, key in ipairs(KEYS) do
  local capacity, per_second = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  local reserve = tonumber(ARGV[i * 3 + 1])
  local state = redis.call('HMGET', key, 'tokens', 'at')
  local tokens = math.min(capacity, (tonumber(state[1]) or 0) + (now - (tonumber(state[2]) or now)) * per_second)
  found[i] = tokens
  granted = math.min(granted, math.floor(tokens - reserve + 0.000001))
  wait = math.max(wait, (1 + reserve - tokens) / per_second)
end
granted = math.max(granted, 0)
for i, key in ipairs(KEYS) do
  local capacity, per_second = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  redis.call('HSET', key, 'tokens', tostring(found[i] - granted), 'at', tostring(now))
  redis.call('PEXPIRE', key, math.ceil(capacity / per_second * 1000) + 60000)
end
return {granted, tostring(granted > 0 and 0 or wait)}
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket of `capacity` that refills by `per_second`."""

    capacity: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """One of several that are asked together. `reserve` stays in it, for those who ask for themselves."""

    key: str
    rate: Rate
    reserve: float = 0.0


@dataclass(frozen=True, slots=True)
class Granted:
    count: int
    wait_seconds: float
    """Until there is one, where there is none."""


class Limiter:
    def __init__(self, redis: Redis) -> None:
        self._take = redis.register_script(_TAKE)
        self._take_some = redis.register_script(_TAKE_SOME)
        self._local: dict[str, tuple[float, float]] = {}
        self._leases: dict[str, float] = {}

    async def take(self, key: str, rate: Rate, cost: float = 1.0, *, lease: float = 0.0) -> None:
        """Takes from the bucket `key`, or raises `RateLimited`.

        With a lease the process takes so much at once, and serves the following from it without asking Redis.
        """
        leased = self._leases.get(key, 0.0)
        if leased >= cost:
            self._leases[key] = leased - cost
            return
        if lease > cost and await self._ask(key, rate, lease) == 0.0:
            if len(self._leases) >= _MOST_LOCAL_BUCKETS:
                self._leases.clear()
            self._leases[key] = self._leases.get(key, 0.0) + lease - cost
            return
        wait = await self._ask(key, rate, cost)
        if wait > 0 and self._leases.get(key, 0.0) >= cost:
            # Another request of this process has leased the rest of the bucket meanwhile.
            self._leases[key] -= cost
            return
        if wait > 0:
            metrics.limiter_hits.labels(key.partition(":")[0]).inc()
            raise RateLimited(wait)

    async def give_back(self, key: str, rate: Rate, cost: float = 1.0) -> None:
        """Puts back what turned out not to be owed."""
        await self._ask(key, rate, -cost)

    async def take_some(self, buckets: Sequence[Bucket], wanted: int) -> Granted:
        """As many as every bucket has, up to `wanted`, at once (E6).

        A bucket begins empty, so that nothing is given twice after a flush. Without Redis nothing is given: whoever
        asks for many can wait.
        """
        numbers = [number for it in buckets for number in (it.rate.capacity, it.rate.per_second, it.reserve)]
        keys = [f"pytake:bucket:{bucket.key}" for bucket in buckets]
        try:
            count, wait = await self._take_some(keys=keys, args=[wanted, *numbers])
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("nothing is given while the limiter is away: %s", error)
            return Granted(0, _AWAY_SECONDS)
        return Granted(int(count), float(wait))

    async def give_back_some(self, buckets: Sequence[Bucket], count: int) -> None:
        """Puts back what turned out not to be owed."""
        if count > 0:
            for bucket in buckets:
                await self.give_back(bucket.key, bucket.rate, count)

    async def _ask(self, key: str, rate: Rate, cost: float) -> float:
        """The seconds to wait: 0 when it was taken."""
        try:
            answer = await self._take(keys=[f"pytake:bucket:{key}"], args=[rate.capacity, rate.per_second, cost])
            return float(answer)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("the limiter counts locally: %s", error)
            return self._take_locally(key, rate, cost)

    def _take_locally(self, key: str, rate: Rate, cost: float) -> float:
        now = time.monotonic()
        if len(self._local) >= _MOST_LOCAL_BUCKETS:
            self._local.clear()
        tokens, at = self._local.get(key, (rate.capacity, now))
        tokens = min(rate.capacity, tokens + (now - at) * rate.per_second)
        enough = tokens >= cost
        self._local[key] = (tokens - cost if enough else tokens, now)
        return 0.0 if enough else (cost - tokens) / rate.per_second
