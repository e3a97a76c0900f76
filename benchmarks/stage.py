"""Where the measuring takes place: PostgreSQL and Redis, a database of its own, PyTake and the floor."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis

from benchmarks import seed
from benchmarks.processes import parent_of, server
from pytake_gql import bootstrap, embedded, migration
from pytake_gql.development.servers import lend
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import read_settings

DATABASE = "pytake_benchmarks"
REDIS_DATABASE = "15"


class NotEmpty(Exception):
    """The Redis database that the benchmarks would empty holds something."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`postmaster` is None where PostgreSQL runs on another machine."""

    ports: Ports
    agents: list[seed.Agent]
    environment: Mapping[str, str]
    watchers: list[seed.Agent]
    database_url: str
    postmaster: int | None
    product: int
    product_pid: int
    floor: int
    floor_pid: int

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """As its owner, whom row-level security does not bind."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def tidy(self) -> None:
        """So that each round meets the tables in the same state."""
        async with self.database() as connection:
            await connection.execute("VACUUM ANALYZE")


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Starts everything, seeded; stops what was started here, and drops what was made."""
    state = bootstrap.servers_directory() / "benchmarks"
    before = embedded.running(state)
    lent = lend(os.environ, state)
    database_url = _named(lent.environment["DATABASE_URL"], DATABASE)
    redis_url = _named(lent.environment["REDIS_URL"], REDIS_DATABASE)
    environment = {**lent.environment, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    try:
        async with (
            _own_database(lent.environment["DATABASE_URL"]) as postmaster,
            _own_redis(redis_url),
            bootstrap.ports(read_settings(environment)) as ports,
        ):
            await asyncio.to_thread(migration.upgrade, database_url)
            people = await seed.seed(ports)
            agents, watchers = people[: seed.AGENTS], people[seed.AGENTS :]
            async with (
                server("PyTake", environment, "-m", "pytake_gql", "api") as product,
                server("The floor", environment, "-m", "benchmarks.floor") as floor,
            ):
                ready = Stage(ports, agents, environment, watchers, database_url, postmaster, *product, *floor)
                await ready.tidy()
                yield ready
    finally:
        if lent.is_ours and not (before.postgres or before.valkey):
            embedded.stop(state)


@asynccontextmanager
async def _own_database(url: str) -> AsyncIterator[int | None]:
    """A new one, dropped at the end; gives the postmaster's pid where it is to be seen."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        is_here = urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}
        yield parent_of(await connection.fetchval("SELECT pg_backend_pid()")) if is_here else None
        await connection.execute(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')
    finally:
        await connection.close()


@asynccontextmanager
async def _own_redis(url: str) -> AsyncIterator[None]:
    """Emptied at the end, and therefore refused unless it is empty."""
    async with Redis.from_url(url) as redis:
        if await redis.dbsize():
            raise NotEmpty(f"The benchmarks empty Redis database {REDIS_DATABASE}, and it holds something.")
        try:
            yield
        finally:
            await redis.flushdb()


def _named(url: str, name: str) -> str:
    """The same server's other database."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
