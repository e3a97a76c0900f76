"""Flows and their versions, as they are read."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.automation.flows import problems, references, versions
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.graph import Drawing
from pytake_gql.automation.flows.models import Flow, FlowVersion
from pytake_gql.automation.flows.references import Known
from pytake_gql.desk.channels.models import MessageTemplate
from pytake_gql.desk.departments.models import Department
from pytake_gql.desk.queues.models import Queue
from pytake_gql.desk.tags.models import Tag
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page
from pytake_gql.tenancy.members.models import Member

_NEWEST_FIRST = (Key(col(Flow.created_at), is_descending=True), Key(col(Flow.id), is_descending=True))
_HIGHEST_FIRST = (Key(col(FlowVersion.number), is_descending=True),)
_TABLES: dict[str, Any] = {
    "Queue": Queue,
    "Department": Department,
    "Member": Member,
    "Tag": Tag,
    "MessageTemplate": MessageTemplate,
}


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Flow]:
    """Deleted ones, too: their runs lead to them."""
    rows = await session.execute(select(Flow).where(col(Flow.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_page(session: AsyncSession, search: str | None, wanted: Window) -> Page[Flow]:
    """The newest first."""
    return await fetch_page(session, sa.select(Flow).where(*_matching(search)), _NEWEST_FIRST, wanted)


async def count(session: AsyncSession, search: str | None) -> int:
    statement = select(func.count()).select_from(Flow).where(*_matching(search))
    return (await session.execute(statement)).scalar_one()


async def version_page(session: AsyncSession, flow_id: UUID, wanted: Window) -> Page[FlowVersion]:
    """The newest first."""
    theirs = sa.select(FlowVersion).where(col(FlowVersion.flow_id) == flow_id)
    return await fetch_page(session, theirs, _HIGHEST_FIRST, wanted)


async def version_counts(session: AsyncSession, flow_ids: Sequence[UUID]) -> dict[UUID, int]:
    statement = (
        select(FlowVersion.flow_id, func.count())
        .where(col(FlowVersion.flow_id).in_(flow_ids))
        .group_by(col(FlowVersion.flow_id))
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


async def problems_of(session: AsyncSession, flow_ids: Sequence[UUID]) -> dict[UUID, Findings]:
    """All that is wrong with each draft."""
    rows = await by_ids(session, flow_ids)
    read = {row.id: problems.read(row.draft) for row in rows.values()}
    known = await known_of(session, [drawing for drawing, _ in read.values()])
    for flow_id, (drawing, findings) in read.items():
        references.check(drawing, known, flow_id, findings)
    return {flow_id: findings for flow_id, (_, findings) in read.items()}


async def check(session: AsyncSession, stored: Any, flow_id: UUID | None = None) -> tuple[Drawing, Findings]:
    """All that is wrong with a graph, which may be a flow's that is there already."""
    drawing, findings = problems.read(stored)
    references.check(drawing, await known_of(session, [drawing]), flow_id, findings)
    return drawing, findings


async def known_of(session: AsyncSession, drawings: Iterable[Drawing]) -> Known:
    """What there is in the organization of all that these name."""
    asked: dict[str, set[UUID]] = {}
    for drawing in drawings:
        for reference in references.named_in(drawing):
            asked.setdefault(reference.type_name, set()).add(reference.id)
    flows = await versions.reached(session, asked.pop("Flow", ()))
    found = {name: await _existing(session, _TABLES[name], ids) for name, ids in asked.items()}
    leads = {flow_id: frozenset(versions.jumps(versions.parsed(row))) for flow_id, row in flows.items()}
    return Known({**found, "Flow": frozenset(flows)}, leads)


async def _existing(session: AsyncSession, table: Any, ids: set[UUID]) -> frozenset[UUID]:
    statement = select(table.id).where(table.id.in_(ids))
    if table is Member:
        statement = statement.where(col(Member.is_active), col(Member.removed_at).is_(None))
    return frozenset((await session.execute(statement)).scalars())


def _matching(search: str | None) -> list[Any]:
    conditions: list[Any] = [col(Flow.deleted_at).is_(None)]
    if search and (words := search.strip()):
        name, description = col(Flow.name), col(Flow.description)
        inside = name.icontains(words, autoescape=True), description.icontains(words, autoescape=True)
        conditions.append(sa.or_(*inside))
    return conditions
