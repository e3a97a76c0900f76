"""Jobs that run where they were asked for: once at a time, once more when asked again, and the rest by the workers."""

import asyncio
from typing import Any

import orjson
import pytest

from pytake_gql.kernel.jobs import AT_ONCE_HERE, Job, JobQueue, Jobs


class Queue:
    """Takes what is for the workers."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def register_script(self, _: str) -> "Queue":
        return self

    async def __call__(self, *, keys: list[str], args: list[Any]) -> None:
        assert keys == [JobQueue.INTERACTIVE.value]
        self.taken += [orjson.loads(told)["f"] for told in args[3::4]]


class Desk:
    """Work that lasts until let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = asyncio.Event()

    async def route(self, id_: str) -> None:
        self.begun.append(id_)
        await self.go.wait()
        if id_ == "broken":
            raise ConnectionError


def route(id_: str) -> Job:
    return Job("route", (id_,))


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_named_work_runs_here_and_other_work_by_the_workers() -> None:
    queue, desk = Queue(), Desk()
    jobs = Jobs(queue)  # type: ignore[arg-type]  # its one method that is called
    await jobs.enqueue([route("a")])
    async with jobs.running_here({"route": desk.route}):
        await jobs.enqueue([route("a"), Job("send", ("b",))])
        await _turns()
    assert (queue.taken, desk.begun) == (["route", "send"], ["a"])
    await jobs.enqueue([route("a")])
    assert (queue.taken, desk.begun) == (["route", "send", "route"], ["a"])


async def test_what_is_asked_for_while_it_runs_runs_once_more() -> None:
    queue, desk = Queue(), Desk()
    jobs = Jobs(queue)  # type: ignore[arg-type]
    async with jobs.running_here({"route": desk.route}):
        for _ in range(4):
            await jobs.enqueue([route("a")])
            await _turns()
        assert desk.begun == ["a"]
        desk.go.set()
        await _turns()
        assert desk.begun == ["a", "a"]
        await jobs.enqueue([route("a")])
        await _turns()
    assert (queue.taken, desk.begun) == ([], ["a"] * 3)


async def test_what_finds_no_place_is_for_the_workers() -> None:
    queue, desk = Queue(), Desk()
    jobs = Jobs(queue)  # type: ignore[arg-type]
    async with jobs.running_here({"route": desk.route}):
        await jobs.enqueue([route(str(number)) for number in range(AT_ONCE_HERE + 2)])
        await _turns()
    assert (queue.taken, desk.begun) == (["route", "route"], [str(number) for number in range(AT_ONCE_HERE)])


async def test_a_failure_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    queue, desk = Queue(), Desk()
    jobs = Jobs(queue)  # type: ignore[arg-type]
    desk.go.set()
    async with jobs.running_here({"route": desk.route}):
        for _ in range(2):
            await jobs.enqueue([route("broken")])
            await _turns()
    assert desk.begun == ["broken", "broken"]
    assert [record.getMessage() for record in caplog.records] == ["the job route('broken',) failed"] * 2
