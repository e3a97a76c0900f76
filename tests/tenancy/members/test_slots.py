"""Load and capacity: one statement decides (D11)."""

import asyncio

from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.members import slots
from pytake_gql.tenancy.members.models import Member
from tests.tenancy.members.conftest import House


async def take(ports: Ports, member: Member, *, force: bool = False) -> int | None:
    async with ports.units.of_system(member.organization_id) as uow:
        taken = await slots.take_slot(uow, member.id, force=force)
    return taken.load if taken else None


async def test_d11_load_never_exceeds_capacity_under_concurrent_takers(house: House, ports: Ports) -> None:
    member = (await house.person(capacity=3)).member
    taken = await asyncio.gather(*(take(ports, member) for _ in range(12)))
    assert sorted(load for load in taken if load) == [1, 2, 3]
    assert (await house.stored(member)).load == 3


async def test_d11_force_leaves_capacity_aside(house: House, ports: Ports) -> None:
    member = (await house.person(capacity=0)).member
    assert await take(ports, member) is None
    assert await take(ports, member, force=True) == 1


async def test_nobody_takes_for_who_is_gone_or_inactive(house: House, ports: Ports) -> None:
    gone = (await house.person(removed_at=ports.clock.now())).member
    inactive = (await house.person(is_active=False)).member
    for member in (gone, inactive):
        assert await take(ports, member, force=True) is None
        assert (await house.stored(member)).load == 0


async def test_a_slot_is_given_back_and_never_below_none(house: House, ports: Ports) -> None:
    member = (await house.person(load=1, removed_at=ports.clock.now())).member
    for _ in range(2):
        async with ports.units.of_system(member.organization_id) as uow:
            await slots.free_slot(uow, member.id)
        assert (await house.stored(member)).load == 0


async def test_g1_another_organizations_member_has_no_slot(house: House, elsewhere: House, ports: Ports) -> None:
    member = (await elsewhere.person(load=1)).member
    async with ports.units.of_system(house.organization.id) as uow:
        assert await slots.take_slot(uow, member.id, force=True) is None
        await slots.free_slot(uow, member.id)
    assert (await elsewhere.stored(member)).load == 1


async def test_what_was_read_before_is_read_anew(house: House, ports: Ports) -> None:
    """The verbs of one transaction see the load that they took."""
    member = (await house.person()).member
    async with ports.units.of_system(member.organization_id) as uow:
        before = await uow.session.get_one(Member, (member.organization_id, member.id))
        await slots.take_slot(uow, member.id)
        assert before.load == 1
        await slots.free_slot(uow, member.id)
        assert before.load == 0
