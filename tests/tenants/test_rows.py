"""The locks below the schema: what the keys, the session, the policies and the roles refuse by themselves (G1, G23)."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased, make_transient
from sqlmodel import SQLModel, col, select

from pytake_gql.kernel.db import API_ROLE, Database, Instant, TenancyViolation
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from tests.factories import Factory
from tests.tenants.companies import TENANT_TABLES, Company, found, rows

TABLES = SQLModel.metadata.tables
PARENTS = [
    pytest.param(table, key, id=f"{table}.{key.elements[-1].parent.name}")
    for table in TENANT_TABLES
    for key in sorted(TABLES[table].foreign_key_constraints, key=lambda key: key.elements[-1].parent.name)
    if key.referred_table.name in TENANT_TABLES
]
MODELS: dict[str, Any] = {str(mapper.local_table): mapper.class_ for mapper in SQLModel._sa_registry.mappers}

# What each function that works across organizations tells: who adds to this, opens a wall.
TOLD_ACROSS = {
    "engine_wanted": {"text"},
    "engine_authority": {
        *("account_id", "organization_id", "home_organization_id", "member_id", "role", "scope", "name", "locale"),
    },
    "engine_channel_organization": {"uuid"},
    "engine_discard_file": {"trigger"},
    "engine_contacts_with": {"uuid"},
    "engine_due_messages": {"organization_id", "message_id"},
    "engine_due_sla_clocks": {"organization_id", "conversation_id"},
    "engine_due_snoozes": {"organization_id", "conversation_id"},
    "engine_due_media": {"organization_id", "medium_id"},
    "engine_due_receipts": {"organization_id", "conversation_id"},
    "engine_due_automations": {"organization_id", "automation_id"},
    "engine_due_automations_fairly": {"organization_id", "automation_id"},
    "engine_next_firing": {"timestamp with time zone"},
    "engine_due_executions": {"organization_id", "execution_id"},
    "engine_due_flow_effects": {"organization_id", "effect_id"},
    "engine_due_flow_runs": {"organization_id", "run_id"},
    "engine_expired_idempotency_keys": {"uuid"},
    "engine_found_contacts": {"uuid"},
    "engine_found_conversations": {"uuid"},
    "engine_found_messages": {"uuid"},
    "engine_found_subjects": {"uuid"},
    "engine_invitation": {"organization_id", "invitation_id"},
    "engine_lost_members": {"organization_id", "member_id"},
    "engine_memberships": {"organization_id", "member_id"},
    "engine_read_notifications": {"uuid"},
    "engine_routable_queues": {"organization_id", "queue_id"},
    "engine_organizations": {
        *("id", "name", "slug", "logo_url", "timezone", "locale", "holiday_region", "opening_hours"),
        *("is_active", "created_at"),
    },
    "engine_origin_organizations": {"uuid"},
    "engine_unsent_attachments": {"uuid"},
}


@pytest.fixture(scope="module")
async def pair(ports: Ports, http: httpx.AsyncClient) -> tuple[Company, Company]:
    make = Factory(ports)
    return await found(make, http), await found(make, http)


@pytest.fixture
async def bound(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the application's role; whatever it does is rolled back."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET SESSION AUTHORIZATION {API_ROLE}")
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def announce(connection: asyncpg.Connection, company: Company) -> None:
    await connection.execute("SELECT set_config('app.organization_id', $1, true)", str(company.id))


def copied(table: str, row: dict[str, Any], **changed: str) -> str:
    """The row under another id, and other values wherever they must be unique, as JSON."""
    unique = [
        constraint.columns for constraint in TABLES[table].constraints if isinstance(constraint, UniqueConstraint)
    ]
    unique += [index.columns for index in TABLES[table].indexes if index.unique]
    keys = {column.name for key in TABLES[table].foreign_key_constraints for column in key.columns}
    fresh = {column.name: _fresh(column.type) for columns in unique for column in columns if column.name not in keys}
    return json.dumps(row | fresh | {"id": str(uuid4())} | changed)


def _fresh(type_: Any) -> Any:
    if isinstance(type_, sa.Integer):
        return uuid4().int % 1_000_000_000
    if isinstance(type_, Instant):
        return str(datetime.fromtimestamp(uuid4().int % 1_000_000_000, UTC))
    return f"\\x{uuid4().hex}" if isinstance(type_, sa.LargeBinary) else uuid4().hex


async def insert(connection: asyncpg.Connection, table: str, row: str) -> None:
    written = ", ".join(f'"{column.name}"' for column in TABLES[table].columns if column.computed is None)
    statement = f"INSERT INTO {table} ({written}) SELECT {written} FROM jsonb_populate_record(NULL::{table}, $1::jsonb)"  # noqa: S608
    async with connection.transaction():
        await connection.execute(statement, row)


@pytest.mark.parametrize(("table", "key"), PARENTS)
async def test_g1_no_row_points_into_another_organization(
    owner: asyncpg.Connection, pair: tuple[Company, Company], table: str, key: sa.ForeignKeyConstraint
) -> None:
    """For the owner, too, whom no other lock binds."""
    ours, theirs = [await rows(owner, company) for company in pair]
    column, parent = key.elements[-1].parent.name, theirs[key.referred_table.name][0]["id"]
    refused = set()
    for row in ours[table]:
        try:
            await insert(owner, table, copied(table, row, **{column: parent}))
        except asyncpg.IntegrityConstraintViolationError as error:
            # One open conversation a contact, and the like, may come first: another row is closed.
            refused.add(error.constraint_name)
        else:
            pytest.fail(f"{table}.{column} points into another organization")
    assert key.name in refused
    assert await rows(owner, pair[0]) == ours


@pytest.mark.parametrize("table", [*TENANT_TABLES, "organizations"])
async def test_g1_the_policies_let_nothing_of_another_organization_be_seen_or_written(
    bound: asyncpg.Connection, owner: asyncpg.Connection, pair: tuple[Company, Company], table: str
) -> None:
    ours, theirs = [await rows(owner, company) for company in pair]
    row, column = theirs[table][0], "id" if table == "organizations" else "organization_id"
    await announce(bound, pair[0])
    for where in (f"{column} = '{pair[1].id}'", f"id = '{row['id']}'", f"{column} <> '{pair[0].id}'"):
        assert await bound.fetchval(f"SELECT count(*) FROM {table} WHERE {where}") == 0  # noqa: S608
    assert await bound.fetchval(f"SELECT count(*) FROM {table}") == len(ours[table])  # noqa: S608
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await insert(bound, table, copied(table, row))
    if table == "audit_entries":
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with bound.transaction():
            await bound.execute(f"UPDATE {table} SET {column} = '{pair[1].id}'")  # noqa: S608
    written = f"UPDATE {table} SET {column} = {column} WHERE id = '{row['id']}'"  # noqa: S608
    assert await bound.execute(written) == "UPDATE 0"
    assert await bound.execute(f"DELETE FROM {table} WHERE id = '{row['id']}'") == "DELETE 0"  # noqa: S608


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_g1_a_session_refuses_to_write_a_row_of_another_organization(
    ports: Ports, pair: tuple[Company, Company], table: str
) -> None:
    ours, theirs = pair
    model = MODELS[table]
    for organization_id in (ours.id, None):
        async with ports.database.session(theirs.id) as session:
            row = (await session.execute(select(model).limit(1))).scalars().one()
        async with ports.database.session(organization_id) as session:
            session.add(row)
            await session.delete(row)
            with pytest.raises(TenancyViolation):
                await session.flush()
        make_transient(row)
        async with ports.database.session(organization_id) as session:
            session.add(row)
            with pytest.raises(TenancyViolation):
                await session.flush()
    async with ports.database.session(ours.id) as session:
        own: Any = (await session.execute(select(model).limit(1))).scalars().one()
        own.organization_id = theirs.id
        with pytest.raises(TenancyViolation):
            await session.flush()


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_g1_the_criterion_alone_confines_every_kind_of_statement(
    superuser_ports: Ports, owner: asyncpg.Connection, pair: tuple[Company, Company], table: str
) -> None:
    dump, model = await rows(owner, pair[1]), MODELS[table]
    row, other = UUID(dump[table][0]["id"]), aliased(model)
    is_theirs = model.organization_id == pair[1].id
    async with superuser_ports.database.session(pair[0].id) as session:
        reading: list[Any] = [
            select(model).where(is_theirs),
            select(model.id).where(model.id == row),
            sa.select(sa.func.count()).select_from(model).where(is_theirs).having(sa.func.count() > 0),
            select(other).where(other.id == row),
            select(model.id).join(other, other.id == model.id).where(is_theirs),
            sa.union_all(select(model.id).where(model.id == row), select(other.id).where(other.id == row)),
            select(model.id).where(col(model.id).in_(select(other.id).where(other.id == row))),
            sa.select(sa.literal(1)).where(sa.exists().where(other.id == row)),
        ]
        for statement in reading:
            assert (await session.execute(statement)).all() == [], str(statement)
        assert await session.get(model, (pair[1].id, row)) is None
        changed: Any = await session.execute(sa.update(model).where(model.id == row).values(id=uuid7()))
        removed: Any = await session.execute(sa.delete(model).where(model.id == row))
        assert (changed.rowcount, removed.rowcount) == (0, 0)
        await session.rollback()
    assert await rows(owner, pair[1]) == dump


@pytest.mark.parametrize(
    "power",
    [
        "SET ROLE {owner}",
        "SET ROLE pytake_engine",
        "SET row_security = off; SELECT * FROM contacts",
        "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON contacts",
        "CREATE POLICY open ON contacts USING (true)",
        "ALTER ROLE pytake_api BYPASSRLS",
        "GRANT pytake_engine TO pytake_api",
        "TRUNCATE contacts",
        "CREATE TABLE mine ()",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION engine_memberships(uuid) SECURITY INVOKER",
        "COPY contacts TO PROGRAM 'true'",
        "UPDATE audit_entries SET action = 'nothing'",
        "DELETE FROM audit_entries",
        "SELECT * FROM audit_entries FOR UPDATE",
    ],
)
async def test_g1_g23_the_applications_role_cannot_open_a_lock(
    bound: asyncpg.Connection, owner: asyncpg.Connection, pair: tuple[Company, Company], power: str
) -> None:
    await announce(bound, pair[0])
    name = await owner.fetchval("SELECT quote_ident(current_user)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await bound.execute(power.format(owner=name))


async def test_g1_the_applications_connection_stays_the_role_that_owns_nothing(ports: Ports) -> None:
    async with ports.database.session(None) as session:
        await session.execute(sa.text("RESET ROLE"))
        assert await session.scalar(sa.text("SELECT current_user")) == API_ROLE


async def test_functions_across_organizations_tell_what_is_declared_and_nobody_else_calls_them(
    owner: asyncpg.Connection,
) -> None:
    found_ = await owner.fetch(
        """SELECT p.oid, proname::text AS name, pg_get_function_result(p.oid) AS result,
        coalesce((SELECT array_agg(n) FROM unnest(proargnames, proargmodes) AS a (n, m) WHERE m = 't'), '{}') AS told
        FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND prosecdef"""
    )
    told = {row["name"]: set(row["told"]) or {row["result"].removeprefix("SETOF ")} for row in found_}
    assert told == TOLD_ACROSS
    stranger = f"stranger_{uuid4().hex}"
    async with owner.transaction():
        await owner.execute(f"CREATE ROLE {stranger}")
        for row in found_:
            allowed = "SELECT has_function_privilege($1, $2::oid, 'EXECUTE')"
            assert await owner.fetchval(allowed, stranger, row["oid"]) is False
            assert await owner.fetchval(allowed, API_ROLE, row["oid"]) is True
        await owner.execute(f"DROP ROLE {stranger}")


async def test_g1_a_pooled_connection_forgets_its_organization(
    settings: Settings, pair: tuple[Company, Company]
) -> None:
    """One connection, used by one after the other: after a commit, a rollback, an error, and with nothing read."""
    database = Database(settings.database_url, pool_size=1)
    counts = {table: sa.text(f"SELECT count(*) FROM {table}") for table in [*TENANT_TABLES, "organizations"]}  # noqa: S608
    try:
        for ending in ("commit", "rollback", "error", "nothing"):
            async with database.session(pair[0].id) as session:
                if ending != "nothing":
                    assert await session.scalar(counts["contacts"]) > 0
                if ending == "error":
                    with pytest.raises(DBAPIError):
                        await session.execute(sa.text("SELECT 1 / 0"))
                elif ending != "nothing":
                    await getattr(session, ending)()
            async with database.engine.connect() as connection:
                assert [table for table, count in counts.items() if await connection.scalar(count)] == [], ending
            async with database.session(None) as session:
                assert [table for table, count in counts.items() if await session.scalar(count)] == [], ending
            async with database.session(pair[1].id) as session:
                assert await session.scalar(sa.text("SELECT id FROM organizations")) == pair[1].id
    finally:
        await database.close()
