"""Which versions a run walks: its own, and of flows that it may jump to those of the moment that it began (F5)."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.automation.flows import versions
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.models import FlowVersion


async def of_version(session: AsyncSession, version: FlowVersion) -> dict[str, str]:
    """By flow, as a run keeps them."""
    reached = await versions.reached(session, versions.jumps(versions.parsed(version)))
    return {str(flow_id): str(it.id) for flow_id, it in (reached | {version.flow_id: version}).items()}


async def graphs_of(session: AsyncSession, pinned: Mapping[str, str]) -> Mapping[UUID, Graph]:
    """By flow, as the engine takes them."""
    graphs = await versions.graphs_by_ids(session, (UUID(version_id) for version_id in pinned.values()))
    return {UUID(flow_id): graphs[UUID(version_id)] for flow_id, version_id in pinned.items()}
