"""The product's own statements as a script of pgbench: what it sends, with its parameters written out."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from asyncpg.connection import LoggedQuery
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine

_NAMED: sa.Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy has it so
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
_INTROSPECTION = re.compile(r"pg_catalog|'jit'")
_NUMBERED = re.compile(r"\$(\d+)")


class Written(str):
    """SQL that stands for a value, such as one that a client of pgbench makes."""

    __slots__ = ()


def rendered(statement: sa.ClauseElement, **parameters: Any) -> str:
    compiled: Any = statement.compile(dialect=_NAMED)
    values = {**compiled.params, **parameters}
    text: str = compiled.string
    return _PARAMETER.sub(lambda match: _literal(values[match[1]]), text)


@asynccontextmanager
async def recorded(engine: AsyncEngine) -> AsyncIterator[list[LoggedQuery]]:
    """What the block sends to PostgreSQL, in order; without what the driver asks once to know a type."""
    sent: list[LoggedQuery] = []
    connections: list[Any] = []

    def hear(statement: LoggedQuery) -> None:
        if not _INTROSPECTION.search(statement.query):
            sent.append(statement)

    def listen(_: Any, record: Any, __: Any) -> None:
        connections.append(record.driver_connection)
        record.driver_connection.add_query_logger(hear)

    event.listen(engine.sync_engine, "checkout", listen)
    try:
        yield sent
        await asyncio.sleep(0)  # the driver tells it a little later
    finally:
        event.remove(engine.sync_engine, "checkout", listen)
        for connection in connections:
            connection.remove_query_logger(hear)


def replayed(sent: LoggedQuery, varying: Mapping[UUID, Written]) -> str:
    """A statement of the driver's with its parameters written out, those values in the place of the ids named."""
    values = [_varied(value, varying) for value in sent.args or ()]
    return _NUMBERED.sub(lambda match: _literal(values[int(match[1]) - 1]), sent.query)


def _varied(value: Any, varying: Mapping[UUID, Written]) -> Any:
    if isinstance(value, UUID):
        return varying.get(value, value)
    if isinstance(value, list):
        return [_varied(it, varying) for it in value]
    if isinstance(value, str) and value.startswith("[{"):
        return _rows(value, varying)
    return value


def _rows(text: str, varying: Mapping[UUID, Written]) -> Written:
    """Rows of a log, each with an id of its own."""
    named = {str(id_): sql for id_, sql in varying.items()}
    named |= {row["id"]: Written("gen_random_uuid()") for row in orjson.loads(text)}
    written = _literal(text.replace('":', '": '))  # pgbench would take `:null` for a variable
    for id_, sql in named.items():
        if id_ in text:
            written = f"replace({written}, '{id_}', ({sql})::text)"
    return Written(written)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Written | int):
        return str(value)
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]"
    typed = {UUID: "uuid", datetime: "timestamptz", timedelta: "interval"}.get(type(value))
    text = f"'{value.value if isinstance(value, Enum) else value}'"
    return f"{text}::{typed}" if typed else text
