"""The processes of a development machine: started, waited for, watched, stopped."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from pytake_gql.development.children import Children
from pytake_gql.development.client import RequestFailed, is_ready

HOST = "127.0.0.1"
READY_SECONDS = 60.0
_POLL_SECONDS = 0.1

Say: TypeAlias = Callable[[str], None]


class PortTaken(Exception):
    """Somebody else listens there; the text says what to do."""


def choose_port(wanted: int) -> int:
    """The wanted port if it is free, or for 0 any that is; raises `PortTaken`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise PortTaken(f"Port {wanted} is taken: choose another one with --port.") from error
        port: int = probe.getsockname()[1]
        return port


async def run(
    port: int, environment: Mapping[str, str], say: Say, then: Callable[[str], Awaitable[bool]], *, watch: bool
) -> bool:
    """Runs API and worker; calls `then` with the service's address once it answers.

    Goes on until a signal when it is to be watched, and says whether all went well. No child is left behind.
    """
    pytake = (sys.executable, "-m", "pytake_gql")
    commands = {"The API": (*pytake, "api", "--port", str(port)), "The worker": (*pytake, "worker")}
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    children = asyncio.create_task(Children(commands, environment, say).run())
    main = asyncio.create_task(_main(f"http://{HOST}:{port}", then, stop if watch else None))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([children, main, stopping], return_when=asyncio.FIRST_COMPLETED)
        if children.done():
            children.result()
        return main.result() if main.done() else watch
    finally:
        for task in (stopping, main, children):
            task.cancel()
        await asyncio.gather(stopping, main, children, return_exceptions=True)


async def _main(url: str, then: Callable[[str], Awaitable[bool]], stop: asyncio.Event | None) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            while not await asyncio.to_thread(is_ready, url):  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECONDS)
            is_well = await then(url)
            if stop is None:
                return is_well
    if stop is None:
        raise RequestFailed(f"{url} was not ready after {READY_SECONDS:.0f} seconds")
    await stop.wait()
    return True
