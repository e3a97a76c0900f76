"""Both doors, over the specimen schema: in this process, and behind a real server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from pytake_gql import app
from pytake_gql.kernel.graphql.schema import Schema
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.kernel.settings import Environment
from tests.factories import Factory, SignedIn
from tests.kernel.graphql import specimen
from tests.sockets import Served, serving


@pytest.fixture(scope="session")
def schema() -> Schema:
    return specimen.make()


@pytest.fixture(scope="session")
def production_ports(ports: Ports) -> Ports:
    return replace(ports, settings=replace(ports.settings, environment=Environment.PRODUCTION))


@pytest.fixture(scope="session")
async def doors(ports: Ports, schema: Schema) -> AsyncIterator[Served]:
    async with serving(app.build(ports, schema)) as served:
        yield served


@pytest.fixture(scope="session")
async def production_doors(production_ports: Ports, schema: Schema) -> AsyncIterator[Served]:
    async with serving(app.build(production_ports, schema)) as served:
        yield served


@pytest.fixture(scope="session")
async def web(doors: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=doors.url) as client:
        yield client


@pytest.fixture(scope="session")
async def production_web(production_doors: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=production_doors.url) as client:
        yield client


@pytest.fixture
async def agent(make: Factory) -> SignedIn:
    return await make.signed_in(await make.member(await make.organization(), Role.AGENT))


@dataclass(frozen=True)
class Both:
    """Asks one document at both doors, and holds them to one answer."""

    served: Served
    web: httpx.AsyncClient
    token: str

    async def errors(self, query: str, **variables: Any) -> list[dict[str, object]]:
        answer = await self.web.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers={"authorization": f"Bearer {self.token}"},
        )
        assert answer.status_code == 200
        async with self.served.socket() as socket:
            await socket.start(self.token)
            streamed = await socket.answer(query, **variables)
        found = [_without_id(error) for error in answer.json().get("errors", [])]
        assert [_without_id(error) for error in streamed.get("errors", [])] == found
        return found

    async def codes(self, query: str, **variables: Any) -> list[object]:
        return [error["extensions"]["code"] for error in await self.errors(query, **variables)]  # type: ignore[index]


def _without_id(error: dict[str, object]) -> dict[str, object]:
    extensions = dict(error["extensions"])  # type: ignore[call-overload]
    extensions.pop("requestId", None)
    return {**error, "extensions": extensions}


@pytest.fixture
def both(doors: Served, web: httpx.AsyncClient, agent: SignedIn) -> Both:
    return Both(doors, web, agent.token)


@pytest.fixture
def production_both(production_doors: Served, production_web: httpx.AsyncClient, agent: SignedIn) -> Both:
    return Both(production_doors, production_web, agent.token)
