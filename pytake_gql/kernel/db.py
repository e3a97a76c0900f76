"""The database: tenant tables, and sessions that cannot leave their organization (house.md §3).

Three locks, each of which holds alone: composite keys, the session's criterion below, and row-level security
with the value that `TenantConnection` sends along with BEGIN.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import AdaptedConnection, Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.orm.session import SessionTransaction
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection
from sqlmodel import Field, SQLModel

from pytake_gql.kernel import metrics, tasks
from pytake_gql.kernel.clock import AgreedClock
from pytake_gql.kernel.ids import uuid7

log = logging.getLogger(__name__)

API_ROLE = "pytake_api"
_TOO_BUSY = {"40001", "40P01", "55P03", "57014"}
"""Could not serialize, deadlock, lock not available, statement timeout."""
CLOCK_SECONDS = 10.0
"""How often an agreed clock is compared: a machine's may be set, or stand still while it is moved."""
DRIVER = "driver"
"""Under this a session keeps the driver's connection of its transaction (`kernel.frozen`)."""

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(sa.types.TypeDecorator[datetime]):
    """A `timestamptz`; naive datetimes are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime is no instant")
        return value


def text_enum(kind: type[Enum]) -> Any:
    """An enum stored as text, so that it may gain values without a migration."""
    return sa.Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=40,
        values_callable=lambda e: [m.value for m in e],
    )


class TenantModel(SQLModel):
    """A row of one organization: primary key (organization_id, id), the id a UUIDv7 made by the application."""

    organization_id: UUID = Field(default=None, primary_key=True)
    id: UUID = Field(default_factory=uuid7, primary_key=True)


def belongs_to(table: str, *columns: str, ondelete: str = "NO ACTION") -> sa.ForeignKeyConstraint:
    """A foreign key inside the organization: `columns` is the parent's id here (one column)."""
    return sa.ForeignKeyConstraint(
        ["organization_id", *columns], [f"{table}.organization_id", f"{table}.id"], ondelete=ondelete
    )


def within_organization() -> sa.ForeignKeyConstraint:
    """The foreign key of a tenant table that has no other tenant parent."""
    return sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], ondelete="CASCADE")


class TenancyViolation(Exception):
    """A programming fault: a row of one organization in a session of another."""


def unnested(**columns: tuple[sa.types.TypeEngine[Any], Sequence[Any]]) -> sa.TableValuedAlias:
    """Values from outside as a table, each column of a type: one statement writes any number of rows."""
    arrays = [sa.cast(list(values), ARRAY(kind)) for kind, values in columns.values()]
    heads = [sa.column(name, kind) for name, (kind, _) in columns.items()]
    return sa.func.unnest(*arrays).table_valued(*heads, name="given").render_derived()


class TenantConnection(asyncpg.Connection):
    """Sends the organization along with BEGIN, in the same round trip and for that transaction only.

    A session-level setting would leak to the pool's next user. The value is a parsed UUID, never text from
    outside, and it is spent by the BEGIN that it was set for.
    """

    organization_id: UUID | None = None
    keeps_plans = False

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
        if query.startswith("BEGIN") and self.organization_id is not None:
            query += f"; SET LOCAL app.organization_id = '{self.organization_id}'"
            if self.keeps_plans:
                query += "; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_sort = off"
            self.organization_id = None
        status: str = await super().execute(query, *args, timeout=timeout)
        return status


class TenantSession(Session):
    """Knows its organization, adds it to every ORM statement, stamps new rows and refuses another's."""


def _organization_of(entity: Any) -> Any:
    """The column to compare; SQLAlchemy also asks for the unmapped TenantModel, when it reads the criterion."""
    return getattr(entity, "organization_id", sa.column("organization_id", sa.Uuid()))


def confine(state: ORMExecuteState) -> None:
    """Add the session's criterion. Without an organization a session sees no tenant row at all.

    Text has no models to confine: it says the organization itself.
    """
    if state.is_insert or isinstance(state.statement, sa.TextClause | sa.TextualSelect):
        return
    info = state.session.info
    known = info.get("criterion")
    if known is None or known[0] != info["organization_id"]:
        known = info["criterion"] = (info["organization_id"], _criterion(info["organization_id"]))
    state.statement = state.statement.options(known[1])


ORGANIZATION = "of_organization"


def confined(statement: Any) -> Any:
    """The statement with a session's criterion, for whoever compiles it once: `ORGANIZATION` names the value."""
    organization = sa.bindparam(ORGANIZATION, type_=sa.Uuid())
    within = with_loader_criteria(
        TenantModel,
        lambda entity: _organization_of(entity) == organization,
        include_aliases=True,
        track_closure_variables=False,
    )
    return statement.options(within)


def _criterion(organization_id: UUID | None) -> ORMOption:
    if organization_id is None:
        return with_loader_criteria(TenantModel, lambda _: sa.false(), include_aliases=True)
    return with_loader_criteria(
        TenantModel, lambda entity: _organization_of(entity) == organization_id, include_aliases=True
    )


