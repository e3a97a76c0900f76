"""A desk whose web chat is greeted by a flow, and a visitor who talks to it: the real run, by the real doors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.automation.ai.ports import AssistantFailed, Request
from pytake_gql.automation.flow_runs import jobs, service
from pytake_gql.automation.flow_runs.models import FlowRun, FlowRunStep
from pytake_gql.automation.flow_runs.outside import Outside
from pytake_gql.automation.flows.models import Flow, FlowVersion
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.desk.visitors import service as visitors
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.public_http import Answer, Call, CallFailed
from tests.client import Client
from tests.desk.desk import Desk
from tests.factories import Visitor

SAY = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
    message { seq } userErrors { code } } }"""
CHAT = """{ visitorChat { status messages(first: 100) { nodes { isFromVisitor text options { value title } } } } }"""


def graph(nodes: Mapping[str, Any], *edges: str) -> dict[str, Any]:
    """Nodes by id, as (kind, settings) or a bare kind; edges as `from -> to` or `from:handle -> to`."""
    drawn = []
    for node_id, told in nodes.items():
        kind, settings = (told, {}) if isinstance(told, str) else told
        drawn.append({"nodeId": node_id, "kind": kind, "settings": dict(settings)})
    ways = []
    for edge in edges:
        left, target = edge.split(" -> ")
        source, _, handle = left.partition(":")
        ways.append({"source": source, "handle": handle or "next", "target": target})
    return {"nodes": drawn, "edges": ways}


@dataclass
class Recorder:
    """The outside world: it writes down what is asked, and answers what it is told to."""

    calls: list[Call] = field(default_factory=list)
    questions: list[Request] = field(default_factory=list)
    answers: list[Answer | CallFailed] = field(default_factory=list)
    replies: list[str | AssistantFailed] = field(default_factory=list)

    async def call(self, call: Call) -> Answer:
        self.calls.append(call)
        told = self.answers.pop(0)
        if isinstance(told, CallFailed):
            raise told
        return told

    async def answer(self, request: Request) -> str:
        self.questions.append(request)
        told = self.replies.pop(0)
        if isinstance(told, AssistantFailed):
            raise told
        return told


@dataclass
class Bot:
    desk: Desk
    world: Recorder = field(default_factory=Recorder)

    @property
    def ports(self) -> Ports:
        return self.desk.make.ports

    @property
    def organization_id(self) -> UUID:
        return self.desk.organization.id

    async def publish(self, drawn: Mapping[str, Any], *, of: Flow | None = None) -> FlowVersion:
        """The next version of that flow, or the first of a new one."""
        now, number = self.ports.clock.now(), 1 if of is None else (of.published_number or 0) + 1
        made = Flow(name=f"Fluxo {uuid4().hex[:8]}", draft=dict(drawn), created_at=now, updated_at=now)
        flow = of or made
        async with self.ports.units.of_system(self.organization_id) as uow:
            if of is None:
                uow.add(flow)
                await uow.session.flush()
            version = FlowVersion(flow_id=flow.id, number=number, graph=dict(drawn), published_at=now)
            uow.add(version)
            is_it = col(Flow.id) == flow.id
            await uow.session.execute(sa.update(Flow).where(is_it).values(published_number=number))
        return version

    async def flow_of(self, version: FlowVersion) -> Flow:
        async with self.ports.database.session(self.organization_id) as session:
            return (await session.execute(select(Flow).where(Flow.id == version.flow_id))).scalar_one()

    async def greets(self, version: FlowVersion | None) -> None:
        """The channel's new conversations are that flow's from now on."""
        async with self.ports.units.of_system(self.organization_id) as uow:
            of = col(Channel.id) == self.desk.channel.id
            await uow.session.execute(sa.update(Channel).where(of).values(flow_id=version and version.flow_id))

    async def visitor(self, version: FlowVersion | None = None) -> "Talk":
        """A new visitor, whom that flow greets."""
        if version is not None:
            await self.greets(version)
        visitor = await self.desk.make.visitor(self.desk.channel)
        return Talk(self, Client(self.desk.http, visitor.token), visitor)

    async def drain(self) -> int:
        """Takes every step that is due, as workers do; answers how many there were."""
        outside, taken = Outside(self.world, self.world), 0
        while True:
            async with self.ports.database.session(None) as session:
                now = self.ports.clock.now()
                runs = [id_ for of, id_ in await service.due(session, now, 1000) if of == self.organization_id]
                asked = [id_ for of, id_ in await service.due_effects(session, now, 1000) if of == self.organization_id]
            if not runs and not asked:
                return taken
            for run_id in runs:
                taken += await jobs.step_flow_run(self.ports, self.organization_id, run_id)
            for effect_id in asked:
                taken += await jobs.perform_flow_effect(self.ports, outside, self.organization_id, effect_id)

    async def rows(self, model: Any, *criteria: Any) -> Sequence[Any]:
        async with self.ports.database.session(self.organization_id) as session:
            rows = await session.execute(select(model).where(*criteria).order_by(model.id))
            return list(rows.scalars())

    async def run_of(self, conversation_id: UUID) -> FlowRun:
        runs: Sequence[FlowRun] = await self.rows(FlowRun, FlowRun.conversation_id == conversation_id)
        return runs[-1]

    async def path_of(self, run: FlowRun) -> list[tuple[str, str | None]]:
        async with self.ports.database.session(self.organization_id) as session:
            steps = (await service.steps_of(session, [run.id]))[run.id]
        assert [step.position for step in steps] == list(range(1, len(steps) + 1))
        return [(step.node_id, step.left_by) for step in steps]


@dataclass
class Talk:
    """One visitor in the bot's web chat."""

    bot: Bot
    client: Client
    visitor: Visitor
    conversation_id: UUID | None = None

    async def say(self, text: str | None = None, *, option: str | None = None, is_drained: bool = True) -> None:
        told = await self.client.ask(SAY, input={"text": text, "option": option})
        assert told["userErrors"] == [], told
        if is_drained:
            await self.bot.drain()

    async def write(self, text: str) -> None:
        """The same past the door, for those who are many."""
        async with self.bot.ports.units.open(self.visitor.principal) as uow:
            row, _ = await visitors.write(uow, self.visitor.principal, visitors.Saying(text), key=None)
            self.conversation_id = row.id

    async def chat(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.client.ask(CHAT)
        return found

    async def heard(self) -> list[str]:
        """What the visitor reads: `> ` stands before the visitor's own words."""
        nodes = (await self.chat())["messages"]["nodes"]
        return [("> " if node["isFromVisitor"] else "") + (node["text"] or "") for node in nodes]

    async def status(self) -> str:
        return str((await self.chat())["status"])

    async def conversation(self) -> Conversation:
        if self.conversation_id is None:
            self.conversation_id = id_of((await self.client.ask("{ visitorChat { id } }"))["id"])
        rows: Sequence[Conversation] = await self.bot.rows(Conversation, Conversation.id == self.conversation_id)
        return rows[0]

    async def run(self) -> FlowRun:
        return await self.bot.run_of(self.conversation_id or (await self.conversation()).id)

    async def path(self) -> list[tuple[str, str | None]]:
        return await self.bot.path_of(await self.run())

    async def messages(self) -> Sequence[Message]:
        rows: Sequence[Message] = await self.bot.rows(
            Message, Message.conversation_id == (await self.conversation()).id
        )
        return rows


def flow_id(version: FlowVersion) -> str:
    return global_id("Flow", version.flow_id)


def steps(rows: Sequence[FlowRunStep]) -> list[str]:
    return [row.node_id for row in rows]
