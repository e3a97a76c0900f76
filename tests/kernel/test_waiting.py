"""The gate and the inbox do what asyncio's event and queue do, for those who wait, come late, or give up."""

import asyncio

from pytake_gql.kernel.waiting import Gate, Inbox


async def test_a_gate_lets_all_pass_once_it_is_set() -> None:
    gate = Gate()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, False, False]
    gate.set()
    assert await asyncio.gather(*waiting[1:]) == [True, True]
    assert gate.is_set()
    assert await gate.wait()


async def test_a_gate_that_is_closed_again_holds_who_comes_then() -> None:
    gate = Gate(is_open=True)
    assert await gate.wait()
    gate.clear()
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    assert (gate.is_set(), waiting.done()) == (False, False)
    gate.set()
    gate.clear()
    assert await waiting


async def test_an_inbox_keeps_the_order_and_wakes_its_reader() -> None:
    inbox: Inbox[int] = Inbox()
    for number in range(3):
        inbox.put_nowait(number)
    assert (inbox.empty(), [await inbox.get() for _ in range(3)]) == (False, [0, 1, 2])
    assert inbox.empty()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait(3)
    inbox.put_nowait(4)
    assert (await reading, await inbox.get()) == (3, 4)


async def test_what_a_reader_that_gave_up_did_not_take_is_there_for_the_next() -> None:
    inbox: Inbox[int] = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    inbox.put_nowait(1)
    assert await inbox.get() == 1
