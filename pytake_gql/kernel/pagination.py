"""Keyset pagination: pages that neither repeat nor lose a row while others write (contract.graphql)."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.kernel.errors import BadUserInput

T = TypeVar("T")
U = TypeVar("U")

DEFAULT_PAGE = 25
LARGEST_PAGE = 100


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted: `limit` rows after (or, backward, before) a cursor."""

    limit: int
    cursor: str | None = None
    is_backward: bool = False


def window(
    first: int | None = None, after: str | None = None, last: int | None = None, before: str | None = None
) -> Window:
    """Reads Relay's arguments; a page over 100 is an error, not a silent cut."""
    if (first is not None or after is not None) and (last is not None or before is not None):
        raise BadUserInput("Page either forward (first, after) or backward (last, before), not both.")
    is_backward = last is not None or before is not None
    limit = last if is_backward else first
    limit = DEFAULT_PAGE if limit is None else limit
    if not 0 <= limit <= LARGEST_PAGE:
        raise BadUserInput(f"A page has 0 to {LARGEST_PAGE} items, not {limit}.")
    return Window(limit, before if is_backward else after, is_backward)


@dataclass(frozen=True, slots=True)
class Key:
    """A column (or expression) of the order, never null. The last key of an order is unique."""

    expression: Any
    is_descending: bool = False


@dataclass(slots=True)
class Page(Generic[T]):
    """`items` in the list's order, with a cursor each."""

    items: list[T]
    cursors: list[str] = field(default_factory=list)
    has_next: bool = False
    has_previous: bool = False

    def map(self, wrap: Callable[[T], U]) -> "Page[U]":
        return Page([wrap(item) for item in self.items], self.cursors, self.has_next, self.has_previous)


async def fetch_page(session: AsyncSession, statement: "sa.Select[T]", order: Sequence[Key], wanted: Window) -> Page[T]:
    """One page of a statement that selects one entity, or raises `BadUserInput` for a cursor of another list."""
    page = await fetch_rows(session, statement, order, wanted)
    return page.map(lambda row: row[0])


async def fetch_rows(
    session: AsyncSession, statement: "sa.Select[Any]", order: Sequence[Key], wanted: Window
) -> Page[Any]:
    """Like `fetch_page`, for statements that select several columns: the items are rows."""
    if wanted.limit == 0:
        return Page([])
    width = len(order)
    if wanted.cursor is not None:
        statement = statement.where(_beyond(order, _decode(wanted.cursor, width), wanted.is_backward))
    statement = (
        statement.add_columns(*(key.expression.label(f"key_{i}") for i, key in enumerate(order)))
        .order_by(*(_direction(key, wanted.is_backward) for key in order))
        .limit(wanted.limit + 1)
    )
    rows = list(await session.execute(statement))
    more = len(rows) > wanted.limit
    del rows[wanted.limit :]
    if wanted.is_backward:
        rows.reverse()
    return Page(
        items=rows,
        cursors=[_encode(row[-width:]) for row in rows],
        has_next=wanted.cursor is not None if wanted.is_backward else more,
        has_previous=more if wanted.is_backward else wanted.cursor is not None,
    )


def _direction(key: Key, is_backward: bool) -> Any:
    return key.expression.desc() if key.is_descending != is_backward else key.expression.asc()


def _beyond(order: Sequence[Key], values: Sequence[Any], is_backward: bool) -> Any:
    """The rows after the cursor's: a row comparison where all keys run one way, so that the index serves it."""
    down = [key.is_descending != is_backward for key in order]
    bound = [sa.literal(value, key.expression.type) for key, value in zip(order, values, strict=True)]
    if len(set(down)) == 1:
        left, right = sa.tuple_(*(key.expression for key in order)), sa.tuple_(*bound)
        return left < right if down[0] else left > right
    alternatives = []
    for position, key in enumerate(order):
        equal = [order[i].expression == bound[i] for i in range(position)]
        step = key.expression < bound[position] if down[position] else key.expression > bound[position]
        alternatives.append(sa.and_(*equal, step))
    return sa.or_(*alternatives)


def _encode(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([_write(value) for value in values])).decode().rstrip("=")


def _write(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, UUID):
        return {"u": value.hex}
    return value


def _decode(cursor: str, width: int) -> list[Any]:
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        read = [_read(value) for _, value in zip(range(width), values, strict=True)]
    except (ValueError, TypeError, KeyError, binascii.Error, OverflowError) as error:
        raise BadUserInput("The cursor does not belong to this list.") from error
    return read


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["t"]) if "t" in value else UUID(value["u"])
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    raise TypeError("no cursor holds this")
