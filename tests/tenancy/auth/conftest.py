"""Each test calls from a network address of its own: the buckets of one are not those of another."""

import random
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from pytake_gql import app
from pytake_gql.kernel.ports import Ports


@pytest.fixture(scope="session")
def application(ports: Ports) -> Starlette:
    return app.build(ports)


@pytest.fixture
async def http(application: Starlette, ports: Ports) -> AsyncIterator[httpx.AsyncClient]:
    address = f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    transport = httpx.ASGITransport(application, client=(address, 4000))
    headers = {"user-agent": "Firefox 140"}
    async with httpx.AsyncClient(transport=transport, base_url=ports.settings.public_url, headers=headers) as client:
        yield client
