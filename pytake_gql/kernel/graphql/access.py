"""Who may call a field: each root field names its rule, and the rule is printed into the schema (G2).

A field without a rule fails the schema's build.
"""

import inspect
from collections.abc import Callable
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.schema_directive import Location
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField

from pytake_gql.kernel.errors import BadUserInput, Forbidden, Unauthenticated
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.types import enum_type
from pytake_gql.kernel.principal import MemberPrincipal, Principal, Role, VisitorPrincipal
from pytake_gql.kernel.text import unstorable_paths

enum_type(Role)

EXECUTION_SECONDS = 5.0
"""How long an operation may run (G16); a field that asks an AI provider declares 30."""


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="auth",
    description="Who may call: members of this role and above, visitors of a web chat, anybody at all.",
)
class Auth:
    role: Role | None = strawberry.UNSET
    visitor: bool | None = strawberry.UNSET
    public: bool | None = strawberry.UNSET


class Access(FieldExtension):
    """The rule of one field. It stands last among the extensions: the outermost, so that a refusal opens nothing."""

    def __init__(
        self,
        role: Role | None = None,
        *,
        visitor: bool = False,
        public: bool = False,
        seconds: float = EXECUTION_SECONDS,
        resumes_by: str | None = None,
    ) -> None:
        if role is None and not visitor and not public:
            raise ValueError("a rule must serve somebody")
        self.role, self.visitor, self.public, self.seconds = role, visitor, public, seconds
        self.resumes_by = resumes_by

    def apply(self, field: StrawberryField) -> None:
        printed = Auth(
            role=self.role or strawberry.UNSET,
            visitor=self.visitor or strawberry.UNSET,
            public=self.public or strawberry.UNSET,
        )
        field.directives = [*field.directives, printed]

    def check(self, principal: Principal) -> None:
        if self.public:
            return
        if isinstance(principal, MemberPrincipal):
            if self.role is None or not principal.role.serves(self.role):
                raise Forbidden
        elif isinstance(principal, VisitorPrincipal):
            if not self.visitor:
                raise Forbidden("A visitor's token opens the visitor fields only.")
        else:
            raise Unauthenticated

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:
        self.check(info.context.principal)
        for path in unstorable_paths({name: value for name, value in kwargs.items() if name != "input"}):
            raise BadUserInput(f"{'.'.join(path)}: NUL and lone surrogates are not text.")
        run = info.context.run
        if self.resumes_by is not None and run is not None and run.resumes_at is not None:
            kwargs[self.resumes_by] = run.resumes_at
        result = next_(source, info, **kwargs)
        return await result if inspect.isawaitable(result) else result


def query(
    role: Role | None = None, *, visitor: bool = False, public: bool = False, seconds: float = EXECUTION_SECONDS
) -> Callable[[Any], Any]:
    """A root field of Query; the resolver's docstring describes it."""

    def decorate(resolver: Callable[..., Any]) -> Any:
        return strawberry.field(
            resolver,
            description=inspect.getdoc(resolver),
            extensions=[Access(role, visitor=visitor, public=public, seconds=seconds)],
        )

    return decorate


def subscription(
    role: Role | None = None, *, visitor: bool = False, resumes_by: str | None = None
) -> Callable[[Any], Any]:
    """A root field of Subscription; the resolver is an async generator.

    `resumes_by` names the argument that takes where an earlier run stood (`Turns.at`). Without one a run that goes
    on from another begins anew, so it has to begin with a snapshot.
    """

    def decorate(resolver: Callable[..., Any]) -> Any:
        return strawberry.subscription(
            resolver,
            description=inspect.getdoc(resolver),
            extensions=[Access(role, visitor=visitor, resumes_by=resumes_by)],
        )

    return decorate


def require_rules(*roots: type[Any]) -> None:
    """Fails where a root field serves nobody in particular."""
    for root in roots:
        for item in get_object_definition(root, strict=True).fields:
            if not any(isinstance(extension, Access) for extension in item.extensions):
                raise TypeError(f"{root.__name__}.{item.python_name} has no access rule")
