"""A small desk that the tests of conversations share: one queue, one agent, one admin, one web chat."""

from dataclasses import dataclass
from uuid import UUID

import httpx

from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.queues.models import Queue
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Availability, Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory


@dataclass(frozen=True)
class Desk:
    make: Factory
    http: httpx.AsyncClient
    organization: Organization
    queue: Queue
    channel: Channel
    agent_member: Member
    agent: Client
    admin: Client

    async def colleague(
        self, role: Role = Role.AGENT, *, serves: bool = True, **values: object
    ) -> tuple[Member, Client]:
        """Another member, signed in; of the queue or not."""
        member = await self.make.member(self.organization, role, **values)
        if serves:
            await self.make.serves(self.queue, member)
        return member, Client(self.http, (await self.make.signed_in(member)).token)

    async def visitor(self) -> Client:
        return Client(self.http, (await self.make.visitor(self.channel)).token)


async def open_desk(make: Factory, http: httpx.AsyncClient, **queue: object) -> Desk:
    organization = await make.organization()
    agent = await make.member(organization, Role.AGENT, availability=Availability.ONLINE)
    admin = await make.member(organization, Role.ORG_ADMIN)
    row = await make.queue(organization, agent, **queue)
    channel = await make.channel(organization, queue_id=row.id)
    return Desk(
        make=make,
        http=http,
        organization=organization,
        queue=row,
        channel=channel,
        agent_member=agent,
        agent=Client(http, (await make.signed_in(agent)).token),
        admin=Client(http, (await make.signed_in(admin)).token),
    )


def conversation_id(id_: UUID) -> str:
    return global_id("Conversation", id_)
