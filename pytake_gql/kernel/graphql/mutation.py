"""Mutations: one unit of work each, and a payload that carries what the user can mend (house.md §2, §6)."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any
from uuid import UUID

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types.field import StrawberryField

from pytake_gql.kernel.errors import Problem, Refusal, UserErrorCode, Verbatim
from pytake_gql.kernel.graphql.access import EXECUTION_SECONDS, Access
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.types import enum_type, object_type
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.kernel.text import unstorable_paths

enum_type(UserErrorCode)


@object_type
class UserError:
    """Something that the user can mend."""

    code: UserErrorCode
    """What kind of mistake it is; it may gain values."""
    message: str
    """In the caller's language (Accept-Language: pt-BR or en)."""
    field: list[str] | None
    """The path inside `input`, such as ["frontends", "0", "origin"]; null when no single field is to blame."""


def user_errors() -> Any:
    """The last field of each payload."""
    return strawberry.field(default_factory=list, description="Empty on success.")


def camel(name: str) -> str:
    """As it stands in the schema; what the client named stays as it is."""
    if isinstance(name, Verbatim):
        return name
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def as_user_errors(problems: Iterable[Problem], locale: str) -> list[UserError]:
    return [
        UserError(
            code=problem.code,
            message=problem.message(locale),
            field=[camel(part) for part in problem.field] or None,
        )
        for problem in problems
    ]


class Transaction(FieldExtension):
    """Opens the unit of work, commits it when the resolver ends well, and turns a refusal into a payload.

    `is_shared`: the verb itself opens one, for all who ask at once.
    """

    def __init__(self, *, is_shared: bool) -> None:
        self._is_shared = is_shared

    def apply(self, field: StrawberryField) -> None:
        self.payload: Any = field.type

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:
        try:
            refuse_unstorable(kwargs.get("input"))
            if self._is_shared:
                return await next_(source, info, **kwargs)
            async with info.context.write():
                return await next_(source, info, **kwargs)
        except Refusal as refusal:
            return self.payload(user_errors=as_user_errors(refusal.problems, info.context.locale))


def refuse_unstorable(value: Any) -> None:
    problems = [
        Problem(UserErrorCode.INVALID, "NUL characters and lone surrogates are not text.", path)
        for path in unstorable_paths(value)
    ]
    if problems:
        raise Refusal(*problems)


def mutation(
    role: Role | None = None,
    *,
    visitor: bool = False,
    public: bool = False,
    is_shared: bool = False,
    seconds: float = EXECUTION_SECONDS,
) -> Callable[[Any], Any]:
    """A root field of Mutation; every field of its payload but `user_errors` has a default."""

    def decorate(resolver: Callable[..., Any]) -> Any:
        return strawberry.mutation(
            resolver,
            description=inspect.getdoc(resolver),
            extensions=[
                Transaction(is_shared=is_shared),
                Access(role, visitor=visitor, public=public, seconds=seconds),
            ],
        )

    return decorate


def present(value: Any, *leave_out: str) -> dict[str, Any]:
    """The fields of an update's input that were given: name to value, None where it is to be cleared."""
    if not is_dataclass(value):
        raise TypeError("an input is a dataclass")
    given: dict[str, Any] = {}
    for item in fields(value):
        holder = getattr(value, item.name)
        if item.name not in leave_out and isinstance(holder, strawberry.Some):
            given[item.name] = holder.value
    return given


def local_id(type_name: str, text: str, *path: str) -> UUID:
    """The id inside, or the refusal NOT_FOUND: malformed, or of another type, leads nowhere."""
    parsed = parse_global_id(text)
    if parsed is None or parsed[0] != type_name:
        raise Refusal(Problem(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", path))
    return parsed[1]


def local_ids(type_name: str, texts: Iterable[str], *path: str) -> list[UUID]:
    """Each id inside, the first of equal ones; the refusal names the index."""
    return list(dict.fromkeys(local_id(type_name, text, *path, str(i)) for i, text in enumerate(texts)))
