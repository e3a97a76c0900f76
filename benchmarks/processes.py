"""The two servers that are compared, each in a process of its own, and the CPU that processes have used."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from pytake_gql.development.children import stop
from pytake_gql.development.run import HOST, choose_port

_READY_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class DidNotStart(Exception):
    """A server ended, or listened too late; the text holds the end of its log."""


@asynccontextmanager
async def server(name: str, environment: Mapping[str, str], *command: str) -> AsyncIterator[tuple[int, int]]:
    """A Python server that takes `--port`: its port and its pid. It ends with the block, and with this process."""
    port = choose_port(0)
    with tempfile.TemporaryFile() as log:
        async with _running(environment, log, sys.executable, *command, "--port", str(port)) as process:
            if not await _listens(process, port):
                log.seek(0)
                raise DidNotStart(f"{name} did not start:\n{log.read()[-4000:].decode(errors='replace')}")
            yield port, process.pid


@asynccontextmanager
async def background(environment: Mapping[str, str], *command: str) -> AsyncIterator[int]:
    """A process that serves nobody by itself: its pid. It ends with the block, and with this process."""
    with tempfile.TemporaryFile() as log:
        async with _running(environment, log, *command) as process:
            yield process.pid


@asynccontextmanager
async def _running(
    environment: Mapping[str, str], log: IO[bytes], *command: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytake_gql.development.child", str(os.getpid()), *command),
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await stop(process)


async def _listens(process: asyncio.subprocess.Process, port: int) -> bool:
    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return True
    return False


def cpu_seconds(pid: int) -> float:
    """User and system time of one process with its threads, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def resident_kilobytes(pid: int) -> int:
    """What the process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def family_cpu_seconds(parent: int) -> float:
    """Of PostgreSQL: its postmaster and all backends, those that have ended too."""
    total = cpu_seconds(parent)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == parent:
            total += sum(map(int, fields[11:15])) / _TICKS
    return total


def parent_of(pid: int) -> int | None:
    """None where that process is not on this machine."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
