"""Flows as clients read them."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flows import findings, kinds, models, queries, ready, versions
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.kernel.graphql.connections import Connection, PageInfo, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import enum_type, field, object_type
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.pagination import Page, window
from pytake_gql.kernel.principal import MemberPrincipal, Principal, Role
from pytake_gql.tenancy.members.graphql import Member, load_member

enum_type(kinds.FlowNodeKind)
enum_type(kinds.FlowRunStatus)
enum_type(findings.ProblemSeverity)
enum_type(ready.ReadyFlowKey)

HIDDEN = "•••"


@object_type
class FlowNode:
    """A node of a graph; `flowNodeSchema` tells the shape of its settings."""

    node_id: str
    """Unique in its graph only."""
    kind: kinds.FlowNodeKind
    """What it does."""
    label: str | None
    """What editors call it."""
    settings: JSON
    """An object. The headers of an API_CALL are shown to org admins only."""
    position: JSON | None
    """Where an editor draws it."""


@object_type
class FlowEdge:
    """A way from one node to another."""

    source: str
    """The node that it leaves."""
    target: str
    """The node that it leads to."""
    handle: str
    """Which way out of the source node.

    'next' by default; a condition's branch; 'timeout' or 'invalid' of a question; 'error' of an API call.
    """


@object_type
class FlowGraph:
    """Nodes and the ways between them; what was read can be sent again as FlowGraphInput."""

    nodes: list[FlowNode]
    """What is done."""
    edges: list[FlowEdge]
    """What follows what."""

    @classmethod
    def of(cls, stored: dict[str, Any], reader: Principal) -> Self:
        is_admin = isinstance(reader, MemberPrincipal) and reader.role.serves(Role.ORG_ADMIN)
        return cls(
            nodes=[
                FlowNode(
                    node_id=node["nodeId"],
                    kind=FlowNodeKind(node["kind"]),
                    label=node.get("label"),
                    settings=JSON(node["settings"] if is_admin else _without_headers(node["settings"])),
                    position=node.get("position"),
                )
                for node in stored["nodes"]
            ],
            edges=[
                FlowEdge(source=edge["source"], target=edge["target"], handle=edge["handle"])
                for edge in stored["edges"]
            ],
        )


def _without_headers(settings: dict[str, Any]) -> dict[str, Any]:
    """Whoever may change no flow needs no keys of other people's APIs."""
    headers = settings.get("headers")
    if not isinstance(headers, dict):
        return settings
    return {**settings, "headers": dict.fromkeys(headers, HIDDEN)}


@object_type
class FlowProblem:
    """Something that is wrong with a flow."""

    node_id: str | None
    """The node that it is about; null when it is about the whole."""
    severity: findings.ProblemSeverity
    """With an ERROR nothing is published."""
    message: str
    """In the caller's language (Accept-Language: pt-BR or en)."""

    @classmethod
    def all_of(cls, found: Iterable[findings.Finding] | None, locale: str) -> list[Self]:
        return [cls(node_id=it.node_id, severity=it.severity, message=it.message(locale)) for it in found or ()]


@object_type
class FlowStep:
    """A node that a run passed."""

    node_id: str
    """The node."""
    kind: kinds.FlowNodeKind
    """What it does."""
    entered_at: datetime
    """When the run came there."""
    left_by: str | None
    """By which way out; null while it waits there, and where there is none."""
    error: str | None
    """What went wrong there."""

    @classmethod
    def of(cls, passed: Any) -> Self:
        """A row of a run, or `run.Passed` of the engine's: both name these alike."""
        return cls(
            node_id=passed.node_id,
            kind=passed.kind,
            entered_at=passed.entered_at,
            left_by=passed.left_by,
            error=passed.error,
        )


@object_type
class FlowVersion:
    """What was published: never changed again."""

    number: int
    """Counted from 1 in its flow."""
    graph: FlowGraph
    """What runs of this version do."""
    published_at: datetime
    """When it was published."""
    published_by_id: strawberry.Private[UUID | None]

    @field
    async def published_by(self, info: Info) -> Member | None:
        """Who published it; null when that was nobody of the organization."""
        return await load_member(info, self.published_by_id)

    @classmethod
    def of(cls, row: models.FlowVersion, reader: Principal) -> Self:
        return cls(
            number=row.number,
            graph=FlowGraph.of(row.graph, reader),
            published_at=row.published_at,
            published_by_id=row.published_by_id,
        )


