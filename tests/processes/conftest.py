"""API and worker as processes, on a database and a Valkey of their own."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from pytake_gql import bootstrap, embedded
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import read_settings
from tests.conftest import Servers, _clone, _drop, database_named
from tests.embedded.conftest import reachable_directory
from tests.processes.machinery import Processes


@pytest.fixture
def state() -> Iterator[Path]:
    directory = reachable_directory()
    yield directory
    embedded.stop(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
async def place(servers: Servers, template: str, state: Path) -> AsyncIterator[Processes]:
    """A database and a Valkey of their own, where nothing runs yet: FLUSHALL must not meet other tests."""
    name = f"processes_{uuid4().hex}"
    await _clone(servers.database_url, name, template)
    redis = await asyncio.to_thread(embedded.ensure_valkey, state, durable=False)
    settings = read_settings({"DATABASE_URL": database_named(servers.database_url, name), "REDIS_URL": redis.url})
    processes = Processes(settings, state)
    try:
        yield processes
    finally:
        processes.stop()
        await _drop(servers.database_url, name)


@pytest.fixture
async def processes(place: Processes) -> Processes:
    """One API and one worker."""
    for process in ("api", "worker"):
        place.start(process)
    await place.is_ready()
    return place


@pytest.fixture
async def their_ports(place: Processes) -> AsyncIterator[Ports]:
    async with bootstrap.ports(place.settings) as made:
        yield made
