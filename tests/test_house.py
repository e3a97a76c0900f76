"""The walls of the house: what a reader may rely on everywhere, found by walking code, schema and database."""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import graphql
import orjson
import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

import pytake_gql.models
from pytake_gql import migration
from pytake_gql.kernel.db import API_ROLE
from pytake_gql.kernel.ports import Ports
from pytake_gql.schema import schema
from tests.conftest import PROJECT, Servers, _clone, _drop, database_named

assert pytake_gql.models  # the import fills the metadata

PACKAGE = PROJECT / "pytake_gql"
ENGINE_ROLE = "pytake_engine"
# Of accounts and mails, which belong to persons, and the tenant itself. Whatever else there is belongs to a tenant.
GLOBAL_TABLES = {
    "accounts",
    "discarded_files",
    "mails",
    "organizations",
    "password_resets",
    "refresh_tokens",
    "sessions",
}
TABLES = SQLModel.metadata.tables
TENANT_TABLES = sorted(set(TABLES) - GLOBAL_TABLES)
SDL = graphql.parse(schema.as_str())


# ------------------------------------------------------------------------------------------ the schema


def definitions() -> Iterator[graphql.TypeDefinitionNode]:
    for node in SDL.definitions:
        if isinstance(node, graphql.TypeDefinitionNode):
            yield node


def test_schema_graphql_is_fresh() -> None:
    assert (PROJECT / "schema.graphql").read_text() == f"{schema.as_str().strip()}\n", "write it with `pytake schema`"


def test_g2_every_root_field_names_who_may_call_it() -> None:
    roots = [node for node in definitions() if node.name.value in {"Query", "Mutation", "Subscription"}]
    assert len(roots) >= 2
    without = [
        f"{root.name.value}.{item.name.value}"
        for root in roots
        if isinstance(root, graphql.ObjectTypeDefinitionNode)
        for item in root.fields or ()
        if not any(directive.name.value == "auth" and directive.arguments for directive in item.directives or ())
    ]
    assert without == []


def test_every_type_and_every_field_has_a_description() -> None:
    without = []
    for node in definitions():
        if node.description is None:
            without.append(node.name.value)
        fields = getattr(node, "fields", ())
        without += [f"{node.name.value}.{item.name.value}" for item in fields if item.description is None]
    assert without == []


# ---------------------------------------------------------------------------------------- the database


@pytest.fixture(scope="module")
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_every_table_is_known_and_only_a_few_are_global(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in rows} == {*TENANT_TABLES, *GLOBAL_TABLES, "alembic_version"}


@pytest.mark.parametrize("name", TENANT_TABLES)
def test_a_tenant_tables_keys_begin_with_the_organization(name: str) -> None:
    table = TABLES[name]
    assert [column.name for column in table.primary_key.columns] == ["organization_id", "id"]
    parents = []
    for key in table.foreign_key_constraints:
        parent = key.referred_table.name
        pairs = [(element.parent.name, element.column.name) for element in key.elements]
        parents.append(parent)
        if parent == "organizations":
            assert pairs == [("organization_id", "id")]
        elif parent in TENANT_TABLES:
            assert pairs[0] == ("organization_id", "organization_id")
            assert [theirs for _, theirs in pairs] == ["organization_id", "id"]
        else:
            assert parent == "accounts"  # a member is a person
    assert "organizations" in parents


@pytest.mark.parametrize("name", TENANT_TABLES)
def test_a_tenant_tables_unique_keys_are_per_organization(name: str) -> None:
    table = TABLES[name]
    unique = [constraint.columns for constraint in table.constraints if isinstance(constraint, sa.UniqueConstraint)]
    unique += [index.columns for index in table.indexes if index.unique]
    across = [columns.keys() for columns in unique if "organization_id" not in columns]
    # What nobody can guess may be unique everywhere: it is looked up before the organization is known.
    assert [keys for keys in across if keys != ["token_hash"]] == []


@pytest.mark.parametrize("name", [*TENANT_TABLES, "organizations"])
async def test_g1_row_level_security_is_enabled_forced_and_says_the_organization(
    owner: asyncpg.Connection, name: str
) -> None:
    flags = await owner.fetchrow(
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1::text::regclass", name
    )
    assert flags is not None
    assert tuple(flags) == (True, True)
    policies = {
        row["policyname"]: row
        for row in await owner.fetch("SELECT * FROM pg_policies WHERE schemaname = 'public' AND tablename = $1", name)
    }
    tenant = policies.pop("tenant")
    column = "id" if name == "organizations" else "organization_id"
    current = "( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid AS \"nullif\")"
    rule = f"({column} = {current})"
    assert (tenant["permissive"], tenant["cmd"], tenant["roles"]) == ("PERMISSIVE", "ALL", ["public"])
    assert (tenant["qual"], tenant["with_check"]) == (rule, rule)
    engine = policies.pop("engine", None)
    assert engine is None or (engine["cmd"], engine["roles"]) == ("SELECT", [ENGINE_ROLE])
    assert policies == {}


@pytest.mark.parametrize("role", [API_ROLE, ENGINE_ROLE])
async def test_g1_the_roles_own_no_table_and_pass_no_lock(owner: asyncpg.Connection, role: str) -> None:
    powers = await owner.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = $1", role
    )
    assert powers is not None
    assert tuple(powers) == (False, False, False, False)
    assert await owner.fetch("SELECT relname FROM pg_class WHERE relowner = $1::text::regrole", role) == []
    assert await owner.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", role) is False


