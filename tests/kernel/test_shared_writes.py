"""Writes that are shared: one for all who ask at once, an answer for each, and nobody is left waiting."""

import asyncio
from collections.abc import Sequence

import pytest

from pytake_gql.kernel.shared_writes import SharedWrites


class Desk:
    """Doubles numbers, refuses negative ones, and keeps what it was given together; each write lasts until let go."""

    def __init__(self) -> None:
        self.served: list[list[int]] = []
        self.go = asyncio.Event()

    async def write(self, numbers: Sequence[int]) -> Sequence[int | Exception]:
        self.served.append(list(numbers))
        await self.go.wait()
        return [ValueError(number) if number < 0 else 2 * number for number in numbers]


async def test_who_asks_at_once_is_served_together_each_with_an_own_answer() -> None:
    shared, desk = SharedWrites(), Desk()
    desk.go.set()
    assert await asyncio.gather(*(shared.ask("k", number, desk.write) for number in range(5))) == [0, 2, 4, 6, 8]
    assert desk.served == [[0, 1, 2, 3, 4]]


async def test_who_comes_while_one_runs_is_served_by_the_next() -> None:
    shared, desk = SharedWrites(), Desk()
    first = asyncio.create_task(shared.ask("k", 1, desk.write))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(shared.ask("k", number, desk.write)) for number in (2, 3)]
    await asyncio.sleep(0.01)
    assert desk.served == [[1]]
    desk.go.set()
    assert [await first, *await asyncio.gather(*later)] == [2, 4, 6]
    assert desk.served == [[1], [2, 3]]


async def test_other_keys_do_not_wait_for_each_other() -> None:
    shared, stuck, free = SharedWrites(), Desk(), Desk()
    waiting = asyncio.create_task(shared.ask("a", 1, stuck.write))
    free.go.set()
    assert await shared.ask("b", 2, free.write) == 4
    stuck.go.set()
    assert await waiting == 2


async def test_no_more_than_so_many_at_once() -> None:
    shared, desk = SharedWrites(at_once=2), Desk()
    desk.go.set()
    assert await asyncio.gather(*(shared.ask("k", number, desk.write) for number in range(5))) == [0, 2, 4, 6, 8]
    assert desk.served == [[0, 1], [2, 3], [4]]


async def test_a_refusal_is_told_to_whom_it_concerns_alone() -> None:
    shared, desk = SharedWrites(), Desk()
    desk.go.set()
    answers = await asyncio.gather(*(shared.ask("k", it, desk.write) for it in (1, -1)), return_exceptions=True)
    assert answers[0] == 2
    assert isinstance(answers[1], ValueError)


async def test_a_fault_is_told_to_all_and_the_next_are_served() -> None:
    shared, desk = SharedWrites(), Desk()
    desk.go.set()

    async def fail(_: Sequence[int]) -> Sequence[int]:
        raise ConnectionError

    failed = await asyncio.gather(*(shared.ask("k", 1, fail) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionError] * 3
    assert await shared.ask("k", 4, desk.write) == 8


async def test_who_leaves_takes_nobody_along_and_what_was_asked_is_done() -> None:
    shared, desk = SharedWrites(), Desk()
    leaving, staying = (asyncio.create_task(shared.ask("k", number, desk.write)) for number in (1, 2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    desk.go.set()
    assert await staying == 4
    assert desk.served == [[1, 2]]
    with pytest.raises(asyncio.CancelledError):
        await leaving
