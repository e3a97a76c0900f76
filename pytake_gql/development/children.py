"""Keeps child processes running: one that dies is started again, and all end with their parent."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
STOP_SECONDS = 15.0


@dataclass
class Children:
    """`commands` by name; `say` tells people what happens to them.

    Each child is in a session of its own, so that Ctrl-C reaches the parent alone, which then stops them in order.
    """

    commands: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]
    say: Callable[[str], None]
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled; returns when the last child has ended."""
        async with asyncio.TaskGroup() as group:
            for name, command in self.commands.items():
                group.create_task(self._keep(name, command))

    async def _keep(self, name: str, command: Sequence[str]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            status = await self._run_once(name, command)
            if time.monotonic() - started > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self.say(f"{name} ended ({describe(status)}); it starts again in {pause:g} s.")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _run_once(self, name: str, command: Sequence[str]) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytake_gql.development.child", str(os.getpid()), *command),
            env=dict(self.environment),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self.running[name] = process
        try:
            return await process.wait()
        finally:
            await stop(process)
            del self.running[name]


async def stop(process: asyncio.subprocess.Process) -> None:
    """Asks it to end, and after a while ends it."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def describe(status: int) -> str:
    """An exit status in words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