async def test_g1_the_application_connects_as_the_role_that_owns_nothing(ports: Ports) -> None:
    async with ports.database.session(None) as session:
        assert (await session.execute(sa.text("SELECT current_user"))).scalar_one() == API_ROLE


async def test_the_functions_that_work_across_organizations_are_the_narrow_roles(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT p.oid, proname, prosecdef, proowner::regrole::text AS owner, proconfig, "
        "has_function_privilege('public', p.oid, 'EXECUTE') AS is_public "
        "FROM pg_proc p WHERE pronamespace = 'public'::regnamespace ORDER BY proname"
    )
    assert rows
    for row in rows:
        assert row["proname"].startswith("engine_")
        assert (row["prosecdef"], row["owner"], row["is_public"]) == (True, ENGINE_ROLE, False)
        path, *planner = row["proconfig"]
        assert path == "search_path=public, pg_temp"
        assert set(planner) <= {
            *("enable_seqscan=off", "enable_bitmapscan=off", "enable_sort=off"),
            *("jit=off", "plan_cache_mode=force_generic_plan"),
        }


async def test_g23_the_application_can_neither_change_nor_remove_audit_entries(owner: asyncpg.Connection) -> None:
    granted = [
        privilege
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
        if await owner.fetchval("SELECT has_table_privilege($1, 'audit_entries', $2)", API_ROLE, privilege)
    ]
    assert granted == ["SELECT", "INSERT"]
    assert await owner.fetchval("SELECT has_any_column_privilege($1, 'audit_entries', 'UPDATE')", API_ROLE) is False


@pytest.fixture
def own_database(servers: Servers, template: str) -> Iterator[str]:
    name = f"house_{uuid4().hex}"
    asyncio.run(_clone(servers.database_url, name, template))
    yield database_named(servers.database_url, name)
    asyncio.run(_drop(servers.database_url, name))


async def _tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


def test_the_migrations_make_what_the_models_say_down_to_nothing_and_up_again(own_database: str) -> None:
    migration.check(own_database)
    migration.downgrade(own_database)
    assert asyncio.run(_tables(own_database)) == {"alembic_version"}
    migration.upgrade(own_database)
    migration.check(own_database)
    assert asyncio.run(_tables(own_database)) == {*TENANT_TABLES, *GLOBAL_TABLES, "alembic_version"}


# -------------------------------------------------------------------------------------------- the code


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text())


def test_no_import_stands_inside_a_function() -> None:
    inside = [
        f"{name}:{found.lineno}"
        for name, tree in modules()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for found in ast.walk(function)
        if isinstance(found, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def test_bootstrap_alone_reads_the_environment() -> None:
    readers = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
    }
    assert readers == {"bootstrap.py"}


def spoken(text: ast.expr, module: ast.Module) -> set[str] | None:
    """The texts that an expression may be: a literal, one of two, or a name that is given literals; else None."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return {text.value}
    if isinstance(text, ast.IfExp):
        both = spoken(text.body, module), spoken(text.orelse, module)
        return both[0] | both[1] if both[0] is not None and both[1] is not None else None
    if isinstance(text, ast.Name):
        given = [spoken(value, module) for value in given_to(text.id, module)]
        return set().union(*(texts for texts in given if texts is not None)) if given and None not in given else None
    return None


def given_to(name: str, module: ast.Module) -> Iterator[ast.expr]:
    """What the module assigns to a name, also in a loop over a literal table."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and name in {getattr(target, "id", None) for target in node.targets}:
            yield node.value
        if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple) and isinstance(node.iter, ast.Tuple):
            names = [getattr(target, "id", None) for target in node.target.elts]
            if name in names:
                yield from (row.elts[names.index(name)] for row in node.iter.elts if isinstance(row, ast.Tuple))


CARRIERS = ("findings", "faults")
"""Of flows: tests/automation/flows/test_settings.py looks at what pydantic and they say."""


def templates() -> Iterator[tuple[str, set[str] | None]]:
    """Every text for end users: where it is raised, and what it may be."""
    for name, tree in modules():
        if name in {"kernel/errors.py", "kernel/translation.py", *(f"automation/flows/{it}.py" for it in CARRIERS)}:
            continue  # they carry what others raise
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call):
                continue
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            of_code = bool(call.args) and "UserErrorCode" in ast.dump(call.args[0])
            if called in {"refuse", "Problem", "blame", "warn"} or (called == "add" and of_code):
                yield f"{name}:{call.lineno}", spoken(call.args[1], tree)
            elif called == "Breach" or (called == "translate" and ast.dump(call.args[0]) != "Constant(value=None)"):
                yield f"{name}:{call.lineno}", spoken(call.args[0], tree)


def test_texts_for_end_users_stand_where_they_are_raised() -> None:
    assert [where for where, texts in templates() if texts is None] == []


def test_the_portuguese_catalogue_holds_every_text() -> None:
    catalogue = orjson.loads((PACKAGE / "translations" / "pt-BR.json").read_bytes())
    used = {"Nothing was found by this id."}.union(*(texts for _, texts in templates() if texts))
    assert sorted(used - set(catalogue)) == []


def test_every_file_is_short_enough_to_be_read() -> None:
    long = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(Path(path).read_text().splitlines())) > 330
    }
    assert long == {}
