"""How large a document may be (G16): measured on the parsed text, before validation and before execution.

Every definition is walked once and fragments are summed up, not spread out, so that a bomb of spreads costs no
more than its own text. Only what is known to be small is spread out.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
)

from pytake_gql.kernel.errors import BadUserInput, CodedError, QueryTooComplex

CHARACTERS = 60_000
"""Of a document: what a websocket frame holds beside its variables, where long values belong."""
TOKENS = 2_000
COMMENTS = 1_000
DEPTH = 12
ALIASES = 30
ROOT_FIELDS = 20
DIRECTIVES = 20
ERRORS = 5
MESSAGE = 500
"""Characters of an error's message: graphql-core repeats the value that it complains about."""
VALUE_DEPTH = 32
"""Of literals: as deep as the JSON of variables may be."""
SELECTIONS = 5_000
"""Fields and spreads after spreading fragments out, in all operations together; real documents have hundreds."""
PAIRS = 10_000
"""Of fields that share a response name in one place: validation compares each pair, at 10 µs."""
LEVELS = 60
"""Of selection sets and fragments inside one another: twelve fields, each behind a few fragments."""

INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over a selection set with its fragments spread out."""

    selections: int = 0
    roots: int = 0
    aliases: int = 0
    directives: int = 0
    depth: int = 0
    levels: int = 0
    introspects: bool = False


class Measurement:
    """Of one document; raises `BadUserInput` or `QueryTooComplex` for one that is over a limit.

    `visited` counts the nodes that were looked at.
    """

    def __init__(self, document: DocumentNode) -> None:
        self.visited = 0
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        self._tallies: dict[str, Tally] = {}
        self._open: list[str] = []
        self.tallies = [self._of_operation(operation) for operation in self.operations]
        self._refuse_unused()
        _at_most(SELECTIONS, sum(tally.selections for tally in self.tallies), "selections, with fragments spread out")
        pairs = sum(self._pairs([operation.selection_set]) for operation in self.operations)
        _at_most(PAIRS, pairs, "pairs of fields with one response name")

    def _of_operation(self, operation: OperationDefinitionNode) -> Tally:
        tally = self._of(operation.selection_set, 1)
        own = len(operation.directives or ())
        for variable in operation.variable_definitions or ():
            own += len(variable.directives or ())
            if variable.default_value is not None:
                self._check_value(variable.default_value)
        _at_most(ROOT_FIELDS, tally.roots, "root fields")
        _at_most(DEPTH, tally.depth, "levels of fields")
        _at_most(ALIASES, tally.aliases, "aliases")
        _at_most(DIRECTIVES, tally.directives + own, "directives")
        return tally

    def _of(self, selections: SelectionSetNode, level: int) -> Tally:
        _at_most(LEVELS, level, "levels of selections")
        total = Tally(levels=1)
        for selection in selections.selections:
            self.visited += 1
            directives = len(selection.directives or ())
            self._check_arguments(selection.directives or ())
            if isinstance(selection, FieldNode):
                self._check_arguments([selection])
                part = self._of_field(selection, level)
            elif isinstance(selection, FragmentSpreadNode):
                inner = self._of_fragment(selection.name.value, level)
                part = replace(inner, selections=inner.selections + 1)
            else:
                part = self._of(selection.selection_set, level + 1)  # type: ignore[attr-defined]
            total = Tally(
                selections=total.selections + part.selections,
                roots=total.roots + part.roots,
                aliases=total.aliases + part.aliases,
                directives=total.directives + part.directives + directives,
                depth=max(total.depth, part.depth),
                levels=max(total.levels, part.levels + 1),
                introspects=total.introspects or part.introspects,
            )
        _at_most(LEVELS, total.levels + level - 1, "levels of selections")
        return total

    def _of_field(self, node: FieldNode, level: int) -> Tally:
        inner = self._of(node.selection_set, level + 1) if node.selection_set else Tally()
        introspects = node.name.value in INTROSPECTION
        return Tally(
            selections=inner.selections + 1,
            roots=1,
            aliases=inner.aliases + (node.alias is not None),
            directives=inner.directives,
            # Introspection goes deep by nature. It is for development, and bounded by the other limits.
            depth=1 if introspects else inner.depth + 1,
            levels=inner.levels,
            introspects=introspects or inner.introspects,
        )

    def _of_fragment(self, name: str, level: int) -> Tally:
        if name in self._open:
            raise BadUserInput(f"Cannot spread fragment {_short(name)} within itself.")
        fragment = self.fragments.get(name)
        if fragment is None:
            return Tally()  # validation says it
        if name not in self._tallies:
            self._open.append(name)
            tally = self._of(fragment.selection_set, level + 1)
            self._open.pop()
            own = len(fragment.directives or ())
            self._tallies[name] = replace(tally, directives=tally.directives + own)
        return self._tallies[name]

    def _refuse_unused(self) -> None:
        """Nobody has measured an unused fragment, and validation would only walk it to say so."""
        for name in self.fragments:
            if name not in self._tallies:
                raise BadUserInput(f"Fragment {_short(name)} is never used.")

    def _check_arguments(self, nodes: Iterable[object]) -> None:
        for node in nodes:
            for argument in getattr(node, "arguments", None) or ():
                self._check_value(argument.value)

    def _check_value(self, value: ValueNode) -> None:
        open_: list[tuple[ValueNode, int]] = [(value, 0)]
        while open_:
            node, depth = open_.pop()
            self.visited += 1
            inner: Iterable[ValueNode] = ()
            if isinstance(node, ListValueNode):
                inner = node.values
            elif isinstance(node, ObjectValueNode):
                inner = (field.value for field in node.fields)
            else:
                continue
            _at_most(VALUE_DEPTH, depth + 1, "levels of values")
            open_ += [(item, depth + 1) for item in inner]

    def _pairs(self, sets: list[SelectionSetNode]) -> int:
        """How many pairs of fields meet in one place under one name; walks the spread-out document, which is small."""
        places: defaultdict[str, int] = defaultdict(int)
        below: defaultdict[str, list[SelectionSetNode]] = defaultdict(list)
        open_ = list(sets)
        while open_:
            for selection in open_.pop().selections:
                self.visited += 1
                if isinstance(selection, FieldNode):
                    name = (selection.alias or selection.name).value
                    places[name] += 1
                    if selection.selection_set:
                        below[name].append(selection.selection_set)
                elif isinstance(selection, FragmentSpreadNode):
                    fragment = self.fragments.get(selection.name.value)
                    if fragment is not None:
                        open_.append(fragment.selection_set)
                else:
                    open_.append(selection.selection_set)  # type: ignore[attr-defined]
        pairs = sum(count * (count - 1) // 2 for count in places.values())
        return pairs + sum(self._pairs(inner) for inner in below.values())


def _at_most(limit: int, found: int, things: str) -> None:
    if found > limit:
        raise QueryTooComplex(f"The document has more than {limit} {things}.")


def _short(name: str) -> str:
    return f'"{name[:80]}"'


def check_length(text: str) -> None:
    if len(text) > CHARACTERS:
        raise QueryTooComplex(f"The document has more than {CHARACTERS} characters; values belong in variables.")


def read_limit(message: str) -> CodedError:
    """What the parser said: over a limit, or no GraphQL at all."""
    if any(sign in message for sign in ("Document contains more than", "Document is nested too deeply")):
        return QueryTooComplex(message)
    return BadUserInput(message)


def root_names(operation: OperationDefinitionNode, document: DocumentNode) -> list[str]:
    """The names of the operation's root fields, each once; for documents within the limits."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    names: dict[str, None] = {}
    open_ = [operation.selection_set]
    while open_:
        for selection in open_.pop().selections:
            if isinstance(selection, FieldNode):
                names[selection.name.value] = None
            elif isinstance(selection, FragmentSpreadNode):
                open_.append(fragments[selection.name.value].selection_set)
            else:
                open_.append(selection.selection_set)  # type: ignore[attr-defined]
    return list(names)
