"""Rounds that alternate between PyTake and its floor, and what they come to."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks.processes import cpu_seconds, family_cpu_seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run of one side in one round: whichever comes first."""

    rounds: int = 3
    seconds: float = 4.0
    requests: int = 20_000


@dataclass(slots=True)
class Run:
    """One side in one round. CPU in seconds, None where the process cannot be seen from here."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answered: int = 0
    server_cpu: float | None = None
    postgres_cpu: float | None = None

    def percentile(self, percent: int) -> float | None:
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000

    @property
    def numbers(self) -> "Numbers":
        served = self.answered or 1
        return Numbers(
            per_second=self.answered / self.seconds if self.seconds else None,
            p50=self.percentile(50),
            p99=self.percentile(99),
            server=None if self.server_cpu is None else self.server_cpu / served * 1000,
            postgres=None if self.postgres_cpu is None else self.postgres_cpu / served * 1000,
        )


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a line of the table shows; milliseconds, or a ratio of them."""

    per_second: float | None
    p50: float | None
    p99: float | None
    server: float | None
    postgres: float | None

    def __truediv__(self, floor: "Numbers") -> "Numbers":
        return Numbers(
            *(a / b if a is not None and b else None for a, b in zip(self.values, floor.values, strict=True))
        )

    @property
    def values(self) -> tuple[float | None, ...]:
        return self.per_second, self.p50, self.p99, self.server, self.postgres

    @classmethod
    def middle(cls, several: Sequence["Numbers"]) -> "Numbers":
        """The median of each."""
        columns = zip(*(numbers.values for numbers in several), strict=True)
        known = ([value for value in column if value is not None] for column in columns)
        return cls(*(median(values) if values else None for values in known))


@dataclass(frozen=True, slots=True)
class Result:
    """Of one operation; the ratio is the median of the rounds' own ratios."""

    title: str
    product: Numbers
    answer: str
    """How it was checked that both gave the same."""
    floor_name: str = ""
    floor: Numbers | None = None
    ratio: Numbers | None = None


@asynccontextmanager
async def measured(server: int | None, postmaster: int | None) -> AsyncIterator[Run]:
    """A run that knows, after the block, how long it took and what CPU it cost."""
    run = Run()
    server_before = cpu_seconds(server) if server else 0.0
    postgres_before = family_cpu_seconds(postmaster) if postmaster else 0.0
    started = time.perf_counter()
    yield run
    run.seconds = run.seconds or time.perf_counter() - started
    run.answered = run.answered or len(run.latencies)
    run.server_cpu = cpu_seconds(server) - server_before if server else None
    run.postgres_cpu = family_cpu_seconds(postmaster) - postgres_before if postmaster else None


async def drive(clients: Sequence[Callable[[], Awaitable[object]]], limits: Limits) -> list[float]:
    """Lets each client ask again as soon as it is answered; the latencies in seconds."""
    latencies: list[float] = []
    deadline = time.perf_counter() + limits.seconds
    left = limits.requests

    async def ask(client: Callable[[], Awaitable[object]]) -> None:
        nonlocal left
        while left > 0 and (started := time.perf_counter()) < deadline:
            left -= 1
            await client()
            latencies.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(ask(client))
    return latencies


async def compare(
    title: str,
    limits: Limits,
    product: Callable[[], Awaitable[Run]],
    floor: Callable[[], Awaitable[Run]],
    *,
    floor_name: str,
    answer: str,
) -> Result:
    """Interleaves the rounds, each side first in turn, so that what else the machine does meets both."""
    ours: list[Numbers] = []
    theirs: list[Numbers] = []
    for turn in range(limits.rounds):
        for is_product in (True, False) if turn % 2 == 0 else (False, True):
            (ours if is_product else theirs).append((await (product if is_product else floor)()).numbers)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Result(
        title=title,
        product=Numbers.middle(ours),
        answer=answer,
        floor_name=floor_name,
        floor=Numbers.middle(theirs),
        ratio=Numbers.middle(ratios),
    )
