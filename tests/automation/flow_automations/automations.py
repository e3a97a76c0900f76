"""A desk with a published flow and contacts, automations of it made through the door, and ticks by its own clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.automation.flow_automations import tick
from pytake_gql.automation.flow_automations.models import FlowAutomation
from pytake_gql.automation.flow_executions.models import FlowExecution
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from tests.automation.flow_executions.campaign import Campaign
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk

AUTOMATION = """id name description status statusReason nextFiringAt lastFiredAt revision audience audienceSize
    variables pauseOnFailure limits { maxConcurrent ratePerMinute maxAttempts } flow { id } channel { id }
    schedule { timezone recurrence summary startsAt endsAt count skipWeekends skipHolidays overlap catchUp
        catchUpSeconds jitterSeconds window { opensAt closesAt policy }
        exceptions { kind from to reason rescheduleTo time limits { maxConcurrent ratePerMinute maxAttempts } } }
    upcoming(count: 3) { scheduledFor firesAt outcome reasonCode }
    executions(first: 10) { totalCount nodes { id trigger status scheduledFor reason isDryRun automation { id } } }"""
ERRORS = "userErrors { code field message }"
CREATE = f"""mutation ($input: CreateFlowAutomationInput!) {{
    createFlowAutomation(input: $input) {{ flowAutomation {{ {AUTOMATION} }} {ERRORS} }} }}"""
UPDATE = f"""mutation ($input: UpdateFlowAutomationInput!) {{
    updateFlowAutomation(input: $input) {{ flowAutomation {{ {AUTOMATION} }} {ERRORS} }} }}"""
STATUS = f"""mutation ($input: SetAutomationStatusInput!) {{
    setAutomationStatus(input: $input) {{ flowAutomation {{ {AUTOMATION} }} {ERRORS} }} }}"""
DELETE = f"""mutation ($input: DeleteFlowAutomationInput!) {{
    deleteFlowAutomation(input: $input) {{ flowAutomation {{ id name }} {ERRORS} }} }}"""
RUN = f"""mutation ($input: RunFlowAutomationInput!) {{
    runFlowAutomation(input: $input) {{
        execution {{ id status trigger isDryRun triggeredBy {{ id }} }} {ERRORS} }} }}"""
BACKFILL = f"""mutation ($input: BackfillFlowAutomationInput!) {{
    backfillFlowAutomation(input: $input) {{ executions {{ id trigger scheduledFor status }} {ERRORS} }} }}"""
READ = f"query ($id: ID!) {{ flowAutomation(id: $id) {{ {AUTOMATION} }} }}"
DAILY = {"timezone": "America/Sao_Paulo", "recurrence": {"daily": {"times": ["09:00"]}}}


def refusals(payload: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["code"], ".".join(error["field"] or [])) for error in payload["userErrors"]]


@dataclass
class Automations:
    campaign: Campaign
    admin: Client

    async def later(self, clock: TravellingClock, **by: float) -> None:
        """Travels, and signs an admin in there: sessions do not last."""
        clock.advance(**by)
        _, self.admin = await self.desk.colleague(Role.ORG_ADMIN, serves=False)

    @property
    def desk(self) -> Desk:
        return self.campaign.desk

    @property
    def version(self) -> FlowVersion:
        return self.campaign.version

    @property
    def organization_id(self) -> UUID:
        return self.desk.organization.id

    def now(self) -> datetime:
        return self.desk.make.ports.clock.now()

    def given(self, **values: Any) -> dict[str, Any]:
        return {
            "name": "Bom dia",
            "flowId": global_id("Flow", self.version.flow_id),
            "channelId": global_id("Channel", self.campaign.channel.id),
            "audience": {"all": True},
            **values,
        }

    async def create(self, **values: Any) -> dict[str, Any]:
        payload = await self.admin.ask(CREATE, input=self.given(**values))
        assert payload["userErrors"] == []
        made: dict[str, Any] = payload["flowAutomation"]
        return made

    async def refused(self, **values: Any) -> list[tuple[str, str]]:
        """Of a creation; nothing was made."""
        before = len(await self.rows(FlowAutomation))
        payload = await self.admin.ask(CREATE, input=self.given(**values))
        assert payload["flowAutomation"] is None
        assert len(await self.rows(FlowAutomation)) == before
        return refusals(payload)

    async def change(self, document: str, **given: Any) -> dict[str, Any]:
        payload: dict[str, Any] = await self.admin.ask(document, input=given)
        return payload

    async def read(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.admin.ask(READ, id=id_)
        return found

    async def row(self, id_: str) -> FlowAutomation:
        (row,) = await self.rows(FlowAutomation, col(FlowAutomation.id) == UUID(id_.rpartition("_")[2]))
        assert isinstance(row, FlowAutomation)
        return row

    async def tick(self) -> None:
        """By the tests' clock, and of everybody's: what is asserted is the own history."""
        await tick.tick(self.desk.make.ports, self.now())

    async def history(self, id_: str) -> list[tuple[str, str]]:
        """Nominal instant and status of each execution, the oldest first."""
        of = col(FlowExecution.automation_id) == UUID(id_.rpartition("_")[2])
        rows = sorted(await self.rows(FlowExecution, of), key=lambda row: (row.scheduled_for, row.id))
        return [(f"{row.scheduled_for:%Y-%m-%dT%H:%M}", row.status.value) for row in rows]

    async def rows(self, model: Any, *which: Any) -> Sequence[Any]:
        async with self.desk.make.ports.database.session(self.organization_id) as session:
            return list((await session.execute(select(model).where(*which))).scalars())

    async def set(self, model: Any, id_: UUID, **values: Any) -> None:
        async with self.desk.make.ports.units.of_system(self.organization_id) as uow:
            await uow.session.execute(sa.update(model).where(model.id == id_).values(**values))
