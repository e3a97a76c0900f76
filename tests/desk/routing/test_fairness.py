"""Who gets how many, and who may have what when, on the real database under a clock that stands: D12-D14."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import select

from pytake_gql import bootstrap
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues.models import RoutingStrategy
from pytake_gql.desk.routing import engine
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from pytake_gql.tenancy.members.models import Availability, Member
from tests.desk.routing.floor import StandingClock
from tests.factories import Factory


@pytest.fixture
def standing() -> StandingClock:
    return StandingClock()


@pytest.fixture
async def still_make(settings: Settings, standing: StandingClock) -> AsyncIterator[Factory]:
    """Builds rows under the standing clock."""
    async with bootstrap.ports(settings, standing) as ports:
        yield Factory(ports)


async def _held(ports: Ports, organization_id: UUID) -> Counter[UUID | None]:
    async with ports.database.session(organization_id) as session:
        statement = select(Conversation.assignee_id).where(Conversation.status == ConversationStatus.ACTIVE)
        return Counter((await session.execute(statement)).scalars())


async def test_d12_counts_differ_by_at_most_one_with_a_restart_every_ten(
    still_make: Factory, settings: Settings, standing: StandingClock, is_long: bool
) -> None:
    """Two processes route at once, and both are others after every ten; three hundred in the long form."""
    total = 300 if is_long else 60
    make = still_make
    organization = await make.organization()
    agents = [await make.member(organization, availability=Availability.ONLINE, capacity=100) for _ in range(3)]
    queue = await make.queue(organization, *agents, routing_strategy=RoutingStrategy.ROUND_ROBIN)
    channel = await make.channel(organization, queue_id=queue.id)
    for begun in range(0, total, 10):
        await make.waiting(channel, 10, first_number=1 + begun)
        async with bootstrap.ports(settings, standing) as one, bootstrap.ports(settings, standing) as other:
            routed = (engine.route_queue(ports, organization.id, queue.id) for ports in (one, other))
            assert sum(await asyncio.gather(*routed)) == 10
        counts = await _held(make.ports, organization.id)
        spread = [counts[agent.id] for agent in agents]
        assert max(spread) - min(spread) <= 1, spread
    assert sorted(counts.values()) == [total // 3] * 3


async def test_d13_the_least_loaded_share_is_next_whatever_queue_the_load_came_from(still_make: Factory) -> None:
    make = still_make
    organization = await make.organization()
    capacities = (2, 4, 10)
    agents = [
        await make.member(organization, availability=Availability.ONLINE, capacity=capacity) for capacity in capacities
    ]
    balanced = [
        await make.queue(organization, *agents, routing_strategy=RoutingStrategy.LOAD_BALANCE) for _ in range(2)
    ]
    channels = [await make.channel(organization, queue_id=queue.id) for queue in balanced]
    for number in range(sum(capacities)):
        counts = await _held(make.ports, organization.id)
        shares = {agent.id: counts[agent.id] / agent.capacity for agent in agents}
        await make.waiting(channels[number % 2], 1, first_number=1 + number)
        assert await engine.route_queue(make.ports, organization.id, balanced[number % 2].id) == 1
        (chosen,) = (await _held(make.ports, organization.id)) - counts
        assert chosen is not None
        assert shares[chosen] == min(shares.values())
    assert await _held(make.ports, organization.id) == {
        agent.id: capacity for agent, capacity in zip(agents, capacities, strict=True)
    }


@pytest.mark.parametrize(("level", "seconds"), [(4, 0), (3, 4), (2, 8), (1, 12), (0, 16)], ids=str)
async def test_d14_a_preferred_level_falls_exactly_at_its_boundary(
    still_make: Factory, standing: StandingClock, level: int, seconds: int
) -> None:
    """Level 4 and 4 s: level 2 will do after 8 s, and not a millisecond before."""
    make = still_make
    organization = await make.organization()
    agent = await make.member(organization, availability=Availability.ONLINE)
    queue = await make.queue(
        organization, agent, routing_strategy=RoutingStrategy.SKILLS_BASED, relax_skills_after_seconds=4
    )
    skill = await make.skill(organization)
    await make.requires(queue, skill, min_level=4, is_mandatory=False)
    if level:
        await make.masters(agent, skill, level)
    (row,) = await make.waiting(await make.channel(organization, queue_id=queue.id), 1, first_number=1)
    assert row.eligible_since is not None
    if seconds:
        standing.at = row.eligible_since + timedelta(seconds=seconds, milliseconds=-1)
        assert await engine.route_queue(make.ports, organization.id, queue.id) == 0
    # The clock moves on by one microsecond a look: the first look is the transaction's.
    standing.at = row.eligible_since + timedelta(seconds=seconds, microseconds=-1)
    assert await engine.route_queue(make.ports, organization.id, queue.id) == 1


async def test_d14_a_mandatory_level_never_falls(still_make: Factory, standing: StandingClock) -> None:
    make = still_make
    organization = await make.organization()
    agent = await make.member(organization, availability=Availability.ONLINE)
    queue = await make.queue(
        organization, agent, routing_strategy=RoutingStrategy.SKILLS_BASED, relax_skills_after_seconds=4
    )
    skill = await make.skill(organization)
    await make.requires(queue, skill, min_level=4)
    await make.masters(agent, skill, 3)
    (row,) = await make.waiting(await make.channel(organization, queue_id=queue.id), 1, first_number=1)
    assert row.eligible_since is not None
    standing.at = row.eligible_since + timedelta(days=1)
    async with make.ports.units.of_system(organization.id) as uow:
        await uow.session.execute(sa.update(Member).values(last_seen_at=uow.now()))
    assert await engine.route_queue(make.ports, organization.id, queue.id) == 0
