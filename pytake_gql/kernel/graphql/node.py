"""`node(id)`: whatever an id leads to, for those who may see it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

import strawberry

from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.types import interface_type, object_type
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.principal import Role


@interface_type
class Node:
    """Anything with an id of its own."""

    id: strawberry.ID
    """Opaque, unique across all types."""


def inner_id(of: Node) -> UUID:
    """The id inside, of an object that a resolver made."""
    return UUID(of.id.rpartition("_")[2])


Finder: TypeAlias = Callable[[Info, UUID], Awaitable[Any]]

_finders: dict[str, Finder] = {}


def finds(type_name: str) -> Callable[[Finder], Finder]:
    """Registers how `node` finds an object of this type: None for what the caller may not see."""

    def register(finder: Finder) -> Finder:
        _finders[type_name] = finder
        return finder

    return register


async def find(info: Info, type_name: str, id_: str) -> Any:
    """The object of that type which the id leads to, or None."""
    parsed = parse_global_id(id_)
    if parsed is None or parsed[0] != type_name:
        return None
    return await _finders[type_name](info, parsed[1])


@object_type
class NodeQuery:
    @query(Role.VIEWER, visitor=True)
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        """Whatever an id leads to, for those who may see it."""
        parsed = parse_global_id(id)
        finder = _finders.get(parsed[0]) if parsed else None
        found: Node | None = await finder(info, parsed[1]) if parsed and finder else None
        return found
