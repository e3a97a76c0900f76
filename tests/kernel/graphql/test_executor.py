"""The short way of plain leaves answers as the general way does, its complaints included."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from pytake_gql.kernel.graphql.executor import Executor, mark_leaves
from pytake_gql.kernel.graphql.scalars import SCALARS
from pytake_gql.kernel.graphql.types import enum_type, object_type

DOCUMENT = "{ thing { text number flag at color maybe renamed: text other { text } } }"


@enum_type
class Color(Enum):
    """Written otherwise than named."""

    RED = "r"
    BLUE = "b"


@object_type
class Thing:
    """All kinds of leaves."""

    text: str
    number: int
    flag: bool
    at: datetime
    color: Color
    maybe: Color | None
    other: "Thing | None" = None


def _schemas(thing: object) -> tuple[strawberry.Schema, strawberry.Schema]:
    """The same schema with the general way only, and with the short way."""

    @strawberry.type
    class Query:
        @strawberry.field
        def thing(self) -> Thing | None:
            return thing  # type: ignore[return-value]

    config = StrawberryConfig(scalar_map=SCALARS)
    short = strawberry.Schema(Query, config=config, execution_context_class=Executor)
    mark_leaves(short._schema)
    return strawberry.Schema(Query, config=config), short


def _thing(**values: Any) -> Thing:
    usual = {"text": "Olá", "number": 7, "flag": False, "at": datetime(2026, 1, 5, tzinfo=UTC), "color": Color.BLUE}
    return Thing(**{**usual, "maybe": None, **values})


def test_plain_leaves_are_printed() -> None:
    _, short = _schemas(_thing(maybe=Color.RED, other=_thing(text="")))
    assert short.execute_sync(DOCUMENT).data == {
        "thing": {
            "text": "Olá",
            "number": 7,
            "flag": False,
            "at": "2026-01-05T00:00:00Z",
            "color": "BLUE",
            "maybe": "RED",
            "renamed": "Olá",
            "other": {"text": ""},
        }
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": None},
        {"number": 2**31},
        {"number": "seven"},
        {"flag": "no"},
        {"at": "tomorrow"},
        {"color": None},
        {"color": "green"},
        {"maybe": "green"},
        {"maybe": []},
    ],
)
def test_what_cannot_be_printed_is_told_as_the_general_way_tells_it(wrong: dict[str, Any]) -> None:
    general, short = (schema.execute_sync(DOCUMENT) for schema in _schemas(_thing(**wrong)))
    assert short.errors
    assert general.errors
    assert [error.formatted for error in short.errors] == [error.formatted for error in general.errors]
    assert short.data == general.data