@object_type
class Flow(Node):
    """What a bot says, asks and decides: a draft that is edited freely, and the versions that were published."""

    name: str
    """Unique in the organization."""
    description: str | None
    """What it is for."""
    draft: FlowGraph
    """As it was saved last."""
    revision: int
    """Raised by each saved draft; pass it back to detect a lost update."""
    created_at: datetime
    """When it was made."""
    updated_at: datetime
    """When it was last changed or published."""
    published_number: strawberry.Private[int | None]

    @field
    async def problems(self, info: Info) -> list[FlowProblem]:
        """All that is wrong with the draft."""
        found = await info.context.load(queries.problems_of, id_of(self.id))
        return FlowProblem.all_of(found, info.context.locale)

    @field
    async def published(self, info: Info) -> FlowVersion | None:
        """The version that new runs take; null before the first."""
        return await self.version_of(info, self.published_number)

    @field
    async def version(self, info: Info, number: int) -> FlowVersion | None:
        """One version, or null."""
        return await self.version_of(info, number)

    @field
    async def versions(self, info: Info, first: int | None = None, after: str | None = None) -> Connection[FlowVersion]:
        """Newest first."""
        flow_id = id_of(self.id)

        async def count() -> int:
            return await info.context.load(queries.version_counts, flow_id) or 0

        async with info.context.read() as session:
            page = await queries.version_page(session, flow_id, window(first, after))
        found: Connection[FlowVersion] = connection(
            page.map(lambda row: FlowVersion.of(row, info.context.principal)), count
        )
        return found

    async def version_of(self, info: Info, number: int | None) -> FlowVersion | None:
        if number is None:
            return None
        row = await info.context.load(versions.by_numbers, (id_of(self.id), number))
        return FlowVersion.of(row, info.context.principal) if row else None

    @classmethod
    def of(cls, row: models.Flow, reader: Principal) -> Self:
        return cls(
            id=strawberry.ID(global_id("Flow", row.id)),
            name=row.name,
            description=row.description,
            draft=FlowGraph.of(row.draft, reader),
            revision=row.revision,
            created_at=row.created_at,
            updated_at=row.updated_at,
            published_number=row.published_number,
        )


@finds("Flow")
async def find_flow(info: Info, id_: UUID) -> Flow | None:
    row = await info.context.load(queries.by_ids, id_)
    return Flow.of(row, info.context.principal) if row and row.deleted_at is None else None


async def flow_of_run(info: Info, id_: UUID) -> Flow:
    """A run's flow, which may have been deleted since."""
    row = await info.context.load(queries.by_ids, id_)
    if row is None:
        raise LookupError(id_)  # a foreign key holds it
    return Flow.of(row, info.context.principal)


@object_type
class FlowConnectionEdge:
    """A flow and its place in the list."""

    node: Flow
    """The flow."""
    cursor: str
    """Its place, for `after`; opaque."""


@object_type
class FlowConnection:
    """A page of flows."""

    edges: list[FlowConnectionEdge]
    """The flows with their cursors."""
    nodes: list[Flow]
    """The flows alone."""
    page_info: PageInfo
    """Where the page stands."""
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @field
    async def total_count(self) -> int:
        """How many flows the whole list has; computed only when it is selected."""
        return await self.count()

    @classmethod
    def of(cls, page: Page[Flow], count: Callable[[], Awaitable[int]]) -> Self:
        """FlowEdge is an edge of a graph, so this list's edges have a name of their own."""
        general: Connection[Flow] = connection(page, count)
        return cls(
            edges=[FlowConnectionEdge(node=edge.node, cursor=edge.cursor) for edge in general.edges],
            nodes=general.nodes,
            page_info=general.page_info,
            count=count,
        )


@object_type
class ReadyFlow:
    """A flow to begin with: pass name, description and graph to createFlow."""

    key: ready.ReadyFlowKey
    """Which one."""
    name: str
    """In the caller's language, as are the texts in its graph."""
    description: str
    """What it does."""
    graph: FlowGraph
    """What it begins with."""

    @classmethod
    def of(cls, given: ready.ReadyFlow, reader: Principal) -> Self:
        graph = FlowGraph.of(given.graph, reader)
        return cls(key=given.key, name=given.name, description=given.description, graph=graph)