@event.listens_for(TenantSession, "before_flush")
def _stamp(session: Session, _context: Any, _instances: Any) -> None:
    organization_id = session.info["organization_id"]
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, TenantModel):
            if row.organization_id is None:  # the column is filled here, not by its maker
                row.organization_id = organization_id  # type: ignore[unreachable]
            if organization_id is None or row.organization_id != organization_id:
                raise TenancyViolation(f"{type(row).__name__} does not belong to the session's organization")


@event.listens_for(TenantSession, "after_begin")
def _announce(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if transaction.nested:  # a SAVEPOINT: BEGIN has been sent, and the next one is somebody else's
        return
    driver = connection.connection.driver_connection
    if isinstance(driver, TenantConnection):
        driver.organization_id = session.info["organization_id"]
        driver.keeps_plans = session.info["keeps_plans"]


@event.listens_for(TenantSession, "after_transaction_end")
def _let_go(session: Session, transaction: SessionTransaction) -> None:
    """The connection goes back to the pool, to be somebody else's."""
    if transaction.parent is None:
        session.info.pop(DRIVER, None)


event.listen(TenantSession, "do_orm_execute", confine)


class MeasuredPool(AsyncAdaptedQueuePool):
    """Tells how long a session waited for its connection."""

    def connect(self) -> PoolProxiedConnection:
        with metrics.pool_wait_seconds.time():
            return super().connect()


class Database:
    """The pool of one process. Connections take the role that owns nothing as a startup parameter."""

    def __init__(
        self, url: str, *, role: str = API_ROLE, pool_size: int = 20, statement_timeout_ms: int = 3000
    ) -> None:
        self.engine: AsyncEngine = create_async_engine(
            driver_url(url),
            poolclass=MeasuredPool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=False,
            json_serializer=lambda value: orjson.dumps(value, default=str).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                "connection_class": TenantConnection,
                "timeout": 5,
                "server_settings": {
                    "role": role,
                    "application_name": "pytake",
                    "statement_timeout": str(statement_timeout_ms),
                    "idle_in_transaction_session_timeout": "30000",
                },
            },
        )

    def session(self, organization_id: UUID | None, *, keeps_plans: bool = False) -> AsyncSession:
        """A session of one organization, or of none: that one reaches global tables only.

        With `keeps_plans` PostgreSQL plans a statement once a connection, not for each execution, and takes rows in an
        index's order where there is one. For transactions that read by key or in the order of an index and name the
        conditions of partial indexes literally: PostgreSQL guesses badly how many rows an unknown range holds, and
        would rather sort a backlog (E2).
        """
        return AsyncSession(
            self.engine,
            sync_session_class=TenantSession,
            expire_on_commit=False,
            info={"organization_id": organization_id, "keeps_plans": keeps_plans},
        )

    @asynccontextmanager
    async def telling(self, clock: AgreedClock) -> AsyncIterator[None]:
        """Keeps that clock right, from now on where the database is there, else from the first connection on."""

        @event.listens_for(self.engine.sync_engine, "connect")
        def compare(connection: AdaptedConnection, _record: Any) -> None:
            connection.run_async(lambda driver: _compare(driver, clock))

        await self._compare(clock)
        comparing = asyncio.create_task(self._keep_comparing(clock), name="clock")
        try:
            yield
        finally:
            await tasks.end([comparing])

    async def _keep_comparing(self, clock: AgreedClock) -> None:
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            await self._compare(clock)

    async def _compare(self, clock: AgreedClock) -> None:
        try:
            async with self.engine.connect() as connection:
                raw = await connection.get_raw_connection()
                await _compare(raw.driver_connection, clock)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("the clock was not compared, the next time is in %.0f s: %s", CLOCK_SECONDS, error)

    async def close(self) -> None:
        await self.engine.dispose()


async def _compare(driver: Any, clock: AgreedClock) -> None:
    asked_at = clock.own()
    shown = await driver.fetchval("SELECT clock_timestamp()")
    clock.hear(shown, asked_at, clock.own())


def was_too_busy(error: DBAPIError) -> bool:
    """Whether it waited too long for others, or lost a race with them: what was tried may be tried again."""
    return getattr(error.orig, "sqlstate", None) in _TOO_BUSY


def one_of(column: Any, ids: Collection[UUID]) -> sa.ColumnElement[bool]:
    """`IN`, with one parameter: the same statement for any number of ids."""
    is_one: sa.ColumnElement[bool] = column == sa.any_(sa.literal(list(ids), postgresql.ARRAY(sa.Uuid())))
    return is_one


def table_of(model: type[SQLModel]) -> Any:
    """The bare table of a model: the session's criterion does not know it, so the statement says the organization."""
    return sa.inspect(model).local_table


def driver_url(url: str) -> str:
    """The same address for SQLAlchemy's asyncpg dialect."""
    return sa.make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
