"""What an operation costs (G16): the sum over its fields of the products of the page sizes along their paths.

So the cost is the number of fields that the answer can have. Measured, a field costs about 12 µs of CPU through
the stock executor: the largest budget is a quarter of a second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_list_type,
)

from pytake_gql.kernel.graphql.limits import INTROSPECTION, Measurement
from pytake_gql.kernel.pagination import DEFAULT_PAGE, LARGEST_PAGE
from pytake_gql.kernel.principal import MemberPrincipal, Principal, Role, VisitorPrincipal

PLAIN_LIST = 5
"""What a list without pages counts: a conversation's tags, a member's queues. Most hold fewer, none above 500."""

BUDGETS: Mapping[Role, int] = {
    # A page of 100 conversations with contact, assignee, tags and last message is about 10,000.
    Role.VIEWER: 15_000,
    Role.AGENT: 15_000,
    # Settings pages read more kinds of things at once.
    Role.ORG_ADMIN: 20_000,
    # Platform lists: no more, for the reason above.
    Role.SUPER_ADMIN: 20_000,
}
VISITOR_BUDGET = 6_000
"""The chat with its last 100 messages, attachments and options is about 5,000."""
ANONYMOUS_BUDGET = 500
"""Signing in, an invitation, a visit: a session with its member is about 30, a new visit with a page of chat 400."""

_MOST_KEPT = 64


def budget(principal: Principal) -> int:
    if isinstance(principal, MemberPrincipal):
        return BUDGETS[principal.role]
    return VISITOR_BUDGET if isinstance(principal, VisitorPrincipal) else ANONYMOUS_BUDGET


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str


_Argument: TypeAlias = int | _Variable | None


@dataclass(frozen=True, slots=True)
class _Pages:
    """The size of a page: `first` or `last`, whichever is given."""

    first: _Argument
    last: _Argument

    def size(self, variables: Mapping[str, Any]) -> int:
        given = [
            variables.get(argument.name) if isinstance(argument, _Variable) else argument
            for argument in (self.first, self.last)
        ]
        return max((_clamp(value) for value in given if value is not None), default=DEFAULT_PAGE)


@dataclass(frozen=True, slots=True)
class _Part:
    """A selection set: how many leaves, which fields with what size, and the fragments that it spreads."""

    leaves: int
    fields: tuple[tuple[int | _Pages, "_Part"], ...]
    spreads: tuple[str, ...]


def _clamp(value: object) -> int:
    """Sizes outside of 1 to 100 are refused where pages are read; here they count as the nearest."""
    return min(max(value, 1), LARGEST_PAGE) if isinstance(value, int) else LARGEST_PAGE


class Pricing:
    """Compiles the operations of one valid document into functions from variables to cost."""

    def __init__(self, schema: GraphQLSchema, measured: Measurement) -> None:
        self._schema = schema
        self._parts = {
            name: self._part(fragment.selection_set, schema.type_map.get(fragment.type_condition.name.value))
            for name, fragment in measured.fragments.items()
        }

    def price(self, operation: OperationDefinitionNode) -> Callable[[Mapping[str, Any]], int]:
        part = self._part(operation.selection_set, self._schema.get_root_type(operation.operation))
        defaults = {
            definition.variable.name.value: _literal(definition.default_value)
            for definition in operation.variable_definitions or ()
            if definition.default_value is not None
        }
        names = sorted(self._page_variables(part, set()))
        known: dict[tuple[Any, ...], int] = {}

        def cost(variables: Mapping[str, Any]) -> int:
            given = {name: variables.get(name, defaults.get(name)) for name in names}
            key = tuple(None if value is None else _clamp(value) for value in given.values())
            if key not in known:
                if len(known) >= _MOST_KEPT:
                    known.clear()
                known[key] = self._cost(part, given, {})
            return known[key]

        return cost

    def _part(self, selections: SelectionSetNode, parent: GraphQLNamedType | None) -> _Part:
        leaves, fields, spreads = 0, list[tuple[int | _Pages, _Part]](), list[str]()
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                spreads.append(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._part(
                    selection.selection_set, self._schema.type_map.get(condition.name.value) if condition else parent
                )
                leaves += inner.leaves
                fields += inner.fields
                spreads += inner.spreads
            elif isinstance(selection, FieldNode):
                if selection.selection_set is None or selection.name.value in INTROSPECTION:
                    leaves += 1
                else:
                    fields.append(self._field(selection, parent))
        return _Part(leaves, tuple(fields), tuple(spreads))

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> tuple[int | _Pages, _Part]:
        definition = getattr(parent, "fields", {})[node.name.value]
        named = get_named_type(definition.type)
        assert node.selection_set is not None  # noqa: S101 - leaves do not come here
        inner = self._part(node.selection_set, named)
        if named.name.endswith("Connection"):
            arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
            return _Pages(_literal(arguments.get("first")), _literal(arguments.get("last"))), inner
        bare = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
        # The lists of a connection are its page, which counts already.
        is_plain_list = is_list_type(bare) and not (parent and parent.name.endswith("Connection"))
        return (PLAIN_LIST if is_plain_list else 1), inner

    def _cost(self, part: _Part, variables: Mapping[str, Any], known: dict[str, int]) -> int:
        total = part.leaves
        for size, inner in part.fields:
            count = size.size(variables) if isinstance(size, _Pages) else size
            total += 1 + count * self._cost(inner, variables, known)
        for name in part.spreads:
            if name not in known:
                known[name] = self._cost(self._parts[name], variables, known)
            total += known[name]
        return total

    def _page_variables(self, part: _Part, seen: set[str]) -> set[str]:
        found: set[str] = set()
        for size, inner in part.fields:
            if isinstance(size, _Pages):
                found |= {argument.name for argument in (size.first, size.last) if isinstance(argument, _Variable)}
            found |= self._page_variables(inner, seen)
        for name in part.spreads:
            if name not in seen:
                seen.add(name)
                found |= self._page_variables(self._parts[name], seen)
        return found


def _literal(value: ValueNode | None) -> _Argument:
    if isinstance(value, VariableNode):
        return _Variable(value.name.value)
    if isinstance(value, IntValueNode):
        # Longer ones are out of range anyway, and Python reads at most 4,300 digits.
        return int(value.value) if len(value.value) <= 6 else LARGEST_PAGE  # noqa: PLR2004
    return None if value is None or isinstance(value, NullValueNode) else LARGEST_PAGE
