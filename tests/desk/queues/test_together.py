"""Queues under many hands at once, and read in batches."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import event

from pytake_gql.desk.queues import service as queues
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

TREE = """{ departments { id queues { id department { id } overflowQueue { id } members { id queues { id } } } } }"""


@contextmanager
def counted(ports: Ports) -> Iterator[list[str]]:
    """The statements that read while the block runs."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engine = ports.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def grow(make: Factory, organization: Organization, number: int) -> None:
    for _ in range(number):
        overflow = await make.queue(organization, await make.member(organization))
        await make.queue(organization, await make.member(organization), overflow_queue_id=overflow.id)


async def test_nested_queues_are_read_in_batches_however_many_there_are(
    ports: Ports, make: Factory, http: httpx.AsyncClient
) -> None:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    await grow(make, organization, 1)
    await admin.ask("{ departments { id } }")  # for a moment from now on the caller is known
    with counted(ports) as few:
        await admin.ask(TREE)
    await grow(make, organization, 4)
    await admin.ask("{ departments { id } }")
    with counted(ports) as many:
        tree = await admin.ask(TREE)
    assert sum(len(department["queues"]) for department in tree) == 10
    assert len(many) == len(few)


async def outcome(ports: Ports, organization: Organization, queue_id: UUID | None, changes: Changes) -> list[str]:
    try:
        async with ports.units.of_system(organization.id) as uow:
            if queue_id is None:
                await queues.create(uow, changes)
            else:
                await queues.update(uow, queue_id, changes)
    except Refusal as refusal:
        return [f"{problem.code} {problem.field[0]}" for problem in refusal.problems]
    return []


async def test_d9_two_who_overflow_into_each_other_at_once_make_no_circle(ports: Ports, make: Factory) -> None:
    organization = await make.organization()
    a, b = await make.queue(organization), await make.queue(organization)
    done = await asyncio.gather(
        outcome(ports, organization, a.id, {"overflow_queue_id": b.id}),
        outcome(ports, organization, b.id, {"overflow_queue_id": a.id}),
    )
    assert sorted(done) == [[], ["INVALID overflow_queue_id"]]
    async with ports.database.session(organization.id) as session:
        stored = await queues.by_ids(session, [a.id, b.id])
    assert [stored[a.id].overflow_queue_id, stored[b.id].overflow_queue_id].count(None) == 1


async def test_a_name_that_many_take_at_once_is_taken_once(ports: Ports, make: Factory) -> None:
    organization = await make.organization()
    department_id = (await make.department(organization)).id
    given = {"department_id": department_id, "name": "Suporte"}
    done = await asyncio.gather(*(outcome(ports, organization, None, given) for _ in range(5)))
    assert sorted(done) == [[], *[["TAKEN name"]] * 4]


async def test_slugs_that_many_names_suggest_at_once_are_all_unique(ports: Ports, make: Factory) -> None:
    organization = await make.organization()
    department_id = (await make.department(organization)).id
    names = ("Suporte", "suporte", "SUPORTE", "Súporte")
    done = await asyncio.gather(
        *(outcome(ports, organization, None, {"department_id": department_id, "name": name}) for name in names)
    )
    assert done == [[], [], [], []]
    async with ports.database.session(organization.id) as session:
        slugs = sorted(queue.slug for queue in await queues.list_all(session))
    assert slugs == ["suporte", "suporte-2", "suporte-3", "suporte-4"]


async def test_a_queue_that_is_deleted_while_another_overflows_into_it_leaves_nothing_behind(
    ports: Ports, make: Factory
) -> None:
    organization = await make.organization()
    source, overflow = await make.queue(organization), await make.queue(organization)

    async def delete() -> None:
        async with ports.units.of_system(organization.id) as uow:
            await queues.delete(uow, overflow.id, None)

    changed, _ = await asyncio.gather(
        outcome(ports, organization, source.id, {"overflow_queue_id": overflow.id}), delete()
    )
    assert changed in ([], ["NOT_FOUND overflow_queue_id"])
    async with ports.database.session(organization.id) as session:
        stored = await queues.by_ids(session, [source.id, overflow.id])
    assert list(stored) == [source.id]
    assert stored[source.id].overflow_queue_id is None
