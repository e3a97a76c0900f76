"""The executor, with a short way for what needs no resolver: the leaves of plain objects (speed.md).

Nine tenths of a list's fields are attributes. For one of those the general way builds a resolve info, wraps the
resolver, asks three times whether something is awaitable, and completes by type; the short way reads the attribute
and prints it. Whatever is not as expected takes the general way, which knows how to complain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    Undefined,
    is_enum_type,
    is_leaf_type,
    is_non_null_type,
    is_object_type,
)
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

_LEAF = "pytake-leaf"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field that is an attribute of the source: its name there, and how the value is printed."""

    attribute: str
    prints: Callable[[Any], Any]
    is_nullable: bool


class Executor(StrawberryGraphQLCoreExecutionContext):
    """For schemas that `mark_leaves` has seen, and without middleware."""

    def execute_field(
        self, parent_type: Any, source: Any, field_details_list: Any, path: Path, position_context: Any
    ) -> Any:
        definition = parent_type.fields.get(field_details_list[0].node.name.value)
        leaf: Leaf | None = definition and definition.extensions.get(_LEAF)
        if leaf is not None:
            try:
                value = getattr(source, leaf.attribute)
                printed = None if value is None else leaf.prints(value)
            except (GraphQLError, AttributeError, KeyError, TypeError, ValueError):
                printed = Undefined
            if printed is not Undefined and (printed is not None or (leaf.is_nullable and value is None)):
                return printed
        return super().execute_field(parent_type, source, field_details_list, path, position_context)


def mark_leaves(schema: GraphQLSchema) -> None:
    """Finds the fields that the short way serves, once."""
    for kind in schema.type_map.values():
        if is_object_type(kind) and not kind.name.startswith("__"):
            for definition in kind.fields.values():
                if (leaf := _leaf(definition)) is not None:
                    definition.extensions[_LEAF] = leaf


def _leaf(definition: GraphQLField) -> Leaf | None:
    field = definition.extensions.get("strawberry-definition")
    kind = definition.type
    is_nullable = not is_non_null_type(kind)
    bare: Any = kind if is_nullable else kind.of_type  # type: ignore[union-attr]
    if field is None or not field.is_basic_field or not is_leaf_type(bare):
        return None
    prints = bare.coerce_output_value
    if is_enum_type(bare) and hasattr(bare, "wrapped_cls"):
        prints = {member: prints(member) for member in bare.wrapped_cls}.__getitem__
    return Leaf(field.python_name, prints, is_nullable)
