"""Documents as they are sent again and again: parsed, measured and validated once, then found by their text."""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from pytake_gql.kernel.errors import BadUserInput, CodedError
from pytake_gql.kernel.graphql import limits
from pytake_gql.kernel.graphql.access import EXECUTION_SECONDS, Access
from pytake_gql.kernel.graphql.costs import Pricing
from pytake_gql.kernel.graphql.limits import Measurement, Tally
from pytake_gql.kernel.graphql.operation import Operation

RULES: tuple[type[ASTValidationRule], ...] = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)

_DEFINED_AND_USED = 2
_BYTES_A_TOKEN = 500
"""Of a syntax tree with its tokens, measured."""


@dataclass(frozen=True, slots=True)
class Document:
    """Either the operations by name, or what is wrong with it."""

    size: int
    errors: tuple[GraphQLError, ...] = ()
    operations: Mapping[str | None, Operation] = field(default_factory=dict)

    def operation(self, name: str | None) -> Operation:
        """The one to run; raises `BadUserInput` where the name leads to none, or is needed and missing."""
        if not name:
            if len(self.operations) != 1:
                raise BadUserInput("The document has not exactly one operation: name one in operationName.")
            return next(iter(self.operations.values()))
        found = self.operations.get(name)
        if found is None:
            raise BadUserInput(f'The document has no operation named "{name[:80]}".')
        return found


class Documents:
    """The cache of one schema: least recently used, bounded by count and by bytes.

    `parsed`, `validated` and `hits` count what was done and what was spared.
    """

    def __init__(self, schema: GraphQLSchema, *, most: int = 1_000, most_bytes: int = 64_000_000) -> None:
        self._schema = schema
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._known: OrderedDict[tuple[str, bool], Document] = OrderedDict()
        self.parsed = self.validated = self.hits = 0

    def read(self, text: str, *, suggests: bool) -> Document:
        """The document; `suggests`: its errors may tell names of the schema that come near."""
        limits.check_length(text)
        key = (text, suggests)
        found = self._known.get(key)
        if found is not None:
            self.hits += 1
            self._known.move_to_end(key)
            return found
        document = self._read(text, suggests=suggests)
        self._known[key] = document
        self._bytes += document.size
        while len(self._known) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._known.popitem(last=False)[1].size
        return document

    def _read(self, text: str, *, suggests: bool) -> Document:
        size = 4 * len(text) + _BYTES_A_TOKEN
        try:
            self.parsed += 1
            parsed = parse(text, max_lexical_tokens=limits.TOKENS, max_comments=limits.COMMENTS)
            size += parsed.token_count * _BYTES_A_TOKEN
            measured = Measurement(parsed)
        except GraphQLSyntaxError as error:
            # The tree is gone; the error keeps its place in the text only.
            coded = limits.read_limit(error.message)
            return Document(size, (_coded(coded, error),))
        except CodedError as error:
            return Document(size, (_coded(error),))
        self.validated += 1
        try:
            errors = validate(self._schema, parsed, RULES, max_errors=limits.ERRORS, hide_suggestions=not suggests)
        except (ValueError, RecursionError):
            return Document(size, (_coded(BadUserInput("A literal of the document cannot be read.")),))
        if errors:
            return Document(size, tuple(_trimmed(error) for error in errors[: limits.ERRORS]))
        return Document(size, operations=self._operations(parsed, measured))

    def _operations(self, parsed: DocumentNode, measured: Measurement) -> dict[str | None, Operation]:
        pricing = Pricing(self._schema, measured)
        return {
            definition.name.value if definition.name else None: self._operation(parsed, definition, tally, pricing)
            for definition, tally in zip(measured.operations, measured.tallies, strict=True)
        }

    def _operation(
        self, parsed: DocumentNode, definition: OperationDefinitionNode, tally: Tally, pricing: Pricing
    ) -> Operation:
        rules = tuple(self._rules(definition, parsed))
        return Operation(
            document=parsed,
            kind=definition.operation,
            name=definition.name.value if definition.name else None,
            root_fields=tally.roots,
            rules=rules,
            seconds=max((rule.seconds for rule in rules), default=EXECUTION_SECONDS),
            introspects=tally.introspects,
            cursor=_cursor(definition, parsed, rules),
            cost=pricing.price(definition),
        )

    def _rules(self, definition: OperationDefinitionNode, parsed: DocumentNode) -> list[Access]:
        root = self._schema.get_root_type(definition.operation)
        names = limits.root_names(definition, parsed)
        rules: list[Access] = []
        for name in names:
            item = root.fields.get(name) if root else None
            strawberry_field = item.extensions.get("strawberry-definition") if item else None
            rules += [e for e in getattr(strawberry_field, "extensions", ()) if isinstance(e, Access)]
        return rules


def _cursor(definition: OperationDefinitionNode, parsed: DocumentNode, rules: Sequence[Access]) -> str | None:
    """The variable that a subscription's resuming argument takes, if nothing else in the text does."""
    field = definition.selection_set.selections[0]
    if definition.operation is not OperationType.SUBSCRIPTION or not isinstance(field, FieldNode) or parsed.loc is None:
        return None
    for argument in field.arguments or ():
        if argument.name.value in {rule.resumes_by for rule in rules} and isinstance(argument.value, VariableNode):
            name = argument.value.name.value
            uses = re.findall(rf"\$\s*{name}\b", parsed.loc.source.body)
            return name if len(uses) == _DEFINED_AND_USED else None
    return None


def _trimmed(error: GraphQLError) -> GraphQLError:
    """What is kept of an error: graphql-core's repeats the whole value, and holds the tree."""
    return GraphQLError(error.message[: limits.MESSAGE], source=error.source, positions=error.positions)


def _coded(error: CodedError, at: GraphQLError | None = None) -> GraphQLError:
    return GraphQLError(
        error.message,
        source=at.source if at else None,
        positions=at.positions if at else None,
        extensions={"code": error.code.value},
    )
