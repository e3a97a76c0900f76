"""An automation of a desk's web chat, contacts that have been there, and executions of it, run as workers do."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.automation.flow_automations.models import FlowAutomation
from pytake_gql.automation.flow_executions import jobs, queries, service
from pytake_gql.automation.flow_executions.models import (
    ExecutionRecipient,
    ExecutionStatus,
    ExecutionTrigger,
    FlowExecution,
    RecipientStatus,
)
from pytake_gql.automation.flow_executions.service import Firing
from pytake_gql.automation.flow_executions.snapshots import Audience, Limits, Snapshot
from pytake_gql.automation.flow_runs import jobs as run_jobs
from pytake_gql.automation.flow_runs import service as runs
from pytake_gql.automation.flows.models import Flow, FlowVersion
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.desk.conversations import jobs as deliveries
from pytake_gql.desk.conversations import messages
from pytake_gql.desk.conversations.models import Message, MessageDirection
from pytake_gql.desk.conversations.ports import ChannelPort, Outgoing
from pytake_gql.desk.visitors import service as visitors
from pytake_gql.kernel.ports import Ports
from tests.automation.flow_runs.bots import graph
from tests.desk.desk import Desk
from tests.factories import Visitor

FAST = Limits(max_concurrent=1000, rate_per_minute=60_000, max_attempts=3)
HELLO = graph({"s": "START", "m": ("MESSAGE", {"text": "Olá {{contact.name}}"}), "e": "END"}, "s -> m", "m -> e")
ASKS = graph(
    {"s": "START", "q": ("QUESTION", {"text": "Tudo bem?", "variable": "resposta", "type": "TEXT"}), "e": "END"},
    "s -> q",
    "q -> e",
)


@dataclass
class Recorder:
    """A channel that writes down what it is given, and answers what it is told to, if anything."""

    is_idempotent: bool = False
    answers: list[str | BaseException] = field(default_factory=list)
    sent: list[Outgoing] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event | None = None

    def parts(self, message: Outgoing) -> list[Outgoing]:
        return [message]

    async def send(self, message: Outgoing) -> str | None:
        self.sent.append(message)
        self.asked.set()
        if self.may_answer is not None:
            await self.may_answer.wait()
        answer = self.answers.pop(0) if self.answers else f"provider-{message.message_id.hex}"
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Campaign:
    desk: Desk
    version: FlowVersion
    automation_id: UUID
    channel: Channel

    @property
    def ports(self) -> Ports:
        return self.desk.make.ports

    @property
    def organization_id(self) -> UUID:
        return self.desk.organization.id

    async def contacts(self, count: int = 1, **values: Any) -> list[Contact]:
        """Contacts that have been on the channel."""
        now = self.ports.clock.now()
        made = [Contact(**{"name": f"Cliente {number}", "created_at": now, **values}) for number in range(count)]
        async with self.ports.units.of_system(self.organization_id) as uow:
            uow.session.add_all(made)
            await uow.session.flush()
            uow.session.add_all(
                ContactIdentity(
                    contact_id=contact.id, channel_id=self.channel.id, external_id=uuid4().hex, created_at=now
                )
                for contact in made
            )
        return made

    def firing(self, **values: Any) -> Firing:
        snapshot = {name: values.pop(name) for name in ("audience", "variables", "limits", "spans") if name in values}
        given = {
            "automation_id": self.automation_id,
            "trigger": ExecutionTrigger.MANUAL,
            "scheduled_for": self.ports.clock.now(),
            "version_id": self.version.id,
            "channel_id": self.channel.id,
            "snapshot": Snapshot(**{"limits": FAST, "audience": Audience(), **snapshot}),
        }
        return Firing(**{**given, **values})

    async def fire(self, **values: Any) -> UUID:
        async with self.ports.units.of_system(self.organization_id) as uow:
            return (await service.create(uow, self.firing(**values))).id

    @staticmethod
    def limits(**values: int) -> Limits:
        return replace(FAST, **values)

    async def is_due(self, execution_id: UUID) -> bool:
        async with self.ports.database.session(None) as session:
            found = await service.due(session, self.ports.clock.now(), 10_000)
        return (self.organization_id, execution_id) in found

    async def known(self, visitor: Visitor) -> Contact:
        """The contact that the visitor is, without a word said."""
        async with self.ports.units.of_system(self.organization_id) as uow:
            _, contact = await contacts.identify(uow, self.channel.id, visitor.principal.external_id, name="Bia")
        return contact

    async def wrote(self, contact: Contact, at: datetime) -> None:
        """When the contact last wrote on the channel."""
        async with self.ports.units.of_system(self.organization_id) as uow:
            theirs = col(ContactIdentity.contact_id) == contact.id
            await uow.session.execute(sa.update(ContactIdentity).where(theirs).values(last_wrote_at=at))

    async def say(self, visitor: Visitor, text: str) -> None:
        async with self.ports.units.open(visitor.principal) as uow:
            await visitors.write(uow, visitor.principal, visitors.Saying(text), key=None)

    async def step(self) -> None:
        """Takes the steps of runs that are due."""
        async with self.ports.database.session(None) as session:
            due = await runs.due(session, self.ports.clock.now(), 1000)
        for of, id_ in due:
            if of == self.organization_id:
                await run_jobs.step_flow_run(self.ports, of, id_)

    async def deliver(self, channel: ChannelPort | None = None) -> None:
        """Delivers the messages that are due."""
        by_kind = {self.channel.kind: channel} if channel else self.ports.adapters[ChannelPort]
        async with self.ports.database.session(None) as session:
            due = await messages.due(session, self.ports.clock.now(), 10_000)
        for of, id_ in due:
            if of == self.organization_id:
                await deliveries.deliver_message(self.ports, by_kind, of, id_)

    async def messages(self) -> Sequence[Message]:
        return await self.rows(Message, col(Message.direction) == MessageDirection.OUTBOUND)

    async def look(self, execution_id: UUID, channel: ChannelPort | None = None) -> bool:
        """One job."""
        by_kind = {self.channel.kind: channel} if channel else self.ports.adapters[ChannelPort]
        return await jobs.run_execution(self.ports, by_kind, self.organization_id, execution_id)

    async def begin(self, execution_id: UUID, channel: ChannelPort | None = None) -> None:
        """Looks until the first chunk was sent; the buckets begin empty."""
        async with asyncio.timeout(10):
            while not await self.look(execution_id, channel):
                await asyncio.sleep(0.01)

    async def finish(
        self, execution_id: UUID, channel: ChannelPort | None = None, *, looks: int = 200
    ) -> FlowExecution:
        """Looks, as workers do, until it has ended."""
        for _ in range(looks):
            await self.look(execution_id, channel)
            execution = await self.execution(execution_id)
            if execution.finished_at is not None:
                return execution
            await asyncio.sleep(0.01)
        raise AssertionError((execution.status, await self.counts(execution_id)))

    async def execution(self, execution_id: UUID) -> FlowExecution:
        async with self.ports.database.session(self.organization_id) as session:
            return (await service.by_ids(session, [execution_id]))[execution_id]

    async def counts(self, execution_id: UUID) -> dict[str, int]:
        async with self.ports.database.session(self.organization_id) as session:
            found = (await queries.counts(session, [execution_id]))[execution_id]
        return {status.value: number for status, number in found.items()}

    async def recipients(self, execution_id: UUID) -> Sequence[ExecutionRecipient]:
        return await self.rows(ExecutionRecipient, ExecutionRecipient.execution_id == execution_id)

    async def recipient(self, execution_id: UUID) -> ExecutionRecipient:
        (row,) = await self.recipients(execution_id)
        return row

    async def said(self) -> list[str]:
        """What contacts were told, all of them."""
        return [row.text or "" for row in await self.messages()]

    async def rows(self, model: Any, *criteria: Any) -> Sequence[Any]:
        async with self.ports.database.session(self.organization_id) as session:
            rows: Sequence[Any] = (
                (await session.execute(select(model).where(*criteria).order_by(model.id))).scalars().all()
            )
            return rows

    async def change(self, model: Any, id_: UUID, **values: Any) -> None:
        async with self.ports.units.of_system(self.organization_id) as uow:
            await uow.session.execute(sa.update(model).where(model.id == id_).values(**values))


async def publish(desk: Desk, drawn: Mapping[str, Any]) -> FlowVersion:
    now = desk.make.ports.clock.now()
    name = f"Fluxo {uuid4().hex[:8]}"
    flow = Flow(name=name, draft=dict(drawn), published_number=1, created_at=now, updated_at=now)
    version = FlowVersion(flow_id=flow.id, number=1, graph=dict(drawn), published_at=now)
    await desk.make.save(desk.organization.id, flow, version)
    return version


async def plan(desk: Desk, drawn: Mapping[str, Any] = HELLO, channel: Channel | None = None) -> Campaign:
    version, channel = await publish(desk, drawn), channel or desk.channel
    now: datetime = desk.make.ports.clock.now()
    automation = FlowAutomation(
        name=f"Automação {uuid4().hex[:8]}",
        flow_id=version.flow_id,
        channel_id=channel.id,
        audience={"all": True},
        max_concurrent=1000,
        rate_per_minute=60_000,
        max_attempts=3,
        created_at=now,
        updated_at=now,
    )
    await desk.make.save(desk.organization.id, automation)
    return Campaign(desk, version, automation.id, channel)


__all__ = [
    "ASKS",
    "HELLO",
    "Campaign",
    "ChannelKind",
    "ExecutionStatus",
    "RecipientStatus",
    "Recorder",
    "plan",
    "publish",
]
