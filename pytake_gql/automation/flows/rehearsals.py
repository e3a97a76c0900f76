"""A simulation with what the organization has: its flows, hours, contacts and templates (F8)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.automation.flows import queries, simulation, surroundings, versions
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.graph import Drawing, Graph
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.references import named_in
from pytake_gql.automation.flows.run import RunState, Say, Surroundings
from pytake_gql.automation.flows.simulation import Script, Simulation
from pytake_gql.automation.flows.templates import Value
from pytake_gql.desk.channels import templates as channel_templates
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.kernel.errors import NotFound
from pytake_gql.kernel.ids import uuid7
from pytake_gql.tenancy.organizations import service as organizations


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What to rehearse: a flow's draft, or the graph given, as this flow's or as that of none."""

    at: datetime
    flow_id: UUID | None = None
    graph: Any = None
    contact_id: UUID | None = None
    replies: list[str] = field(default_factory=list)
    variables: Mapping[str, Value] = field(default_factory=dict)
    effects: Mapping[str, Any] = field(default_factory=dict)


async def rehearse(session: AsyncSession, organization_id: UUID, wanted: Rehearsal) -> tuple[Simulation, Findings]:
    """FAILED at once where the graph cannot be run. Raises `NotFound` for ids that lead nowhere."""
    draft = await _draft(session, wanted.flow_id) if wanted.flow_id is not None else None
    stored = draft if wanted.graph is None else wanted.graph
    drawing, findings = await queries.check(session, stored, wanted.flow_id)
    flow_id = wanted.flow_id or uuid7()
    state, graph = RunState.begin(flow_id, wanted.variables), drawing.graph()
    if graph is None:
        return Simulation(RunState(flow_id, FlowRunStatus.FAILED, variables=wanted.variables)), findings
    graphs = {**versions.graphs(await versions.reached(session, versions.jumps(graph))), flow_id: graph}
    around = await _around(session, organization_id, wanted, graphs)
    script = Script(wanted.replies, wanted.effects, await _template_texts(session, drawing))
    return simulation.simulate(graphs, state, script, around, findings), findings


async def _draft(session: AsyncSession, flow_id: UUID) -> Any:
    flow = (await queries.by_ids(session, [flow_id])).get(flow_id)
    if flow is None or flow.deleted_at is not None:
        raise NotFound
    return flow.draft


async def _around(
    session: AsyncSession, organization_id: UUID, wanted: Rehearsal, graphs: Mapping[UUID, Graph]
) -> Surroundings:
    organization = await organizations.current(session, organization_id)
    contact = None
    if wanted.contact_id is not None:
        contact = (await contacts.by_ids(session, [wanted.contact_id])).get(wanted.contact_id)
        if contact is None:
            raise NotFound
    return await surroundings.read(session, organization, contact, graphs.values(), now=wanted.at)


async def _template_texts(session: AsyncSession, drawing: Drawing) -> Callable[[Say], str]:
    """What people read of the templates that the flow names."""
    ids = [reference.id for reference in named_in(drawing) if reference.type_name == "MessageTemplate"]
    known = await channel_templates.by_ids(session, ids) if ids else {}

    def text(said: Say) -> str:
        template = known.get(said.template_id) if said.template_id else None
        return channel_templates.preview(template, said.template_variables) if template else said.text

    return text
