"""The short way to the database is the same transaction, the same organization and the same errors."""

import pytest
import sqlalchemy as sa
from asyncpg.exceptions import DivisionByZeroError
from sqlalchemy.exc import DBAPIError

from pytake_gql.desk.queues.models import Queue, QueueOrder
from pytake_gql.kernel import frozen
from pytake_gql.kernel.db import DRIVER, table_of
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.ports import Ports
from tests.factories import Factory

_queues = table_of(Queue)
NAMED = Frozen(
    sa.select(_queues.c.id, _queues.c.order, _queues.c.opening_hours, sa.literal(3).label("three")).where(
        _queues.c.name == sa.bindparam("name", type_=sa.String()), _queues.c.is_active == sa.true()
    )
)


async def test_rows_have_the_statements_names_and_pythons_types(make: Factory, ports: Ports) -> None:
    organization = await make.organization()
    queue = await make.queue(organization, name="Suporte")
    async with ports.database.session(organization.id) as session:
        (row,) = await NAMED.rows(session, {"name": "Suporte"})
        assert (row.id, row.order, row.opening_hours, row.three) == (queue.id, QueueOrder.PRIORITY_FIRST, [], 3)
        assert isinstance(row.order, QueueOrder)
        assert await NAMED.rows(session, {"name": "Vendas"}) == []


async def test_g1_the_first_statement_of_a_session_is_confined_too(make: Factory, ports: Ports) -> None:
    organization, stranger = await make.organization(), await make.organization()
    await make.queue(organization, name="Suporte")
    async with ports.database.session(stranger.id) as session:
        assert await NAMED.rows(session, {"name": "Suporte"}) == []
    async with ports.database.session(None) as session:
        assert await NAMED.rows(session, {"name": "Suporte"}) == []


async def test_it_is_the_sessions_transaction(make: Factory, ports: Ports) -> None:
    organization = await make.organization()
    queue = await make.queue(organization, name="Suporte")
    rename = f"UPDATE queues SET name = 'Vendas' WHERE id = '{queue.id}' RETURNING id"  # noqa: S608 - an id of ours
    async with ports.database.session(organization.id) as session:
        assert [tuple(row) for row in await frozen.fetch(session, rename)] == [(queue.id,)]
        assert len((await session.execute(sa.select(Queue.id).where(Queue.name == "Vendas"))).all()) == 1
        await session.rollback()
        assert DRIVER not in session.info
        assert len(await NAMED.rows(session, {"name": "Suporte"})) == 1
    assert DRIVER not in session.info


async def test_what_the_database_refuses_is_told_as_by_the_session(make: Factory, ports: Ports) -> None:
    organization = await make.organization()
    async with ports.database.session(organization.id) as session:
        with pytest.raises(DBAPIError) as refused:
            await frozen.fetch(session, "SELECT 1 / $1::int", 0)
        assert isinstance(refused.value.orig, DivisionByZeroError)
        await session.rollback()
        assert [tuple(row) for row in await frozen.fetch(session, "SELECT 1 / $1::int", 1)] == [(1,)]
