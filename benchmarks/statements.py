"""The product's own statements as a script of pgbench: what it sends, with its parameters written out."""

import re
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

_NAMED: sa.Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy has it so
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


class Written(str):
    """SQL that stands for a value, such as one that a client of pgbench makes."""

    __slots__ = ()


def rendered(statement: sa.ClauseElement, **parameters: Any) -> str:
    compiled: Any = statement.compile(dialect=_NAMED)
    values = {**compiled.params, **parameters}
    text: str = compiled.string
    return _PARAMETER.sub(lambda match: _literal(values[match[1]]), text)


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
