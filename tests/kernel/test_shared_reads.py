"""Reads that are shared are never older than the question, and never shared across keys."""

import asyncio

import pytest

from pytake_gql.kernel.shared_reads import SharedReads


class Source:
    """Answers with how it stood when the read began; the read then lasts until it is let go."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0
        self.go = asyncio.Event()

    async def read(self) -> int:
        self.reads += 1
        seen = self.value
        await self.go.wait()
        return seen


async def test_who_asks_the_same_at_once_shares_one_read() -> None:
    shared, source = SharedReads(), Source()
    source.go.set()
    assert await asyncio.gather(*(shared.share("k", source.read) for _ in range(50))) == [0] * 50
    assert source.reads == 1


async def test_another_key_is_read_by_itself() -> None:
    shared, mine, theirs = SharedReads(), Source(), Source()
    theirs.value = 7
    mine.go.set()
    theirs.go.set()
    answers = await asyncio.gather(shared.share("a", mine.read), shared.share("b", theirs.read))
    assert list(answers) == [0, 7]


async def test_who_comes_while_a_read_runs_shares_the_next_and_misses_nothing() -> None:
    shared, source = SharedReads(), Source()
    early = asyncio.create_task(shared.share("k", source.read))
    await asyncio.sleep(0.01)
    source.value = 1
    late = [asyncio.create_task(shared.share("k", source.read)) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert source.reads == 1
    source.go.set()
    assert await early == 0
    assert await asyncio.gather(*late) == [1] * 20
    assert source.reads == 2


async def test_who_leaves_takes_nobody_along() -> None:
    shared, source = SharedReads(), Source()
    leaving, staying = (asyncio.create_task(shared.share("k", source.read)) for _ in range(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    source.go.set()
    assert await staying == 0
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    shared, source = SharedReads(), Source()
    source.go.set()

    async def fail() -> int:
        raise ConnectionError

    failed = await asyncio.gather(*(shared.share("k", fail) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionError] * 3
    assert await shared.share("k", source.read) == 0
