"""A busy floor for the state machine: what people, visitors and workers do there, at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlmodel import select

from pytake_gql.desk.conversations import jobs as due_work
from pytake_gql.desk.conversations import messages
from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.models import Queue, RoutingStrategy
from pytake_gql.desk.routing import engine, pulls, roster
from pytake_gql.desk.routing import service as routing
from pytake_gql.desk.skills.models import Skill
from pytake_gql.desk.sla import jobs as sla_jobs
from pytake_gql.desk.sla import service as sla
from pytake_gql.desk.visitors import service as visitors
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import MemberPrincipal, Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import jobs as member_jobs
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members.models import Availability
from tests.desk.routing import promises
from tests.factories import Factory, Visitor

AGENTS, VISITORS_A_CHANNEL = 4, 3
_EVERYBODY = 10_000
"""More than a sweep over the whole test database finds."""


class StandingClock:
    """Stands still but for one microsecond a look, so that no two instants are the same."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at


class Verb(StrEnum):
    """What somebody does, in one transaction; WAKE is a worker's, ROUTE_… are the engine's."""

    WRITE = "WRITE"
    REPLY = "REPLY"
    PULL = "PULL"
    ASSIGN = "ASSIGN"
    FORCE = "FORCE"
    UNASSIGN = "UNASSIGN"
    TO_QUEUE = "TO_QUEUE"
    TO_MEMBER = "TO_MEMBER"
    CLOSE = "CLOSE"
    REOPEN = "REOPEN"
    SNOOZE = "SNOOZE"
    WAKE = "WAKE"
    ROUTE_QUEUE = "ROUTE_QUEUE"
    ROUTE_MEMBER = "ROUTE_MEMBER"
    CHOOSE = "CHOOSE"
    CAPACITY = "CAPACITY"
    ACTIVITY = "ACTIVITY"
    SERVE = "SERVE"
    LEARN = "LEARN"
    SWITCH = "SWITCH"


_OF_ADMINS = {Verb.FORCE, Verb.REOPEN, Verb.TO_QUEUE, Verb.UNASSIGN}
"""So that they meet any conversation; what agents do meets those that they see."""


@dataclass(frozen=True, slots=True)
class Act:
    """`who` is a member or a visitor, `which` a conversation or a queue, `how` the rest; all wrap around."""

    verb: Verb
    who: int
    which: int
    how: int


