"""Selections that show all there is: every leaf, and every object some levels down."""

import functools
from typing import Any

import graphql
from graphql import get_named_type, get_nullable_type, is_leaf_type

LEVELS = 2
PAGE = 5
"""As many as a company of the tests has of most things, and cheap enough for everybody's budget."""


@functools.cache
def selection(schema: graphql.GraphQLSchema, type_: Any, levels: int = LEVELS) -> str:
    """The selection set of the type; empty for a leaf."""
    if is_leaf_type(type_):
        return ""
    if levels < 0:
        return "{ __typename }"
    if isinstance(type_, graphql.GraphQLUnionType | graphql.GraphQLInterfaceType):
        shared = _fields(schema, type_, levels) if isinstance(type_, graphql.GraphQLInterfaceType) else ""
        known = set(type_.fields) if isinstance(type_, graphql.GraphQLInterfaceType) else set()
        parts = (
            f"... on {possible.name} {{ __typename {_fields(schema, possible, levels, besides=known)} }}"
            for possible in schema.get_possible_types(type_)
        )
        return f"{{ __typename {shared} {' '.join(parts)} }}"
    return f"{{ __typename {_fields(schema, type_, levels)} }}"


def _fields(schema: graphql.GraphQLSchema, type_: Any, levels: int, *, besides: set[str] = frozenset()) -> str:  # type: ignore[assignment]
    chosen = []
    is_connection = type_.name.endswith("Connection")
    is_wrapper = type_.name.endswith(("Payload", "Edge")) or is_connection
    for name, definition in type_.fields.items():
        named = get_named_type(definition.type)
        if name in besides or (is_connection and name == "edges"):
            continue
        if is_leaf_type(named):
            chosen.append(name)
        elif levels > 0:
            # What only wraps costs no level, and neither does a connection.
            below = levels if is_wrapper and levels == LEVELS else levels - 1
            if get_nullable_type(named).name.endswith("Connection") and not is_wrapper:
                below = max(below, 1)
            chosen.append(f"{name}{_arguments(definition)} {selection(schema, named, below)}")
    return " ".join(chosen)


def _arguments(definition: graphql.GraphQLField) -> str:
    """A page of a connection, and the first of what is numbered."""
    if "first" in definition.args:
        return f"(first: {PAGE})"
    return "(number: 1)" if "number" in definition.args else ""
