"""Published versions and their graphs: a version never changes, so it is parsed once (F5)."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.automation.flows import graph
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.models import Flow, FlowVersion

_MOST_KEPT = 500
_kept: dict[UUID, Graph] = {}
"""Parsed graphs by version, the least used first."""


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


async def reached(session: AsyncSession, flow_ids: Iterable[UUID]) -> dict[UUID, FlowVersion]:
    """By flow the versions of these, as they are published now, and of all that they may come to by jumps."""
    found: dict[UUID, FlowVersion] = {}
    wanted, asked = set(flow_ids), set[UUID]()
    while wanted:
        more = await published(session, wanted)
        found |= more
        asked |= wanted
        wanted = {flow_id for version in more.values() for flow_id in jumps(parsed(version))} - asked
    return found


async def by_numbers(session: AsyncSession, keys: Sequence[tuple[UUID, int]]) -> dict[tuple[UUID, int], FlowVersion]:
    """By flow and number."""
    statement = select(FlowVersion).where(
        col(FlowVersion.flow_id).in_({flow_id for flow_id, _ in keys}),
        col(FlowVersion.number).in_({number for _, number in keys}),
    )
    return {(row.flow_id, row.number): row for row in (await session.execute(statement)).scalars()}


async def graphs_by_ids(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, Graph]:
    """By version; only those that this process does not know are read."""
    wanted = list(ids)
    known = {id_: _kept[id_] for id_ in wanted if id_ in _kept}
    if len(known) < len(wanted):
        missing = select(FlowVersion).where(col(FlowVersion.id).in_([id_ for id_ in wanted if id_ not in known]))
        known |= {row.id: parsed(row) for row in (await session.execute(missing)).scalars()}
    return known


def parsed(version: FlowVersion) -> Graph:
    found = _kept.pop(version.id, None)
    _kept[version.id] = found = graph.parse(version.graph) if found is None else found
    while len(_kept) > _MOST_KEPT:
        del _kept[next(iter(_kept))]
    return found


def graphs(versions: Mapping[UUID, FlowVersion]) -> dict[UUID, Graph]:
    """By flow, as the engine takes them."""
    return {flow_id: parsed(version) for flow_id, version in versions.items()}


def jumps(of: Graph) -> set[UUID]:
    """The flows that it may go on in."""
    to = {node.settings.flow_id for node in of.nodes.values() if node.kind is FlowNodeKind.JUMP}
    return {flow_id for flow_id in to if flow_id is not None}
