from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, func, select

from pytake_gql.automation.flows import drafts, queries, ready
from pytake_gql.automation.flows.events import FlowCreated, FlowDeleted, FlowPublished, FlowUpdated
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.models import Flow, FlowVersion
from pytake_gql.automation.flows.ready import ReadyFlowKey
from pytake_gql.desk.channels.models import Channel
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork

LONGEST_DESCRIPTION = 1000
_SUBJECT = "flows"
"""Flows of an organization get their names one at a time."""


async def create(uow: UnitOfWork, given: Changes) -> Flow:
    """`given` is as for `update`; the name is among it."""
    await one_at_a_time(uow, _SUBJECT)
    now = uow.now()
    flow = Flow(name="", draft=drafts.EMPTY, created_at=now, updated_at=now)
    values = await _checked(uow, given, flow)
    flow.sqlmodel_update(values)
    uow.add(flow)
    uow.emit(FlowCreated(entity_id=flow.id, changes={"name": {"from": None, "to": flow.name}}))
    return flow


async def update(uow: UnitOfWork, flow_id: UUID, changes: Changes, revision: int | None = None) -> Flow:
    """A saved draft raises the revision; STALE where it is not the one given. What is live stays as it is (F5)."""
    await one_at_a_time(uow, _SUBJECT)
    flow = await get(uow, flow_id)
    _refuse_stale(flow, revision)
    values = await _checked(uow, changes, flow)
    if (draft := values.pop("draft", None)) is not None:
        flow.draft, values["revision"] = draft, flow.revision + 1
    changed = change(flow, values)
    if changed:
        flow.updated_at = uow.now()
        uow.emit(FlowUpdated(entity_id=flow_id, changes=changed))
    return flow


async def publish(uow: UnitOfWork, flow_id: UUID, revision: int | None = None) -> tuple[Flow | None, Findings]:
    """Freezes the draft as the next version; None, and nothing changed, with an error among the problems (F6)."""
    flow = await get(uow, flow_id)
    _refuse_stale(flow, revision)
    _, findings = await queries.check(uow.session, flow.draft, flow_id)
    if findings.has_errors:
        return None, findings
    newest = select(func.max(FlowVersion.number)).where(FlowVersion.flow_id == flow_id)
    number = ((await uow.session.execute(newest)).scalar() or 0) + 1
    by = uow.principal
    member_id = by.member_id if isinstance(by, MemberPrincipal) and not by.is_visiting else None
    uow.add(
        FlowVersion(flow_id=flow_id, number=number, graph=flow.draft, published_at=uow.now(), published_by_id=member_id)
    )
    changed = change(flow, {"published_number": number})
    flow.updated_at = uow.now()
    uow.emit(FlowPublished(entity_id=flow_id, changes=changed))
    return flow, findings


async def plant(uow: UnitOfWork, key: ReadyFlowKey, locale: str) -> Flow:
    """A ready flow in that language, published at once: for a demo, and for whoever begins with one."""
    given = ready.load(key, locale)
    flow = await create(uow, {"name": given.name, "description": given.description, "graph": given.graph})
    await uow.session.flush()
    await publish(uow, flow.id)
    return flow


async def delete(uow: UnitOfWork, flow_id: UUID) -> Flow:
    """Deletes it for all but its runs; refused while something begins it: a channel, a flow, or who hears the event."""
    await one_at_a_time(uow, _SUBJECT)
    flow = await get(uow, flow_id)
    greeting = (await uow.session.execute(select(Channel.name).where(Channel.flow_id == flow_id))).scalars().first()
    if greeting is not None:
        refuse(
            UserErrorCode.WRONG_STATE,
            "It greets on the channel {name}: give that another one first.",
            "id",
            name=greeting,
        )
    calling = (await uow.session.execute(_calling(flow_id))).scalars().first()
    if calling is not None:
        refuse(UserErrorCode.WRONG_STATE, "The flow {name} jumps to it: change that first.", "id", name=calling)
    changes = {"name": {"from": flow.name, "to": None}}
    await uow.announce(FlowDeleted(entity_id=flow_id, changes=changes))
    flow.deleted_at = uow.now()
    return flow


async def get(uow: UnitOfWork, flow_id: UUID, *path: str) -> Flow:
    """The row, locked; or the refusal NOT_FOUND under that path (`id` by default)."""
    statement = select(Flow).where(Flow.id == flow_id, col(Flow.deleted_at).is_(None)).with_for_update()
    found = await uow.session.execute(statement, execution_options={"populate_existing": True})
    flow = found.scalar_one_or_none()
    if flow is None:
        raise not_found(*(path or ("id",)))
    return flow


def _refuse_stale(flow: Flow, revision: int | None) -> None:
    if revision is not None and revision != flow.revision:
        refuse(UserErrorCode.STALE, "The flow has moved on: read it again.", "revision")


async def _checked(uow: UnitOfWork, given: Changes, flow: Flow) -> Changes:
    problems, values = Problems(), Changes()
    if "name" in given:
        with problems.gather():
            values["name"] = text.line(given["name"], "name")
            await _refuse_taken(uow, values["name"], flow.id)
    if "description" in given:
        with problems.gather():
            values["description"] = text.paragraph(given["description"], "description", longest=LONGEST_DESCRIPTION)
    if "graph" in given:
        with problems.gather():
            if given["graph"] is None:
                refuse(UserErrorCode.REQUIRED, "This is required.", "graph")
            values["draft"] = drafts.checked(given["graph"], "graph")
    problems.raise_if_any()
    return values


async def _refuse_taken(uow: UnitOfWork, name: str, besides: UUID) -> None:
    same = select(Flow.id).where(
        func.lower(Flow.name) == func.lower(name), Flow.id != besides, col(Flow.deleted_at).is_(None)
    )
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "Another one has this name.", "name")


def _calling(flow_id: UUID) -> sa.Select[Any]:
    """The names of flows whose published version jumps to this one."""
    jump = {"nodes": [{"kind": "JUMP", "settings": {"flowId": global_id("Flow", flow_id)}}]}
    return (
        sa.select(col(Flow.name))
        .join(FlowVersion, col(FlowVersion.flow_id) == Flow.id)
        .where(
            col(Flow.deleted_at).is_(None),
            col(Flow.id) != flow_id,
            col(FlowVersion.number) == Flow.published_number,
            col(FlowVersion.graph).contains(jump),
        )
    )
