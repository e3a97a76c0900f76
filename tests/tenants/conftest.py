import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import event
from starlette.applications import Starlette

from pytake_gql import app
from pytake_gql.kernel.db import TenantSession, confine
from pytake_gql.kernel.ports import Ports
from tests.client import Client
from tests.factories import Factory
from tests.tenants.companies import Company, Secrets, found, mark
from tests.tenants.holes import Operation


class Locks(Enum):
    """Which of the locks are on. The composite keys always are."""

    ALL = "all locks"
    ROW_SECURITY = "row-level security alone"
    CRITERION = "the session's criterion alone"


@dataclass(frozen=True)
class Street:
    """Two companies, the one that looks and the one that must not be seen, behind doors with the given locks."""

    locks: Locks
    ports: Ports
    app: Starlette
    http: httpx.AsyncClient
    make: Factory
    owner: asyncpg.Connection
    ours: Company
    theirs: Company
    word: str
    """Stands in every text of theirs, and nowhere else."""
    secrets: Secrets

    def client(self, token: str | None) -> Client:
        return Client(self.http, token)

    def callers(self) -> dict[str, str]:
        """Role to token, of our company."""
        return {
            "ORG_ADMIN": self.ours.admin.token,
            "AGENT": self.ours.agent.token,
            "SUPER_ADMIN": self.ours.super_admin.token,
            "VISITOR": self.ours.visitor.token,
        }


async def answer(client: Client, asked: Operation) -> dict[str, Any]:
    """What comes back, without what differs from one request to the next."""
    told = await client.post(asked.document, **asked.variables)
    steady: dict[str, Any] = json.loads(json.dumps(told), object_hook=_without_what_passes)
    return steady


_PASSING = {"requestId", "longestWaitSeconds", "url", "urlExpiresAt"}


def _without_what_passes(value: dict[str, Any]) -> dict[str, Any]:
    return {name: None if name in _PASSING else inner for name, inner in value.items()}


@contextlib.contextmanager
def without_criterion() -> Iterator[None]:
    event.remove(TenantSession, "do_orm_execute", confine)
    try:
        yield
    finally:
        event.listen(TenantSession, "do_orm_execute", confine)


@pytest.fixture(scope="package")
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Sees all there is."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="package", params=list(Locks), ids=lambda locks: locks.value)
async def settled(
    request: pytest.FixtureRequest,
    ports: Ports,
    superuser_ports: Ports,
    http: httpx.AsyncClient,
    owner: asyncpg.Connection,
) -> AsyncIterator[Street]:
    """Set up with all locks on."""
    locks, make = request.param, Factory(ports)
    ours, theirs = await found(make, http), await found(make, http)
    word = await mark(owner, theirs)
    asked = superuser_ports if locks is Locks.CRITERION else ports
    served = app.build(asked)
    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url=asked.settings.public_url) as client:
        secrets = await Secrets.of(owner, theirs, ours)
        yield Street(locks, asked, served, client, make, owner, ours, theirs, word, secrets)


@pytest.fixture
def street(settled: Street) -> Iterator[Street]:
    """What a test asks meets the locks of its mode."""
    with without_criterion() if settled.locks is Locks.ROW_SECURITY else contextlib.nullcontext():
        yield settled
