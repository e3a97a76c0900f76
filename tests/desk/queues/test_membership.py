"""Who serves which queue: written by queues, by members and by invitations alike."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from pytake_gql.desk.queues import service as queues
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.events import Event
from pytake_gql.kernel.ids import global_id, uuid7
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.events import MemberInvited, MemberJoined, MemberQueuesSet, MemberRemoved
from pytake_gql.tenancy.members.models import Availability
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

MEMBERS = """query ($queueId: ID, $role: [Role!], $search: String, $availability: [Availability!], $first: Int,
    $after: String) {
    members(queueId: $queueId, role: $role, search: $search, availability: $availability, first: $first, after: $after)
    { nodes { id } totalCount pageInfo { hasNextPage endCursor } } }"""


@dataclass(frozen=True)
class Desk:
    organization: Organization
    make: Factory
    member_id: UUID
    queue_ids: list[UUID]

    async def tell(self, *events: Event) -> None:
        async with self.make.ports.units.of_system(self.organization.id) as uow:
            for event in events:
                uow.emit(event)

    async def refused(self, event: Event) -> list[tuple[str, tuple[str, ...]]]:
        with pytest.raises(Refusal) as caught:
            await self.tell(event)
        return [(problem.code, problem.field) for problem in caught.value.problems]

    async def served(self, member_id: UUID | None = None) -> set[UUID]:
        async with self.make.ports.database.session(self.organization.id) as session:
            return await queues.queue_ids_of(session, member_id or self.member_id)


@pytest.fixture
async def desk(make: Factory) -> Desk:
    organization = await make.organization()
    member = await make.member(organization)
    made = [await make.queue(organization) for _ in range(3)]
    return Desk(organization, make, member.id, [queue.id for queue in made])


async def test_a_members_queues_are_set_as_a_whole(desk: Desk) -> None:
    a, b, c = desk.queue_ids
    await desk.tell(MemberQueuesSet(entity_id=desk.member_id, queue_ids=(a, b)))
    assert await desk.served() == {a, b}
    await desk.tell(MemberQueuesSet(entity_id=desk.member_id, queue_ids=(b, c)))
    assert await desk.served() == {b, c}
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert await queues.is_member(session, b, desk.member_id) is True
        assert await queues.is_member(session, a, desk.member_id) is False
    await desk.tell(MemberRemoved(entity_id=desk.member_id))
    assert await desk.served() == set()


async def test_queues_that_are_not_there_are_refused_and_nothing_changes(desk: Desk) -> None:
    a = desk.queue_ids[0]
    theirs = (await desk.make.queue(await desk.make.organization())).id
    await desk.tell(MemberQueuesSet(entity_id=desk.member_id, queue_ids=(a,)))
    wrong = (a, theirs, uuid7())
    expected = [("NOT_FOUND", ("queue_ids", "1")), ("NOT_FOUND", ("queue_ids", "2"))]
    assert await desk.refused(MemberQueuesSet(entity_id=desk.member_id, queue_ids=wrong)) == expected
    assert await desk.refused(MemberInvited(entity_id=uuid7(), queue_ids=wrong)) == expected
    assert await desk.served() == {a}


async def test_a_viewer_serves_no_queue(desk: Desk) -> None:
    viewer = (await desk.make.member(desk.organization, Role.VIEWER)).id
    a = desk.queue_ids[0]
    refused = await desk.refused(MemberQueuesSet(entity_id=viewer, queue_ids=(a,)))
    assert refused == [("INVALID", ("queue_ids",))]
    await desk.tell(MemberQueuesSet(entity_id=viewer, queue_ids=()), MemberJoined(entity_id=viewer, queue_ids=(a,)))
    assert await desk.served(viewer) == set()


async def test_who_joins_serves_the_queues_that_are_still_there(desk: Desk) -> None:
    a = desk.queue_ids[0]
    await desk.tell(MemberJoined(entity_id=desk.member_id, queue_ids=(a, uuid7())))
    assert await desk.served() == {a}


async def test_members_are_listed_by_queue_role_search_and_availability(desk: Desk, http: httpx.AsyncClient) -> None:
    organization, make = desk.organization, desk.make
    admin = await make.member(organization, Role.ORG_ADMIN, name="Zé", availability=Availability.ONLINE)
    bia = await make.member(organization, name="bia", email=f"bia-{uuid7().hex}@example.com")
    gone = await make.member(organization, name="Caio", removed_at=make.ports.clock.now())
    queue = await make.queue(organization, admin, bia, gone)
    client = Client(http, (await make.signed_in(await make.member(organization, Role.VIEWER, name="Vera"))).token)

    async def listed(**given: Any) -> list[str]:
        found = await client.ask(MEMBERS, **given)
        assert found["totalCount"] == len(found["nodes"])
        return [node["id"] for node in found["nodes"]]

    of_queue, first, second = global_id("Queue", queue.id), global_id("Member", bia.id), global_id("Member", admin.id)
    assert await listed(queueId=of_queue) == [first, second]
    assert await listed(queueId=of_queue, role=["ORG_ADMIN"]) == [second]
    assert await listed(queueId=of_queue, availability=["OFFLINE", "AWAY"]) == [first]
    assert await listed(search="BIA-") == [first]
    assert await listed(search="%") == []
    assert len(await listed()) == 4
    theirs = global_id("Queue", (await make.queue(await make.organization())).id)
    assert await listed(queueId=theirs) == await listed(queueId="nonsense") == []
    page = await client.ask(MEMBERS, queueId=of_queue, first=1)
    assert (page["nodes"], page["totalCount"], page["pageInfo"]["hasNextPage"]) == ([{"id": first}], 2, True)
    page = await client.ask(MEMBERS, queueId=of_queue, first=1, after=page["pageInfo"]["endCursor"])
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([{"id": second}], False)
