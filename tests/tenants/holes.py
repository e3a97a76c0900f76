"""Where the schema takes an id: each root field's arguments, through inputs and lists, and documents that fill them.

All of it is read from the schema as it stands: a field that comes later is walked, too. What cannot be derived
stands in the tables here, and a new id that is not understood fails the walk until somebody says what it means.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import graphql
from graphql import GraphQLInputObjectType, GraphQLNonNull, get_named_type, get_nullable_type, is_list_type

from pytake_gql.kernel.principal import Role
from pytake_gql.schema import schema as served
from tests.tenants.companies import PASSWORD, Company
from tests.tenants.selections import LEVELS, PAGE, selection

SCHEMA = graphql.build_schema(served.as_str())
ROOTS = ("Query", "Mutation", "Subscription")
NODES = sorted(type_.name for type_ in SCHEMA.get_possible_types(SCHEMA.type_map["Node"]))  # type: ignore[arg-type]
ANY = "any"

# Which type an id is of, where neither its own name nor the name of what it stands in tells.
_TYPES = {
    "MarkNotificationsReadInput.ids": "Notification",
    "Query.node.id": ANY,
    "Query.auditLog.entityId": ANY,
    "Query.auditLog.actorId": "Member",
    "ConversationFilter.assigneeIds": "Member",
    "SendMessageInput.replyToId": "Message",
    "TemplateMessageInput.templateId": "MessageTemplate",
    "RemoveMemberInput.reassignToId": "Member",
    "MergeContactsInput.keepId": "Contact",
    "MergeContactsInput.mergeId": "Contact",
    "RevokeSessionInput.id": "ActiveSession",
    "SetAutomationStatusInput.id": "FlowAutomation",
    "CancelExecutionInput.id": "FlowExecution",
    "RetryExecutionInput.id": "FlowExecution",
    "Subscription.executionProgress.executionId": "FlowExecution",
}
# Doors that everybody may enter, whatever organization is behind them.
PUBLIC_DOORS = {"StartVisitInput.channelId"}

# What makes an operation succeed where the type alone does not tell.
_VALUES: Mapping[str, Any] = {
    "LoginInput.password": PASSWORD,
    "InviteMemberInput.role": "AGENT",
    "SwitchOrganizationInput.reason": "Uma visita",
    "AssignConversationInput.force": True,
    "SendMessageInput.isNote": False,
    "SetAutomationStatusInput.status": "ARCHIVED",
    "BackfillFlowAutomationInput.to": "2026-01-03T00:00:00Z",
    "SnoozeConversationInput.until": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
}
# Optional fields without which the operation would be refused for another reason.
_NEEDED = {
    "SendMessageInput": ("text",),
    "SwitchOrganizationInput": ("reason",),
    "AssignConversationInput": ("force",),
    "TransferConversationInput": ("queueId",),
    "SimulateFlowInput": ("flowId", "at"),
    "AudienceInput": ("all",),
    "RecurrenceInput": ("once",),
}
# What is left out where this is given: the two exclude each other.
_INSTEAD = {
    "TransferConversationInput.memberId": {"queueId"},
    "SendMessageInput.template": {"text"},
    "StartConversationInput.template": {"text"},
    "AudienceInput.contactIds": {"all"},
    "AudienceInput.filter": {"all"},
    "RecurrenceInput.cron": {"once"},
}
_SCALARS: Mapping[str, Any] = {
    "Int": 1,
    "Float": 1.0,
    "Boolean": True,
    "JSON": {},
    "DateTime": "2026-01-01T00:00:00Z",
    "Date": "2030-01-01",
    "LocalDateTime": "2030-01-01T09:00",
    "Time": "09:00",
    "TimeZone": "America/Sao_Paulo",
}


@dataclass(frozen=True)
class Hole:
    """One argument, or a field inside one: `path` begins with the argument's name, and is 0 where it enters a list."""

    root: str
    field: str
    path: tuple[str, ...]
    coordinate: str
    of: str
    """The type of what it names: of an id, the Node type; else the scalar's name."""
    is_list: bool

    def __str__(self) -> str:
        return f"{self.field}({'.'.join(self.path)})"


@dataclass(frozen=True)
class Operation:
    document: str
    variables: dict[str, Any]
    field: str


def fields(root: str) -> Mapping[str, graphql.GraphQLField]:
    type_: Any = SCHEMA.type_map[root]
    found: Mapping[str, graphql.GraphQLField] = type_.fields
    return found


def answer_type(root: str, field: str) -> Any:
    """The named type of what the field answers."""
    return get_named_type(fields(root)[field].type)


def rule(root: str, field: str) -> dict[str, Any]:
    """What `@auth` says."""
    node: Any = fields(root)[field].ast_node
    auth = next(directive for directive in node.directives if directive.name.value == "auth")
    return {argument.name.value: graphql.value_from_ast_untyped(argument.value) for argument in auth.arguments}


def may(caller: str, root: str, field: str) -> bool:
    """Whether the rule of the field serves the caller."""
    given = rule(root, field)
    if given.get("public"):
        return True
    if caller == "VISITOR":
        return bool(given.get("visitor"))
    return "role" in given and Role(caller).serves(Role(given["role"]))


def holes(scalar: str = "ID") -> Iterator[Hole]:
    """Every place of the schema that takes this scalar."""
    for root in ROOTS:
        for name, definition in fields(root).items():
            for argument, given in definition.args.items():
                where = f"{root}.{name}.{argument}"
                yield from _inside(root, name, (argument,), where, given.type, definition.type, scalar)


