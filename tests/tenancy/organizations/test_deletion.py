"""Deleting an organization takes every row of it, in every table that there is."""

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col, select

from pytake_gql import models
from pytake_gql.desk.attachments.models import DiscardedFile
from pytake_gql.insight.audit.models import ActorKind, AuditEntry
from pytake_gql.kernel.ids import global_id, uuid7
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

assert models
DELETE = """mutation ($input: DeleteOrganizationInput!) { deleteOrganization(input: $input) {
    organization { id slug frontends { origin } } userErrors { code field } } }"""
NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def tenant_tables() -> list[sa.Table]:
    """All but the list of files whose content is still to be deleted."""
    tables = (table for table in SQLModel.metadata.sorted_tables if "organization_id" in table.c)
    return [table for table in tables if table.name != DiscardedFile.__tablename__]


def value_of(column: sa.Column[Any]) -> Any:
    kind = column.type.impl_instance if isinstance(column.type, sa.types.TypeDecorator) else column.type
    if isinstance(kind, postgresql.JSONB):
        return {}
    if isinstance(kind, sa.ARRAY):
        return []
    if isinstance(kind, sa.Enum):
        return kind.enum_class(kind.enums[0]) if kind.enum_class else kind.enums[0]
    values: dict[type, Any] = {UUID: uuid7(), str: uuid4().hex[:7], bytes: uuid7().bytes}
    values |= {int: 1, float: 1.0, bool: True, dt.date: NOW.date()}
    return NOW if kind.python_type is dt.datetime else values[kind.python_type]


async def fill(connection: AsyncConnection, organization_id: UUID, account_id: UUID) -> dict[str, UUID]:
    """One row in each tenant table, every foreign key set: to the one row of that table, so that all hang together."""
    ids = {table.name: uuid7() for table in tenant_tables()}
    for table in tenant_tables():
        row = {column.name: value_of(column) for column in table.c if column.computed is None}
        row["organization_id"] = organization_id
        if "id" in row:
            row["id"] = ids[table.name]
        for key in table.foreign_keys:
            if key.column.name == "id" and key.column.table.name in ids:
                row[key.parent.name] = ids[key.column.table.name]
            elif key.column.table.name == "accounts":
                row[key.parent.name] = account_id
            elif key.column.table.name == "organizations":
                row[key.parent.name] = organization_id
        await connection.execute(table.insert().values(row))
    return ids


async def rows_left(ports: Ports, organization_id: UUID) -> dict[str, int]:
    async with ports.database.engine.connect() as connection:
        return {
            table.name: (
                await connection.execute(sa.select(sa.func.count()).where(table.c.organization_id == organization_id))
            ).scalar_one()
            for table in tenant_tables()
        }


async def test_nothing_of_it_is_left(
    make: Factory, http: httpx.AsyncClient, ports: Ports, superuser_ports: Ports
) -> None:
    root = await make.signed_in(await make.member(await make.organization(), Role.SUPER_ADMIN))
    doomed, spared = await make.organization(), await make.organization()
    attachments: dict[UUID, UUID] = {}
    for organization in (doomed, spared):
        member = await make.member(await make.organization())
        async with superuser_ports.database.engine.begin() as connection:
            ids = await fill(connection, organization.id, member.account_id)
        attachments[organization.id] = ids["attachments"]
    full = dict.fromkeys((table.name for table in tenant_tables()), 1)
    assert await rows_left(superuser_ports, doomed.id) == full

    client = Client(http, root.token)
    id_ = global_id("Organization", doomed.id)
    answer = await client.ask(DELETE, input={"id": id_, "confirmSlug": doomed.slug})
    assert answer == {"organization": {"id": id_, "slug": doomed.slug, "frontends": []}, "userErrors": []}

    assert await rows_left(superuser_ports, doomed.id) == dict.fromkeys(full, 0)
    assert await rows_left(superuser_ports, spared.id) == full
    async with ports.database.session(doomed.id) as session:
        assert await session.get(Organization, doomed.id) is None
        left = select(DiscardedFile.attachment_id).where(DiscardedFile.organization_id == doomed.id)
        assert (await session.execute(left)).scalars().all() == [attachments[doomed.id]]
    async with ports.database.session(root.member.organization_id) as session:
        [entry] = (await session.execute(select(AuditEntry).where(col(AuditEntry.entity_id) == doomed.id))).scalars()
    assert (entry.action, entry.actor_kind, entry.actor_id) == (
        "organization.deleted", ActorKind.MEMBER, root.member.id,
    )  # fmt: skip
    assert entry.changes["slug"] == {"from": doomed.slug, "to": None}
