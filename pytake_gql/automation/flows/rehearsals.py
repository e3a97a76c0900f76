"""A simulation with what the organization has: its flows, hours, contacts and templates (F8)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.automation.flows import queries, simulation, surroundings, versions
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.graph import Drawing
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.models import Flow
from pytake_gql.automation.flows.references import named_in
from pytake_gql.automation.flows.run import RunState, Say
from pytake_gql.automation.flows.simulation import Script, Simulation
from pytake_gql.automation.flows.templates import Value
from pytake_gql.desk.channels import templates as channel_templates
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.kernel.ids import uuid7
from pytake_gql.tenancy.organizations import service as organizations

NOWHERE = UUID(int=0)
"""What an id that is none leads to."""


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
    """FAILED at once where the graph cannot be run, or an id leads nowhere."""
    flow_id, findings = wanted.flow_id or uuid7(), Findings()
    failed = Simulation(RunState(flow_id, FlowRunStatus.FAILED, variables=wanted.variables))
    flow, contact = await _named(session, wanted, findings)
    if findings.has_errors:
        return failed, findings
    stored = flow.draft if wanted.graph is None and flow is not None else wanted.graph
    drawing, findings = await queries.check(session, stored, wanted.flow_id)
    graph = drawing.graph()
    if graph is None:
        return failed, findings
    graphs = {**versions.graphs(await versions.reached(session, versions.jumps(graph))), flow_id: graph}
    organization = await organizations.current(session, organization_id)
    around = await surroundings.read(session, organization, contact, graphs.values(), now=wanted.at)
    script = Script(wanted.replies, wanted.effects, await _template_texts(session, drawing))
    state = RunState.begin(flow_id, wanted.variables)
    return simulation.simulate(graphs, state, script, around, findings), findings


async def _named(session: AsyncSession, wanted: Rehearsal, findings: Findings) -> tuple[Flow | None, Contact | None]:
    flow, contact = None, None
    if wanted.flow_id is not None:
        flow = (await queries.by_ids(session, [wanted.flow_id])).get(wanted.flow_id)
        if flow is None or flow.deleted_at is not None:
            findings.blame(None, "Nothing was found by this id.", "flowId")
    if wanted.contact_id is not None:
        contact = (await contacts.by_ids(session, [wanted.contact_id])).get(wanted.contact_id)
        if contact is None:
            findings.blame(None, "Nothing was found by this id.", "contactId")
    return flow, contact


async def _template_texts(session: AsyncSession, drawing: Drawing) -> Callable[[Say], str]:
    """What people read of the templates that the flow names."""
    ids = [reference.id for reference in named_in(drawing) if reference.type_name == "MessageTemplate"]
    known = await channel_templates.by_ids(session, ids) if ids else {}

    def text(said: Say) -> str:
        template = known.get(said.template_id) if said.template_id else None
        return channel_templates.preview(template, said.template_variables) if template else said.text

    return text
