"""A schema made for trying the doors: as deep, as wide, as slow and as broken as a test wants it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import sqlalchemy as sa

from pytake_gql.kernel.errors import NotFound
from pytake_gql.kernel.graphql.access import query, subscription
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, mutation, user_errors
from pytake_gql.kernel.graphql.schema import Schema, build
from pytake_gql.kernel.graphql.types import field, object_type
from pytake_gql.kernel.principal import MemberPrincipal, Role


async def absent() -> int:
    raise NotFound


ran: Counter[str] = Counter()
"""Which resolvers ran, and how often: a refusal before execution adds nothing."""

contexts: list[object] = []
"""The contexts that `whoami` saw."""


@object_type
class Tree:
    """A tree without end."""

    id: int = 1
    """Its number."""

    @field
    def child(self) -> "Tree":
        """The next."""
        return Tree()

    @field
    def children(self) -> list["Tree"]:
        """A plain list of one."""
        return [Tree()]

    @field
    def trees(
        self,
        first: int | None = None,  # noqa: ARG002 - arguments of pages
        last: int | None = None,  # noqa: ARG002
    ) -> "TreeConnection":
        """A page of one."""
        return TreeConnection(nodes=[Tree()])


@object_type
class TreeConnection:
    """A page of trees."""

    nodes: list[Tree]
    """The trees."""


@object_type
class SpecimenQuery:
    """What can be asked."""

    @query(public=True)
    def tree(self) -> Tree:
        """A tree for anybody."""
        ran["tree"] += 1
        return Tree()

    @query(public=True)
    def echo(self, text: str | None = None, number: int | None = None, json: list[int] | None = None) -> str:
        """The text again."""
        ran["echo"] += 1
        return f"{text}{number}{json}"

    @query(Role.VIEWER, visitor=True)
    def whoami(self, info: Info) -> str:
        """The caller."""
        contexts.append(info.context)
        principal = info.context.principal
        return principal.role.value if isinstance(principal, MemberPrincipal) else "VISITOR"

    @query(public=True)
    async def slow(self, seconds: float) -> bool:
        """Takes its time."""
        await asyncio.sleep(seconds)
        ran["slow"] += 1
        return True

    @query(public=True)
    async def broken(self) -> bool:
        """A fault of ours."""
        raise RuntimeError("the secret of the house")

    @query(public=True)
    async def sleeping_statement(self, info: Info) -> bool:
        """A statement that runs longer than `statement_timeout`."""
        async with info.context.read() as session:
            await session.execute(sa.text("SET LOCAL statement_timeout = 50"))
            await session.execute(sa.text("SELECT pg_sleep(10)"))
        return True

    @query(public=True, seconds=0.05)
    async def impatient(self) -> bool:
        """Declares a time limit of its own."""
        await asyncio.sleep(5)
        return True


@object_type
class TouchPayload:
    """What came of it."""

    touched: bool = False
    """Whether."""
    user_errors: list[UserError] = user_errors()


@object_type
class SpecimenMutation:
    """What can be done."""

    @mutation(public=True)
    async def touch(self) -> TouchPayload:
        """Counts."""
        ran["touch"] += 1
        return TouchPayload(touched=True)


@object_type
class SpecimenSubscription:
    """What can be followed."""

    @subscription(Role.VIEWER, visitor=True)
    async def count(self, to: int = 3) -> AsyncIterator[int]:
        """One, two, three."""
        for number in range(1, to + 1):
            yield number

    @subscription(Role.VIEWER, visitor=True)
    async def forever(self) -> AsyncIterator[int]:
        """Zero, then silence."""
        ran["forever"] += 1
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            ran["forever ended"] += 1

    @subscription(Role.ORG_ADMIN)
    async def governing(self) -> AsyncIterator[int]:
        """Like `forever`, for admins."""
        yield 0
        await asyncio.Event().wait()

    @subscription(Role.VIEWER)
    async def flood(self, kilobytes: int, times: int) -> AsyncIterator[str]:
        """More than a slow reader takes."""
        for _ in range(times):
            ran["flood"] += 1
            yield "x" * 1024 * kilobytes

    @subscription(Role.VIEWER)
    async def missing(self) -> AsyncIterator[int]:
        """Leads nowhere."""
        yield await absent()


def make() -> Schema:
    return build(SpecimenQuery, SpecimenMutation, SpecimenSubscription, types=[])
