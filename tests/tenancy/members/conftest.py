import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, select
from starlette.applications import Starlette

from pytake_gql import app
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory, SignedIn

SWITCH = """mutation ($input: SwitchOrganizationInput!) { switchOrganization(input: $input) {
    session { accessToken } userErrors { code } } }"""


@dataclass(frozen=True)
class Person:
    """Somebody signed in, and what this one holds."""

    signed_in: SignedIn
    client: Client

    @property
    def member(self) -> Member:
        return self.signed_in.member

    @property
    def id(self) -> str:
        return global_id("Member", self.signed_in.member.id)


@dataclass(frozen=True)
class House:
    """An organization to put people into, and what can be read of it without the door."""

    organization: Organization
    make: Factory
    http: httpx.AsyncClient
    ports: Ports

    async def person(self, role: Role = Role.AGENT, **values: object) -> Person:
        signed_in = await self.make.signed_in(await self.make.member(self.organization, role, **values))
        return Person(signed_in, Client(self.http, signed_in.token))

    async def stored(self, member: Member) -> Member:
        async with self.ports.database.session(self.organization.id) as session:
            return await session.get_one(Member, (self.organization.id, member.id))

    async def audit(self, *leave_out: str) -> list[AuditEntry]:
        async with self.ports.database.session(self.organization.id) as session:
            found = await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))
            return [entry for entry in found.scalars() if entry.action not in leave_out]

    async def actions(self) -> list[str]:
        return [entry.action for entry in await self.audit()]


async def visit(root: Person, organization_id: UUID) -> Client:
    """The super admin, inside another organization."""
    given = {"organizationId": global_id("Organization", organization_id), "reason": "Ajuda"}
    answer = await root.client.ask(SWITCH, input=given)
    assert answer["userErrors"] == []
    return Client(root.client.http, answer["session"]["accessToken"])


async def within_a_moment(client: Client, document: str, code: str | None) -> None:
    """Rights that changed are heard of on the bus: sooner than the 2 s of the net."""
    async with asyncio.timeout(1):
        while True:
            errors = (await client.post(document)).get("errors", [])
            if [error["extensions"]["code"] for error in errors] == ([code] if code else []):
                return
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def application(ports: Ports) -> Starlette:
    return app.build(ports)


@pytest.fixture
async def http(application: Starlette, ports: Ports) -> AsyncIterator[httpx.AsyncClient]:
    """Each test calls from a network address of its own: the buckets of one are not those of another."""
    address = f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    transport = httpx.ASGITransport(application, client=(address, 4000))
    async with httpx.AsyncClient(transport=transport, base_url=ports.settings.public_url) as client:
        yield client


@pytest.fixture
async def house(make: Factory, http: httpx.AsyncClient, ports: Ports) -> House:
    return House(await make.organization(), make, http, ports)


@pytest.fixture
async def elsewhere(make: Factory, http: httpx.AsyncClient, ports: Ports) -> House:
    """Another organization, whose people are strangers."""
    return House(await make.organization(), make, http, ports)


@pytest.fixture
async def admin(house: House) -> Person:
    return await house.person(Role.ORG_ADMIN)
