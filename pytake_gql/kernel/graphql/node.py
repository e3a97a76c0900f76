"""`node(id)`: whatever an id leads to, for those who may see it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import strawberry

from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.types import interface_type, object_type
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.principal import MemberPrincipal, Principal, Role, VisitorPrincipal


@interface_type
class Node:
    """Anything with an id of its own."""

    id: strawberry.ID
    """Opaque, unique across all types."""


Finder: TypeAlias = Callable[[Info, UUID], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Kind:
    finder: Finder
    role: Role
    is_for_visitors: bool

    def serves(self, principal: Principal) -> bool:
        if isinstance(principal, VisitorPrincipal):
            return self.is_for_visitors
        return isinstance(principal, MemberPrincipal) and principal.role.serves(self.role)


_kinds: dict[str, _Kind] = {}


def finds(type_name: str, role: Role = Role.VIEWER, *, is_for_visitors: bool = False) -> Callable[[Finder], Finder]:
    """Registers how `node` finds an object of this type: None for what the caller may not see.

    `node` asks for members of that role and above only; for a visitor where the type is made for visitors.
    """

    def register(finder: Finder) -> Finder:
        _kinds[type_name] = _Kind(finder, role, is_for_visitors)
        return finder

    return register


async def find(info: Info, type_name: str, id_: str) -> Any:
    """The object of that type which the id leads to, or None."""
    parsed = parse_global_id(id_)
    if parsed is None or parsed[0] != type_name:
        return None
    return await _kinds[type_name].finder(info, parsed[1])


@object_type
class NodeQuery:
    @query(Role.VIEWER, visitor=True)
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        """Whatever an id leads to, for those who may see it."""
        parsed = parse_global_id(id)
        kind = _kinds.get(parsed[0]) if parsed else None
        if parsed is None or kind is None or not kind.serves(info.context.principal):
            return None
        found: Node | None = await kind.finder(info, parsed[1])
        return found
