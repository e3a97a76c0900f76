"""What a pull costs PostgreSQL where thousands wait: no statement reads or sorts the backlog (speed.md)."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from asyncpg.connection import LoggedQuery
from sqlmodel import SQLModel

from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.queues.models import QueueOrder
from pytake_gql.desk.routing import claims
from pytake_gql.kernel.db import table_of
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import System
from pytake_gql.kernel.unit_of_work import UnitOfWork
from tests.desk.desk import Desk

_WAITING = 3000
_A_HANDFUL = 100


def _written(model: type[SQLModel], of: str = "") -> str:
    """The columns that are not computed."""
    return ", ".join(f"{of}{column.name}" for column in table_of(model).columns if column.computed is None)


_WAIT = sa.text(rf"""
WITH template AS (SELECT * FROM conversations WHERE id = :template),
people AS (
  INSERT INTO contacts ({_written(Contact)})
  SELECT {_written(Contact, "made.")} FROM template JOIN contacts contact ON contact.id = template.contact_id,
    generate_series(1, :count) place,
    LATERAL jsonb_populate_record(contact, jsonb_build_object('id', gen_random_uuid(), 'name', place)) made
  RETURNING id
),
numbered AS (SELECT id, row_number() OVER () AS place FROM people)
INSERT INTO conversations ({_written(Conversation)})
SELECT {_written(Conversation, "made.")} FROM template, numbered,
  LATERAL jsonb_populate_record(NULL\:\:conversations, to_jsonb(template) || jsonb_build_object(
    'id', gen_random_uuid(), 'contact_id', numbered.id, 'number', 1000 + place,
    'queue_id', (CAST(:queues AS uuid[]))[1 + place % cardinality(CAST(:queues AS uuid[]))],
    'eligible_since', template.eligible_since + place * interval '1 millisecond')) made
""")  # noqa: S608 - names of columns


@pytest.mark.parametrize("minutes", [0, 300])
@pytest.mark.parametrize("queue_count", [1, 2])
@pytest.mark.parametrize("queue_order", list(QueueOrder))
async def test_a_pull_reads_a_handful_of_three_thousand(
    desk: Desk, superuser_ports: Ports, queue_order: QueueOrder, queue_count: int, minutes: int
) -> None:
    others = [await desk.make.queue(desk.organization) for _ in range(queue_count - 1)]
    queue_ids = [desk.queue.id, *(queue.id for queue in others)]
    now = desk.make.ports.clock.now()
    first = await desk.make.conversation(desk.channel, eligible_since=now - timedelta(minutes=minutes))
    async with superuser_ports.database.engine.begin() as connection:
        await connection.execute(sa.text("SET LOCAL statement_timeout = '60s'"))
        await connection.execute(_WAIT, {"template": first.id, "count": _WAITING, "queues": queue_ids})
        await connection.execute(sa.text("ANALYZE conversations"))
    async with explained(desk.make.ports, desk.organization.id) as (uow, plans):
        found = await claims.take_from(uow, [desk.agent_member.id], ((queue_order, tuple(queue_ids)),))
        assert found.taken == {desk.agent_member.id: first.id}
    read = [node for plan in plans for node in nodes(plan)]
    assert len(plans) == 1
    assert max(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in read) <= _A_HANDFUL


@asynccontextmanager
async def explained(ports: Ports, organization_id: UUID) -> AsyncIterator[tuple[UnitOfWork, list[dict[str, Any]]]]:
    """A unit of work as pulls have it, and the plans that it keeps, as executed: under row-level security."""
    sent: list[LoggedQuery] = []
    plans: list[dict[str, Any]] = []
    async with ports.units.open_together([System(organization_id)], keeps_plans=True) as (uow,):
        driver: Any = (await (await uow.session.connection()).get_raw_connection()).driver_connection
        with driver.query_logger(sent.append):
            yield uow, plans
            await asyncio.sleep(0)  # the driver's log is written in the next turn of the loop
        for query in sent:
            if not re.search(r"^BEGIN|typeinfo|'jit'", query.query):  # the driver asks for types, once
                await driver.execute(f"PREPARE seen AS {query.query}")
                values = ", ".join(map(_literal, query.args))
                found = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE seen({values})")
                await driver.execute("DEALLOCATE seen")
                plans.append(found[0]["Plan"])


def _literal(value: Any) -> str:
    """The statement says the types."""
    if isinstance(value, list):
        return f"'{{{','.join(map(str, value))}}}'"
    return f"'{value}'"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)
