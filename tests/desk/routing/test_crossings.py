"""Transactions that begin in one order and get their turn in another: D12, D15, D16, D20."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import select

from pytake_gql.desk.conversations import messages, service
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.routing import engine
from pytake_gql.desk.routing import service as routing
from pytake_gql.desk.visitors import service as visitors
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import MemberPrincipal, VisitorPrincipal
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members.models import Availability
from tests.factories import Factory


async def _held(ports: Ports, organization_id: UUID) -> Counter[UUID | None]:
    async with ports.database.session(organization_id) as session:
        statement = select(Conversation.assignee_id).where(Conversation.status == ConversationStatus.ACTIVE)
        return Counter((await session.execute(statement)).scalars())


async def test_d12_who_waited_for_the_turn_sees_whose_turn_it_is(make: Factory) -> None:
    """A router that read the cursors before another one moved them reads them again."""
    organization = await make.organization()
    agents = [await make.member(organization, availability=Availability.ONLINE) for _ in range(2)]
    queue = await make.queue(organization, *agents)
    channel = await make.channel(organization, queue_id=queue.id)
    await make.waiting(channel, 1, first_number=1)
    async with make.ports.units.of_system(organization.id) as first:
        assert (await engine.route(first, queue.id)).assigned == 1
        second = asyncio.create_task(engine.route_queue(make.ports, organization.id, queue.id))
        await asyncio.sleep(0.3)  # it has read who is there, and waits for its turn
        await make.waiting(channel, 1, first_number=2)
    assert await second == 1
    assert await _held(make.ports, organization.id) == {agent.id: 1 for agent in agents}


async def test_d16_who_joins_while_a_router_waits_for_its_turn_is_served_by_the_next(make: Factory) -> None:
    organization = await make.organization()
    agent, late = [await make.member(organization, availability=Availability.ONLINE, capacity=1) for _ in range(2)]
    queue = await make.queue(organization, agent)
    channel = await make.channel(organization, queue_id=queue.id)
    await make.waiting(channel, 2, first_number=1)
    async with make.ports.units.of_system(organization.id) as first:
        assert (await engine.route(first, queue.id)).assigned == 1
        second = asyncio.create_task(engine.route_queue(make.ports, organization.id, queue.id))
        await asyncio.sleep(0.3)  # it has read who is there, and waits for its turn
        await make.serves(queue, late)
    assert await second == 0
    assert await engine.route_queue(make.ports, organization.id, queue.id) == 1
    assert await _held(make.ports, organization.id) == {agent.id: 1, late.id: 1}


@dataclass(frozen=True)
class Chat:
    """A visitor's conversation with the only agent, who has answered and put it aside."""

    make: Factory
    agent: MemberPrincipal
    visitor: VisitorPrincipal
    id: UUID

    async def say(self) -> ConversationStatus:
        async with self.make.ports.units.open(self.visitor) as uow:
            row, _ = await visitors.write(uow, self.visitor, visitors.Saying("Olá"), key=None)
        return row.status


@pytest.fixture
async def chat(make: Factory) -> Chat:
    units = make.ports.units
    organization = await make.organization()
    member = await make.member(organization, availability=Availability.ONLINE)
    queue = await make.queue(organization, member)
    agent = (await make.signed_in(member)).principal
    visitor = (await make.visitor(await make.channel(organization, queue_id=queue.id))).principal
    async with units.open(visitor) as uow:
        row, _ = await visitors.write(uow, visitor, visitors.Saying("Olá"), key=None)
    assert await engine.route_queue(make.ports, organization.id, queue.id) == 1
    async with units.open(agent) as uow:
        await messages.send(uow, row.id, messages.Draft("Um momento."), idempotency_key=None)
    async with units.open(agent) as uow:
        await service.snooze(uow, row.id, uow.now() + timedelta(hours=1))
    return Chat(make, agent, visitor, row.id)


async def test_d20_who_leaves_has_left_what_came_just_before(chat: Chat) -> None:
    """The leaving began first and had the row second: the contact's next word does not stay with who is gone."""
    units = chat.make.ports.units
    async with units.open(chat.agent) as leaving:
        async with units.open(chat.agent) as uow:
            assert (await service.reopen(uow, chat.id)).status is ConversationStatus.ACTIVE
        await members.set_availability(leaving, chat.agent, Availability.OFFLINE)
    assert await _held(chat.make.ports, chat.agent.organization_id) == {chat.agent.member_id: 1}
    assert await chat.say() is ConversationStatus.QUEUED
    assert await _held(chat.make.ports, chat.agent.organization_id) == {}


async def test_d15_d20_what_is_given_to_somebody_offline_stays_though_the_giving_began_first(chat: Chat) -> None:
    units = chat.make.ports.units
    async with units.open(chat.agent) as giving:
        async with units.open(chat.agent) as uow:
            await members.set_availability(uow, chat.agent, Availability.OFFLINE)
        await routing.assign(giving, chat.id, chat.agent.member_id, force=False)
    assert await chat.say() is ConversationStatus.ACTIVE
    assert await _held(chat.make.ports, chat.agent.organization_id) == {chat.agent.member_id: 1}
    async with units.open(chat.agent) as uow:
        await members.set_availability(uow, chat.agent, Availability.ONLINE)
    async with units.open(chat.agent) as uow:
        await members.set_availability(uow, chat.agent, Availability.OFFLINE)
    assert await _held(chat.make.ports, chat.agent.organization_id) == {}
