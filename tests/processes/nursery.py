"""Bears workers by fork: what they import is imported once, so one that was killed is replaced within moments.

Reads one JSON object a line, each a `Birth`, and answers each with the pid. Ends with its input, and all that it bore.
"""

import asyncio
import os
import signal
import sys
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import arq.utils
import orjson
import uvloop

from pytake_gql import bootstrap, worker
from pytake_gql.automation.flow_automations import tick
from pytake_gql.kernel import logs
from pytake_gql.kernel.clock import SystemClock
from pytake_gql.kernel.settings import Settings, read_settings


@dataclass(frozen=True)
class Birth:
    """`ahead_seconds`: how much its clock is off. `is_tick`: it fires, and does nothing else."""

    environment: dict[str, str]
    log: str
    is_tick: bool = False
    ahead_seconds: float = 0.0


@dataclass
class Nursery:
    """The other end: in the test's process."""

    process: asyncio.subprocess.Process
    born: dict[str, tuple[int, Birth]] = field(default_factory=dict)

    @classmethod
    async def open(cls) -> "Nursery":
        command = (sys.executable, "-m", __name__)
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True))

    async def bear(self, name: str, birth: Birth) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(orjson.dumps(asdict(birth)) + b"\n")
        self.born[name] = (int(await self.process.stdout.readline()), birth)

    async def kill(self, name: str) -> None:
        """Kill -9, and a new one at once."""
        pid, birth = self.born[name]
        os.kill(pid, signal.SIGKILL)
        await self.bear(name, birth)

    async def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        await self.process.wait()


@dataclass(frozen=True)
class Wrong:
    """A clock that is off."""

    ahead: timedelta

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


def live(birth: Birth) -> None:
    if birth.ahead_seconds:
        wrong = Wrong(timedelta(seconds=birth.ahead_seconds))
        vars(bootstrap)["SystemClock"] = lambda: wrong
        vars(arq.utils)["time"] = lambda: wrong.now().timestamp()
    settings = read_settings(birth.environment)
    logs.configure(is_production=settings.is_production)
    uvloop.run(only_tick(settings) if birth.is_tick else worker.serve(settings))


async def only_tick(settings: Settings) -> None:
    async with bootstrap.ports(settings) as ports:
        await tick.keep_ticking(ports)


def bear(birth: Birth) -> int:
    if pid := os.fork():
        return pid
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with Path(birth.log).open("ab") as log:
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())
        os.close(sys.stdin.fileno())
        live(birth)
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        sys.stdout.write(f"{bear(Birth(**orjson.loads(line)))}\n")
        sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