def _inside(
    root: str, field: str, path: tuple[str, ...], where: str, type_: Any, answer: Any, scalar: str
) -> Iterator[Hole]:
    named = get_named_type(type_)
    if named.name == scalar:
        of = id_type(where, answer) if scalar == "ID" else scalar
        yield Hole(root, field, path, where, of, is_list_type(get_nullable_type(type_)))
    elif isinstance(named, GraphQLInputObjectType):
        assert len(path) < 6, f"{where} goes round in circles"
        entered = (*path, "0") if is_list_type(get_nullable_type(type_)) else path
        for name, inner in named.fields.items():
            yield from _inside(root, field, (*entered, name), f"{named.name}.{name}", inner.type, answer, scalar)


def id_type(where: str, answer: Any = None) -> str:
    """The Node type that an id argument is of: as the table, its own name, its input's name or its answer says."""
    if where in _TYPES:
        return _TYPES[where]
    *context, name = where.split(".")
    stem = re.sub(r"Ids?$", "", name) if name != "id" else ""
    candidates = [stem, re.sub(r"Input$", "", context[0]) if not stem else ""]
    for candidate in filter(None, candidates):
        fitting = [node for node in NODES if candidate.lower().endswith(node.lower())]
        if fitting:
            return max(fitting, key=len)
        contained = [node for node in NODES if node in candidate]
        if contained:
            return max(contained, key=len)
    if name == "id" and answer is not None and get_named_type(answer).name in NODES:
        return str(get_named_type(answer).name)
    raise AssertionError(f"{where}: say in tests/tenants/holes.py which type of id this is")


def operation(
    company: Company, hole: Hole, value: Any, *, node_type: str | None = None, levels: int = LEVELS
) -> Operation:
    """The document that puts `value` into the hole, and the company's own things wherever something is required."""
    definition = fields(hole.root)[hole.field]
    variables = {
        name: _filled(argument.type, f"{hole.root}.{hole.field}.{name}", company, hole.path[1:], value)
        if name == hole.path[0]
        else _value(argument.type, f"{hole.root}.{hole.field}.{name}", company)
        for name, argument in definition.args.items()
        if name == hole.path[0] or is_required(argument)
    }
    return built(hole.root, hole.field, variables, node_type=node_type, levels=levels)


def plain(company: Company, root: str, field: str, *, levels: int = LEVELS, **chosen: Any) -> Operation:
    """The field with what it requires."""
    definition = fields(root)[field]
    required = {
        name: _value(argument.type, f"{root}.{field}.{name}", company)
        for name, argument in definition.args.items()
        if is_required(argument)
    }
    return built(root, field, required | chosen, levels=levels)


def built(
    root: str, field: str, variables: dict[str, Any], *, node_type: str | None = None, levels: int = LEVELS
) -> Operation:
    """`node_type` is what an answer that may be anything is expected to be."""
    definition = fields(root)[field]
    if "first" in definition.args and not variables.keys() & {"first", "last"}:
        variables = variables | {"last" if "before" in variables else "first": PAGE}
    declared = ", ".join(f"${name}: {definition.args[name].type}" for name in variables)
    given = ", ".join(f"{name}: ${name}" for name in variables)
    head = f"{root.lower()} W({declared})" if declared else f"{root.lower()} W"
    answer = get_named_type(definition.type)
    chosen = selection(SCHEMA, SCHEMA.type_map[node_type] if node_type else answer, levels)
    if node_type:
        chosen = f"{{ __typename id ... on {node_type} {chosen} }}"
    return Operation(f"{head} {{ {field}{f'({given})' if given else ''} {chosen} }}", variables, field)


def is_required(given: Any) -> bool:
    return isinstance(given.type, GraphQLNonNull) and given.default_value in {None, graphql.Undefined}


def _filled(type_: Any, where: str, company: Company, path: tuple[str, ...], value: Any) -> Any:
    """The value at the path inside, and what is required around it."""
    bare = get_nullable_type(type_)
    if not path:
        return value
    if is_list_type(bare):
        return [_filled(bare.of_type, where, company, path[1:], value)]
    filled = _input(bare, company, besides=path[0])
    inner = bare.fields[path[0]]
    filled[path[0]] = _filled(inner.type, f"{bare.name}.{path[0]}", company, path[1:], value)
    return filled


def _input(type_: GraphQLInputObjectType, company: Company, besides: str | None = None) -> dict[str, Any]:
    needed = set(_NEEDED.get(type_.name, ())) - _INSTEAD.get(f"{type_.name}.{besides}", set())
    return {
        name: _value(given.type, f"{type_.name}.{name}", company)
        for name, given in type_.fields.items()
        if name != besides and (is_required(given) or name in needed)
    }


def _value(type_: Any, where: str, company: Company) -> Any:
    """Something of the company's own that the type takes."""
    bare = get_nullable_type(type_)
    if is_list_type(bare):
        return [_value(bare.of_type, where, company)]
    if where in _VALUES:
        return _VALUES[where]
    if isinstance(bare, GraphQLInputObjectType):
        return _input(bare, company)
    if isinstance(bare, graphql.GraphQLEnumType):
        return next(iter(bare.values))
    if bare.name == "ID":
        return company.ids[id_type(where)]
    return _text(where, company) if bare.name == "String" else _SCALARS[bare.name]


def _text(where: str, company: Company) -> str:
    if where == "LoginInput.email":
        return company.email
    if "slug" in where.lower():
        return company.organization.slug
    return f"{uuid4().hex}@example.com" if "email" in where.lower() else f"Texto {uuid4().hex[:8]}"
