"""Which graphs a run walks: those of the versions that it pinned when it began (F5)."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.automation.flows import graph
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.models import Flow, FlowVersion

_MOST_KEPT = 2000
_kept: dict[UUID, Graph] = {}
"""Parsed graphs by version, the least used first: a version never changes."""


async def published(session: AsyncSession, flow_ids: Iterable[UUID]) -> dict[UUID, FlowVersion]:
    """The version of each flow that is published now; not of those that were deleted."""
    statement = (
        select(FlowVersion)
        .join(Flow, col(Flow.id) == FlowVersion.flow_id)
        .where(
            col(Flow.id).in_(list(flow_ids)),
            col(Flow.deleted_at).is_(None),
            FlowVersion.number == Flow.published_number,
        )
    )
    return {row.flow_id: row for row in (await session.execute(statement)).scalars()}


async def pin(session: AsyncSession, version: FlowVersion) -> dict[str, str]:
    """This version, and those that it may come to by jumps as they are published now."""
    pinned: dict[UUID, UUID] = {version.flow_id: version.id}
    found = [version]
    while found:
        reached = {flow_id for it in found for flow_id in _jumps(parsed(it))} - pinned.keys()
        found = list((await published(session, reached)).values()) if reached else []
        pinned |= {it.flow_id: it.id for it in found}
    return {str(flow_id): str(version_id) for flow_id, version_id in pinned.items()}


async def graphs_of(session: AsyncSession, run: FlowRun) -> Mapping[UUID, Graph]:
    """By flow, as the engine takes them."""
    return await of_pinned(session, run.pinned)


async def of_pinned(session: AsyncSession, stored: Mapping[str, str]) -> Mapping[UUID, Graph]:
    pinned = {UUID(flow_id): UUID(version_id) for flow_id, version_id in stored.items()}
    if missing := [id_ for id_ in pinned.values() if id_ not in _kept]:
        rows = await session.execute(select(FlowVersion).where(col(FlowVersion.id).in_(missing)))
        for row in rows.scalars():
            parsed(row)
    return {flow_id: _use(version_id) for flow_id, version_id in pinned.items()}


def parsed(version: FlowVersion) -> Graph:
    if version.id not in _kept:
        _kept[version.id] = graph.parse(version.graph)
        while len(_kept) > _MOST_KEPT:
            del _kept[next(iter(_kept))]
    return _use(version.id)


def _use(version_id: UUID) -> Graph:
    found = _kept[version_id] = _kept.pop(version_id)
    return found


def _jumps(of: Graph) -> set[UUID]:
    to = {node.settings.flow_id for node in of.nodes.values() if node.kind is FlowNodeKind.JUMP}
    return {flow_id for flow_id in to if flow_id is not None}