@dataclass
class Floor:
    """One organization: four agents, an admin, three queues with a web chat each."""

    ports: Ports
    clock: StandingClock
    jobs: list[Job]
    organization_id: UUID
    agents: Sequence[MemberPrincipal]
    admin: MemberPrincipal
    queues: Sequence[Queue]
    skills: Sequence[Skill]
    visitors: Sequence[Visitor]
    known: list[UUID] = field(default_factory=list)
    """The conversations, in the order of their beginning."""
    limits: dict[UUID, int] = field(default_factory=dict)
    """How many each member may have by now, whatever the order of what was done since the last look (D11)."""

    @classmethod
    async def built(cls, ports: Ports, clock: StandingClock, jobs: list[Job]) -> "Floor":
        make = Factory(ports)
        organization = await make.organization()
        rows = [
            await make.member(organization, name=f"Ana {n}", availability=Availability.ONLINE, capacity=2)
            for n in range(AGENTS)
        ]
        admin = await make.member(organization, Role.ORG_ADMIN)
        mandatory, preferred = await make.skill(organization), await make.skill(organization)
        skilled = await make.queue(
            organization, *rows[1:], routing_strategy=RoutingStrategy.SKILLS_BASED, relax_skills_after_seconds=10
        )
        await make.requires(skilled, mandatory, min_level=2)
        await make.requires(skilled, preferred, min_level=3, is_mandatory=False)
        for level, row in enumerate(rows[1:], 2):
            await make.masters(row, mandatory, level)
        targets = {"first_response_minutes": 1, "next_response_minutes": 1, "resolution_minutes": 5}
        small = await make.queue(organization, *rows[:3], max_size=2, overflow_queue_id=skilled.id, **targets)
        large = await make.queue(organization, *rows, routing_strategy=RoutingStrategy.LOAD_BALANCE, priority=60)
        channels = [await make.channel(organization, queue_id=it.id) for it in (small, skilled, large)]
        return cls(
            ports=ports,
            clock=clock,
            jobs=jobs,
            organization_id=organization.id,
            agents=[(await make.signed_in(row)).principal for row in rows],
            admin=(await make.signed_in(admin)).principal,
            queues=(small, skilled, large),
            skills=(mandatory, preferred),
            visitors=[await make.visitor(channel) for channel in channels for _ in range(VISITORS_A_CHANNEL)],
        )

    async def do(self, acts: Sequence[Act]) -> None:
        """All at once, each in a transaction and on a connection of its own; refusals are as good as any answer."""
        outcomes = await asyncio.gather(*(self._do(act) for act in acts), return_exceptions=True)
        failures = [it for it in outcomes if isinstance(it, BaseException) and not isinstance(it, Refusal)]
        if failures:
            raise BaseExceptionGroup(f"{acts}", failures)

    async def kill(self, acts: Sequence[Act], delays: Sequence[float]) -> None:
        """Workers that route die in the middle of it, their connections with them, while people go on."""
        doomed = [
            asyncio.create_task(engine.route_queue(self.ports, self.organization_id, queue.id))
            for queue in self.queues
            for _ in delays
        ]

        async def reap(task: asyncio.Task[int], delay: float) -> None:
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

        reaping = (reap(task, delays[index % len(delays)]) for index, task in enumerate(doomed))
        await asyncio.gather(self.do(acts), *reaping)

    async def travel(self, seconds: float, connected: Sequence[int]) -> None:
        """Time passes; those who are connected say so, in each third of it."""
        for _ in range(3):
            self.clock.at += timedelta(seconds=seconds / 3)
            async with self.ports.units.of_system(self.organization_id) as uow:
                await presence.beat(uow, {self.agents[index].member_id for index in connected})

    async def deliver(self) -> None:
        """The wake-ups of routing that transactions left, as several workers take them."""
        work = {"route_queue": engine.route_queue, "route_member": engine.route_member}
        waiting = dict.fromkeys(job for job in self.jobs if job.name in work)
        self.jobs.clear()
        await asyncio.gather(*(work[job.name](self.ports, *map(UUID, job.arguments)) for job in waiting))

    async def sweep(self) -> None:
        """What a worker does every few seconds; then nobody idles while somebody waits (D16)."""
        self.jobs.clear()
        due: Mapping[Callable[..., Awaitable[object]], Callable[..., Awaitable[Sequence[tuple[UUID, UUID]]]]] = {
            due_work.wake_conversation: conversations.due_to_wake,
            member_jobs.lose_member: presence.due,
            sla_jobs.record_breaches: sla.due,
            engine.route_queue: engine.routable,
        }
        for work, find in due.items():
            now = self.clock.now()
            async with self.ports.database.session(None) as session:
                found = [it for of, it in await find(session, now, _EVERYBODY) if of == self.organization_id]
            for id_ in found:
                await work(self.ports, self.organization_id, id_)
            async with self.ports.database.session(None) as session:
                left = [it for of, it in await find(session, now, _EVERYBODY) if of == self.organization_id]
            assert find is engine.routable or not left, f"{work} left {left}"
        await self._nobody_idles(now)

    async def _nobody_idles(self, swept_at: datetime) -> None:
        async with self.ports.database.session(self.organization_id) as session:
            rows = await queues.by_ids(session, [queue.id for queue in self.queues])
            known = await roster.read(session, list(rows.values()), self.clock.now())
            waiting = select(Conversation).where(Conversation.status == ConversationStatus.QUEUED)
            for row in (await session.execute(waiting)).scalars():
                if row.queue_id is None or not rows[row.queue_id].is_active:
                    continue
                chosen = known[row.queue_id].contest().rank(engine.waited_seconds(row, swept_at)).chosen
                assert chosen is None, f"D16: {chosen} idles while {row.number} waits"

    async def _do(self, act: Act) -> None:
        match act.verb:
            case Verb.ROUTE_QUEUE:
                await engine.route_queue(self.ports, self.organization_id, self._queue(act.which).id)
            case Verb.ROUTE_MEMBER:
                await engine.route_member(self.ports, self.organization_id, self._member(act.who))
            case Verb.CAPACITY | Verb.ACTIVITY | Verb.SERVE | Verb.LEARN | Verb.SWITCH:
                async with self.ports.units.open(self.admin) as uow:
                    await self._set_up(uow, act)
            case Verb.WRITE:
                visitor = self.visitors[act.who % len(self.visitors)].principal
                async with self.ports.units.open(visitor) as uow:
                    await visitors.write(uow, visitor, visitors.Saying("Olá"), key=None)
            case Verb.PULL:
                queue_id = self._queue(act.which).id if act.how % 2 else None
                await pulls.pull(self.ports, pulls.Pull(self.agents[act.who % AGENTS], queue_id=queue_id))
            case Verb.CHOOSE:
                agent = self.agents[act.who % AGENTS]
                async with self.ports.units.open(agent) as uow:
                    await members.set_availability(uow, agent, list(Availability)[act.how % 4])
            case _ if self.known:
                by = self.admin if act.verb in _OF_ADMINS else self.agents[act.who % AGENTS]
                async with self.ports.units.open(by) as uow:
                    await self._move(uow, act, self.known[act.which % len(self.known)])

    async def _set_up(self, uow: UnitOfWork, act: Act) -> None:
        member_id = self._member(act.who)
        some_queues = [queue.id for bit, queue in enumerate(self.queues) if act.how >> bit + 1 & 1]
        doing: Awaitable[object]
        match act.verb:
            case Verb.CAPACITY:
                capacity = act.how % 4
                self.limits[member_id] = max(self.limits[member_id], capacity)
                doing = members.update(uow, member_id, {"capacity": capacity})
            case Verb.ACTIVITY:
                doing = members.update(uow, member_id, {"is_active": bool(act.how % 3)})
            case Verb.SERVE if act.how % 2:
                doing = members.update(uow, member_id, {"queue_ids": some_queues})
            case Verb.SERVE:
                some = [it.member_id for bit, it in enumerate(self.agents) if act.how >> bit + 1 & 1]
                doing = queues.update(uow, self._queue(act.which).id, {"member_ids": some})
            case Verb.LEARN:
                levels = [(skill.id, act.how // 6**place % 6) for place, skill in enumerate(self.skills)]
                doing = members.update(uow, member_id, {"skills": [it for it in levels if it[1]]})
            case _:
                doing = queues.update(uow, self._queue(act.which).id, {"is_active": bool(act.how % 3)})
        await doing

    async def _move(self, uow: UnitOfWork, act: Act, id_: UUID) -> None:
        other = self._member(act.how)
        doing: Awaitable[object]
        match act.verb:
            case Verb.REPLY:
                doing = messages.send(uow, id_, messages.Draft("Pois não?"), idempotency_key=None)
            case Verb.ASSIGN:
                doing = routing.assign(uow, id_, other, force=False)
            case Verb.FORCE:
                self.limits[other] += 1
                doing = routing.assign(uow, id_, other, force=True)
            case Verb.UNASSIGN:
                doing = routing.assign(uow, id_, None, force=False)
            case Verb.TO_QUEUE:
                queue_id = self._queue(act.how).id
                doing = routing.transfer(uow, id_, queue_id=queue_id, member_id=None, note="Vai")
            case Verb.TO_MEMBER:
                doing = routing.transfer(uow, id_, queue_id=None, member_id=other, note=None)
            case Verb.CLOSE:
                doing = conversations.close(uow, id_)
            case Verb.REOPEN:
                doing = conversations.reopen(uow, id_)
            case Verb.SNOOZE:
                doing = conversations.snooze(uow, id_, uow.now() + timedelta(seconds=1 + act.how))
            case _:
                doing = conversations.wake(uow, id_)
        await doing

    def _member(self, index: int) -> UUID:
        return self.agents[index % AGENTS].member_id

    def _queue(self, index: int) -> Queue:
        return self.queues[index % len(self.queues)]

    async def check(self) -> None:
        """What must hold at every instant; looks again at who may have how many."""
        async with self.ports.database.session(self.organization_id) as session:
            seen = await promises.read(session)
        promises.check(seen, self.limits)
        self.known = [row.id for row in seen.conversations]
        self.limits = {member.id: max(member.capacity, member.load) for member in seen.members.values()}
