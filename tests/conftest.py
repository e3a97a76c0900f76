"""Real PostgreSQL and real Redis: those named by the environment, else the embedded ones.

One database a run, cloned from a template that is migrated once for each state of the migrations. Tests do not
clean up: each makes an organization of its own.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from pytake_gql import app, bootstrap, embedded, migration
from pytake_gql.kernel import garbage
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings, read_settings
from tests.client import Client
from tests.factories import Factory
from tests.sockets import Served, serving

PROJECT = Path(__file__).parents[1]


class TravellingClock:
    """The system's clock, moved by the tests."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass(frozen=True)
class Servers:
    database_url: str
    redis_url: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="only what has a long form: faults and races, for minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A long run leaves out what would only be the same again. The files that take minutes begin first."""
    items.sort(key=lambda item: "processes" not in item.path.parts)
    if config.getoption("--long"):
        left_out = {item for item in items if "is_long" not in getattr(item, "fixturenames", ())}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """As a server does: else each collection walks every module, every schema and all the tests again."""
    garbage.settle()


@pytest.fixture
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether fault, race and property runs take their long form."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def servers() -> Servers:
    state = embedded.default_state_directory(PROJECT) / "tests"
    database = os.environ.get("DATABASE_URL") or embedded.ensure_postgres(state, durable=False).url
    redis = os.environ.get("REDIS_URL") or embedded.ensure_valkey(state, durable=False).url
    return Servers(database, redis)


async def _clone(url: str, name: str, template: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    finally:
        await connection.close()


async def _drop(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


async def _begin_template(url: str, name: str) -> asyncpg.Connection | None:
    """A connection that holds the lock while the template is to be made; None when it is there."""
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_advisory_lock(hashtext($1))", name)
    if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1 AND datistemplate", name):
        await connection.close()
        return None
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.execute(f'CREATE DATABASE "{name}"')
    return connection


def database_named(url: str, name: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/{name}"


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """The name of a migrated database that nobody is connected to."""
    digest = hashlib.sha256()
    for path in sorted((PROJECT / "migrations").rglob("*.py")):
        digest.update(path.read_bytes())
    name = f"template_{digest.hexdigest()[:16]}"
    with asyncio.Runner() as runner:
        lock = runner.run(_begin_template(servers.database_url, name))
        if lock is not None:
            migration.upgrade(database_named(servers.database_url, name))
            runner.run(lock.execute(f'ALTER DATABASE "{name}" IS_TEMPLATE true'))
            runner.run(lock.close())
    return name


@pytest.fixture(scope="session")
def database_url(servers: Servers, template: str) -> Iterator[str]:
    """This run's own database."""
    name = f"test_{uuid4().hex}"
    with asyncio.Runner() as runner:
        runner.run(_clone(servers.database_url, name, template))
        yield database_named(servers.database_url, name)
        runner.run(_drop(servers.database_url, name))


@pytest.fixture(scope="session")
async def redis_url(servers: Servers, database_url: str) -> str:
    """A Redis database of this run's own, emptied; pub/sub is shared, but topics hold unguessable ids.

    Two workers of one run never meet: they count on from a number that the run has.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", database_url)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    number = (int(hashlib.sha256(run.encode()).hexdigest(), 16) + worker) % 15 + 1
    url = database_named(servers.redis_url, str(number))
    async with Redis.from_url(url) as redis:
        await redis.flushdb()
    return url


@pytest.fixture(scope="session")
def settings(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    files = str(tmp_path_factory.mktemp("files"))
    return read_settings({"DATABASE_URL": database_url, "REDIS_URL": redis_url, "PYTAKE_FILES_DIRECTORY": files})


@pytest.fixture(scope="session")
def travelling_clock() -> TravellingClock:
    return TravellingClock()


@pytest.fixture
def clock(travelling_clock: TravellingClock) -> Iterator[TravellingClock]:
    """For tests that travel in time; back to the present afterwards."""
    yield travelling_clock
    travelling_clock.ahead = timedelta()


@pytest.fixture(scope="session")
async def ports(settings: Settings, travelling_clock: TravellingClock) -> AsyncIterator[Ports]:
    async with bootstrap.ports(settings, travelling_clock) as made:
        yield made


@pytest.fixture(scope="session")
async def superuser_ports(ports: Ports, settings: Settings) -> AsyncIterator[Ports]:
    """Connects as the owner, whom row-level security does not bind: the session criterion alone protects."""
    async with bootstrap.ports(settings, ports.clock, database_role="none") as made:
        yield made


@pytest.fixture(scope="session")
async def http(ports: Ports) -> AsyncIterator[httpx.AsyncClient]:
    """The web application, in this process."""
    transport = httpx.ASGITransport(app.build(ports))
    async with httpx.AsyncClient(transport=transport, base_url=ports.settings.public_url) as client:
        yield client


@pytest.fixture
def make(ports: Ports) -> Factory:
    """Builds rows through the same sessions that the application uses."""
    return Factory(ports)


@pytest.fixture
def anonymous(http: httpx.AsyncClient) -> Client:
    return Client(http, token=None)


@pytest.fixture(scope="session")
async def live(ports: Ports) -> AsyncIterator[Served]:
    """The web application behind a real server, for websockets."""
    async with serving(app.build(ports)) as served:
        yield served
