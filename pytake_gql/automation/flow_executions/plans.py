"""What a chunk works with besides its recipients: read once, before the first of them begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.automation.flow_executions.models import FlowExecution
from pytake_gql.automation.flow_executions.snapshots import Limits, Snapshot
from pytake_gql.automation.flow_runs import pins
from pytake_gql.automation.flows import surroundings, templates, versions
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.automation.flows.run import Surroundings
from pytake_gql.automation.flows.templates import Scope, Value
from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel, ChannelStatus
from pytake_gql.desk.channels.ports import Account
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations
from pytake_gql.tenancy.organizations.models import Organization


class CannotBegin(Exception):
    """Nobody can be reached by this execution; the message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    execution_id: UUID
    is_dry_run: bool
    channel: Channel
    account: Account | None
    """Of a channel with a provider."""
    version: FlowVersion
    graphs: Mapping[UUID, Graph]
    organization: Organization
    templates: Mapping[str, Any]
    limits: Limits

    @property
    def locale(self) -> str:
        return self.organization.locale

    async def known(self, uow: UnitOfWork, contact: Contact, *, number: int = 0, seed: int = 0) -> Surroundings:
        """What a run with this contact may know."""
        graphs = self.graphs.values()
        return await surroundings.read(
            uow.session, self.organization, contact, graphs, now=uow.now(), seed=seed, number=number
        )

    def variables(self, contact: Contact) -> tuple[dict[str, Value], list[str]]:
        """Those of the flow for this contact, and the names of what they need and the contact has not."""
        scope = Scope(surroundings.values(self.organization, contact, None), {})
        filled = {name: templates.evaluate(template, scope) for name, template in self.templates.items()}
        return filled, scope.missing


async def make(uow: UnitOfWork, execution: FlowExecution) -> Plan:
    """Raises `CannotBegin`."""
    organization = await organizations.current(uow.session, uow.organization_id)
    channel = await _channel(uow, execution, organization.locale)
    statement = select(FlowVersion).where(col(FlowVersion.id) == execution.version_id)
    version = (await uow.session.execute(statement)).scalar_one()
    pinned = await pins.of_version(uow.session, version)
    known = await versions.graphs_by_ids(uow.session, [UUID(id_) for id_ in pinned.values()])
    snapshot = Snapshot.from_json(execution.snapshot)
    has_provider = kinds.KINDS[channel.kind].has_provider
    return Plan(
        execution_id=execution.id,
        is_dry_run=execution.is_dry_run,
        channel=channel,
        account=await channels.account(uow.session, uow.settings, channel) if has_provider else None,
        version=version,
        graphs={UUID(flow_id): known[UUID(id_)] for flow_id, id_ in pinned.items()},
        organization=organization,
        templates=snapshot.variables,
        limits=snapshot.limits,
    )


async def _channel(uow: UnitOfWork, execution: FlowExecution, locale: str) -> Channel:
    ids = [execution.channel_id] if execution.channel_id else []
    channel = next(iter((await channels.by_ids(uow.session, ids)).values()), None)
    if channel is None:
        raise CannotBegin(translate("Its channel is gone.", locale))
    if channel.status is not ChannelStatus.CONNECTED:
        reason = channel.last_error or channel.status.value
        raise CannotBegin(translate("{name} is not connected: {reason}", locale, name=channel.name, reason=reason))
    return channel
