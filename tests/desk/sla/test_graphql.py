"""Deadlines through the door: shown, paused, met, missed, and never rewritten (D5, D22, D24, D25)."""

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import select

from pytake_gql import bootstrap, duties, listeners
from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.desk.queues.models import Queue
from pytake_gql.desk.sla import jobs, service
from pytake_gql.desk.sla.events import SlaBreached
from pytake_gql.desk.sla.models import SlaClock, SlaPolicy
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.unit_of_work import UnitOfWork, UnitsOfWork
from pytake_gql.tenancy.organizations import calendar as calendars
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory

WRITE = """mutation ($text: String!) { sendVisitorMessage(input: {text: $text}) {
    message { createdAt } userErrors { code } } }"""
PULL = "mutation { pullNextConversation(input: {}) { conversation { id } emptyReason } }"
SAY = """mutation ($id: ID!, $isNote: Boolean!) {
    sendMessage(input: {conversationId: $id, text: "Oi", isNote: $isNote}) {
    message { createdAt } userErrors { code } } }"""
CLOSE = """mutation ($id: ID!) { closeConversation(input: {id: $id}) {
    conversation { closedAt } userErrors { code } } }"""
REOPEN = """mutation ($id: ID!) { reopenConversation(input: {id: $id}) {
    conversation { updatedAt } userErrors { code } } }"""
SNOOZE = """mutation ($id: ID!, $until: DateTime!) { snoozeConversation(input: {id: $id, until: $until}) {
    conversation { updatedAt } userErrors { code } } }"""
TRANSFER = """mutation ($id: ID!, $queue: ID!) { transferConversation(input: {id: $id, queueId: $queue}) {
    conversation { queue { id } } userErrors { code } } }"""
UPDATE = """mutation ($input: UpdateQueueInput!) { updateQueue(input: $input) {
    queue { id } userErrors { code field message } } }"""
UPDATE_ORGANIZATION = """mutation ($input: UpdateOrganizationInput!) { updateOrganization(input: $input) {
    organization { id } userErrors { code field } } }"""
SHOWN = """isSlaBreached firstResponseDueAt nextResponseDueAt resolutionDueAt
    slaClocks { target startedAt dueAt metAt pausedAt breachedAt }"""
READ = f"query ($id: ID!) {{ conversation(id: $id) {{ createdAt updatedAt lastSeq {SHOWN} }} }}"
BREACHES = """query ($id: ID!) { conversation(id: $id) { timeline(first: 100) { nodes { seq at
    ... on SlaBreached { target dueAt conversation { isSlaBreached } } } } } }"""
LIST = """query ($filter: ConversationFilter, $first: Int, $after: String) {
    conversations(filter: $filter, orderBy: SLA_DUE, first: $first, after: $after) {
    totalCount nodes { id } pageInfo { hasNextPage endCursor } } }"""
MINUTE = dt.timedelta(minutes=1)


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@dataclass(frozen=True)
class Chat:
    """A visitor who has written once, to a queue with targets of 2, 1 and 5 minutes; nobody is sent there."""

    desk: Desk
    visitor: Client
    id: str

    @property
    def row_id(self) -> UUID:
        parsed = parse_global_id(self.id)
        assert parsed is not None
        return parsed[1]

    async def read(self) -> Any:
        return await self.desk.admin.ask(READ, id=self.id)

    async def clocks(self) -> dict[str, Any]:
        return {clock["target"]: clock for clock in (await self.read())["slaClocks"]}

    async def dues(self) -> list[Any]:
        shown = await self.read()
        return [shown[f"{name}DueAt"] for name in ("firstResponse", "nextResponse", "resolution")]

    async def write(self) -> dt.datetime:
        return instant((await self.visitor.ask(WRITE, text="E então?"))["message"]["createdAt"])

    async def say(self, *, is_note: bool = False) -> dt.datetime:
        said = await self.desk.admin.ask(SAY, id=self.id, isNote=is_note)
        return instant(said["message"]["createdAt"])

    async def breaches(self) -> list[tuple[str, str]]:
        nodes = (await self.desk.admin.ask(BREACHES, id=self.id))["timeline"]["nodes"]
        return [(node["target"], node["dueAt"]) for node in nodes if "target" in node]

    async def sweep(self) -> bool:
        return await jobs.record_breaches(self.desk.make.ports, self.desk.organization.id, self.row_id)

    async def is_due(self) -> bool:
        ports = self.desk.make.ports
        async with ports.database.session(None) as session:
            found = await service.due(session, ports.clock.now(), 10_000)
        assert len(found) == len(set(found))
        return (self.desk.organization.id, self.row_id) in found

    async def stored(self) -> list[dict[str, Any]]:
        async with self.desk.make.ports.database.session(self.desk.organization.id) as session:
            rows = (await session.execute(select(SlaClock).order_by(SlaClock.id))).scalars()  # type: ignore[arg-type]
            return [row.model_dump() for row in rows]


TARGETS = {"first_response_minutes": 2, "next_response_minutes": 1, "resolution_minutes": 5, "auto_assign": False}


async def chat_at(desk: Desk) -> Chat:
    visitor = await desk.visitor()
    await visitor.ask(WRITE, text="Oi")
    nodes = (await desk.admin.ask("{ conversations { nodes { id number } } }"))["nodes"]
    return Chat(desk, visitor, max(nodes, key=lambda node: node["number"])["id"])


@pytest.fixture
async def chat(make: Factory, http: httpx.AsyncClient) -> Chat:
    return await chat_at(await open_desk(make, http, **TARGETS))


def plus(at: str, delta: dt.timedelta) -> str:
    return (instant(at) + delta).isoformat().replace("+00:00", "Z")


async def test_d24_both_first_deadlines_are_shown_as_soon_as_it_waits(chat: Chat) -> None:
    shown = await chat.read()
    began = shown["createdAt"]
    still = {"metAt": None, "pausedAt": None, "breachedAt": None}
    assert {name: shown[name] for name in shown.keys() - {"createdAt", "updatedAt", "lastSeq"}} == {
        "isSlaBreached": False,
        "firstResponseDueAt": plus(began, 2 * MINUTE),
        "nextResponseDueAt": None,
        "resolutionDueAt": plus(began, 5 * MINUTE),
        "slaClocks": [
            {"target": "FIRST_RESPONSE", "startedAt": began, "dueAt": plus(began, 2 * MINUTE), **still},
            {"target": "RESOLUTION", "startedAt": began, "dueAt": plus(began, 5 * MINUTE), **still},
        ],
    }


async def test_without_targets_there_are_no_clocks_and_no_rows(make: Factory, http: httpx.AsyncClient) -> None:
    chat = await chat_at(await open_desk(make, http, auto_assign=False))
    await chat.desk.agent.ask(PULL)
    await chat.say()
    await chat.write()
    shown = await chat.read()
    assert (shown["isSlaBreached"], shown["slaClocks"], await chat.dues()) == (False, [], [None, None, None])
    async with make.ports.database.session(chat.desk.organization.id) as session:
        assert (await session.execute(select(SlaPolicy))).first() is None
    assert await chat.stored() == []


async def test_d24_a_members_answer_meets_the_first_response_and_a_note_does_not(chat: Chat) -> None:
    await chat.desk.agent.ask(PULL)
    await chat.say(is_note=True)
    assert (await chat.clocks())["FIRST_RESPONSE"]["metAt"] is None
    said = await chat.say()
    clocks = await chat.clocks()
    assert instant(clocks["FIRST_RESPONSE"]["metAt"]) == said
    assert (await chat.dues())[0] is None
    assert set(clocks) == {"FIRST_RESPONSE", "RESOLUTION"}


async def test_d24_next_response_runs_from_the_first_unanswered_message(chat: Chat, clock: TravellingClock) -> None:
    await chat.desk.agent.ask(PULL)
    await chat.say()
    asked = await chat.write()
    clock.advance(seconds=20)
    await chat.write()
    assert instant((await chat.dues())[1]) == asked + MINUTE
    answered = await chat.say()
    assert (await chat.dues())[1] is None
    assert instant((await chat.clocks())["NEXT_RESPONSE"]["metAt"]) == answered
    again = await chat.write()
    assert instant((await chat.dues())[1]) == again + MINUTE
    assert [row["cycle"] for row in await chat.stored() if row["target"] == "NEXT_RESPONSE"] == [1, 2]
    assert len(await chat.clocks()) == 3


async def test_d24_snoozed_clocks_stand_still_and_go_on_with_the_time_used(chat: Chat, clock: TravellingClock) -> None:
    await chat.desk.agent.ask(PULL)
    await chat.say()
    asked = await chat.write()
    began = instant((await chat.read())["createdAt"])
    clock.advance(seconds=30)
    until = (chat.desk.make.ports.clock.now() + 10 * MINUTE).isoformat()
    await chat.desk.admin.ask(SNOOZE, id=chat.id, until=until)
    paused = await chat.clocks()
    snoozed = instant(paused["RESOLUTION"]["pausedAt"])
    assert paused["NEXT_RESPONSE"]["pausedAt"] == paused["RESOLUTION"]["pausedAt"]
    assert await chat.dues() == [None, None, None]
    clock.advance(minutes=7)
    assert (await chat.is_due(), await chat.sweep()) == (False, False)
    woke = await chat.write()
    _, after, resolution = await chat.dues()
    assert instant(after) == woke + MINUTE - (snoozed - asked)
    assert instant(resolution) == woke + 5 * MINUTE - (snoozed - began)


async def test_d24_a_reopen_resumes_the_resolution_with_the_time_used(chat: Chat, clock: TravellingClock) -> None:
    began = instant((await chat.read())["createdAt"])
    await chat.desk.agent.ask(PULL)
    await chat.say()
    clock.advance(minutes=2)
    closed = instant((await chat.desk.admin.ask(CLOSE, id=chat.id))["conversation"]["closedAt"])
    assert instant((await chat.clocks())["RESOLUTION"]["metAt"]) == closed
    clock.advance(minutes=6)
    assert (await chat.sweep(), await chat.dues()) == (False, [None, None, None])
    reopened = instant((await chat.desk.admin.ask(REOPEN, id=chat.id))["conversation"]["updatedAt"])
    assert instant((await chat.dues())[2]) == reopened + 5 * MINUTE - (closed - began)
    assert (await chat.clocks())["RESOLUTION"]["metAt"] is None


async def test_d25_many_sweeps_record_a_breach_once(chat: Chat, clock: TravellingClock) -> None:
    due = (await chat.dues())[0]
    clock.advance(minutes=1, seconds=50)
    assert (await chat.is_due(), await chat.sweep()) == (False, False)
    clock.advance(minutes=1)
    assert await chat.is_due()
    before = await chat.read()
    assert sorted(await asyncio.gather(*(chat.sweep() for _ in range(5)))) == [False] * 4 + [True]
    assert (await chat.sweep(), await chat.is_due()) == (False, False)
    after = await chat.read()
    assert await chat.breaches() == [("FIRST_RESPONSE", due)]
    assert (after["lastSeq"], after["isSlaBreached"]) == (before["lastSeq"] + 1, True)
    # It runs on, past its deadline, until it is met.
    assert after["firstResponseDueAt"] == due
    assert (after["slaClocks"][0]["breachedAt"], after["slaClocks"][0]["metAt"]) == (due, None)


async def test_d25_the_worker_finds_what_was_missed_and_records_it(chat: Chat, clock: TravellingClock) -> None:
    ports, due = chat.desk.make.ports, (await chat.dues())[0]
    clock.advance(minutes=3)
    job = Job("record_breaches", (str(chat.desk.organization.id), str(chat.row_id)))
    assert job in [found for sweep in duties.sweeps(ports) for found in await sweep()]
    work = duties.jobs(ports, bootstrap.mailer(ports.settings, ports.clock), bootstrap.channels(ports))
    await work[job.name](*job.arguments)
    assert await chat.breaches() == [("FIRST_RESPONSE", due)]
    assert job not in [found for sweep in duties.sweeps(ports) for found in await sweep()]


async def test_d25_a_breach_is_told_once_to_whoever_listens(chat: Chat, clock: TravellingClock) -> None:
    due = (await chat.dues())[0]
    heard: list[SlaBreached] = []

    async def hear(_: UnitOfWork, event: SlaBreached) -> None:
        heard.append(event)

    ports, heard_by = chat.desk.make.ports, listeners.listeners()
    heard_by.on(SlaBreached, hear)
    units = UnitsOfWork(ports.database, ports.clock, ports.bus, ports.jobs, heard_by, ports.settings)
    clock.advance(minutes=3)
    for _ in range(2):
        async with units.of_system(chat.desk.organization.id) as uow:
            await service.lapse(uow, chat.row_id)
    told = [(event.entity_id, event.target, event.due_at) for event in heard]
    assert told == [(chat.row_id, SlaTarget.FIRST_RESPONSE, instant(due))]


async def test_d25_a_late_answer_records_the_breach_that_no_sweep_has_seen(chat: Chat, clock: TravellingClock) -> None:
    due, _, resolution = await chat.dues()
    await chat.desk.agent.ask(PULL)
    clock.advance(minutes=3)
    said = await chat.say()
    first = (await chat.clocks())["FIRST_RESPONSE"]
    assert (first["breachedAt"], instant(first["metAt"])) == (due, said)
    clock.advance(minutes=3)
    await chat.desk.admin.ask(CLOSE, id=chat.id)
    assert await chat.breaches() == [("FIRST_RESPONSE", due), ("RESOLUTION", resolution)]
    assert (await chat.is_due(), await chat.sweep()) == (False, False)
    assert len(await chat.breaches()) == 2


async def test_d25_an_answer_at_the_last_moment_is_in_time(chat: Chat, clock: TravellingClock) -> None:
    await chat.desk.agent.ask(PULL)
    clock.advance(minutes=1, seconds=55)
    await chat.say()
    clock.advance(minutes=1)
    assert (await chat.sweep(), await chat.breaches(), (await chat.read())["isSlaBreached"]) == (False, [], False)


async def test_d25_who_edits_the_queue_rewrites_no_history(chat: Chat) -> None:
    queue = global_id("Queue", chat.desk.queue.id)
    before = await chat.stored()
    sla = {"firstResponseMinutes": 100, "nextResponseMinutes": 100, "resolutionMinutes": None}
    hours = [{"weekday": "MONDAY", "opensAt": "09:00", "closesAt": "09:01"}]
    edited = await chat.desk.admin.ask(UPDATE, input={"id": queue, "sla": sla, "openingHours": hours})
    assert edited["userErrors"] == []
    assert await chat.stored() == before
    await chat.desk.agent.ask(PULL)
    await chat.say()
    asked = await chat.write()
    assert instant((await chat.dues())[1]) == asked + MINUTE
    await chat.desk.admin.ask(UPDATE, input={"id": queue, "openingHours": []})
    later = await chat_at(chat.desk)
    shown = await later.read()
    assert [clock["target"] for clock in shown["slaClocks"]] == ["FIRST_RESPONSE"]
    assert shown["firstResponseDueAt"] == plus(shown["createdAt"], 100 * MINUTE)


async def test_d22_the_clocks_run_on_through_a_transfer(chat: Chat) -> None:
    other: Queue = await chat.desk.make.queue(chat.desk.organization, first_response_minutes=60, auto_assign=False)
    before = await chat.stored()
    moved = await chat.desk.admin.ask(TRANSFER, id=chat.id, queue=global_id("Queue", other.id))
    assert moved == {"conversation": {"queue": {"id": global_id("Queue", other.id)}}, "userErrors": []}
    assert await chat.stored() == before


async def test_targets_apply_from_the_first_queue_that_has_any(make: Factory, http: httpx.AsyncClient) -> None:
    chat = await chat_at(await open_desk(make, http, auto_assign=False))
    asked = instant((await chat.read())["createdAt"])
    await chat.desk.agent.ask(PULL)
    await chat.say()
    unanswered = await chat.write()
    await chat.write()
    other = await make.queue(chat.desk.organization, **TARGETS)
    await chat.desk.admin.ask(TRANSFER, id=chat.id, queue=global_id("Queue", other.id))
    # The first response was given: what is owed is the next one.
    assert set(await chat.clocks()) == {"NEXT_RESPONSE", "RESOLUTION"}
    first, after, resolution = await chat.dues()
    assert (first, instant(after), instant(resolution)) == (None, unanswered + MINUTE, asked + 5 * MINUTE)


async def test_d5_lists_and_queues_know_what_is_due_first(chat: Chat, clock: TravellingClock) -> None:
    desk = chat.desk
    queue = global_id("Queue", desk.queue.id)
    await desk.admin.ask(UPDATE, input={"id": queue, "order": "DEADLINE_FIRST", "sla": {"firstResponseMinutes": 1}})
    hasty = await chat_at(desk)
    await desk.admin.ask(UPDATE, input={"id": queue, "sla": {"firstResponseMinutes": None, "resolutionMinutes": None}})
    calm = await chat_at(desk)
    found, after = [], None
    while True:
        page = await desk.admin.ask(LIST, first=1, after=after)
        found += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert found == [hasty.id, chat.id, calm.id]
    clock.advance(minutes=1, seconds=30)
    assert await hasty.sweep()
    breached = await desk.admin.ask(LIST, filter={"isSlaBreached": True})
    assert (breached["totalCount"], breached["nodes"]) == (1, [{"id": hasty.id}])
    in_time = await desk.admin.ask(LIST, filter={"isSlaBreached": False})
    assert [node["id"] for node in in_time["nodes"]] == [chat.id, calm.id]
    stats = await desk.admin.ask("query ($id: ID!) { queue(id: $id) { stats { waiting breached } } }", id=queue)
    assert stats == {"stats": {"waiting": 3, "breached": 1}}
    assert (await desk.agent.ask(PULL))["conversation"]["id"] == hasty.id


async def test_d23_a_queue_or_organization_that_never_opens_is_refused(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendars, "is_holiday", lambda _region, day: day.weekday() == 6)
    sundays = [{"weekday": "SUNDAY", "opensAt": "09:00", "closesAt": "17:00"}]
    refused = await chat.desk.admin.ask(
        UPDATE, input={"id": global_id("Queue", chat.desk.queue.id), "openingHours": sundays}
    )
    assert refused == {
        "queue": None,
        "userErrors": [
            {
                "code": "INVALID",
                "field": ["openingHours"],
                "message": "With these opening hours it would never open.",
            }
        ],
    }
    refused = await chat.desk.admin.ask(UPDATE_ORGANIZATION, input={"openingHours": sundays})
    assert refused == {"organization": None, "userErrors": [{"code": "INVALID", "field": ["openingHours"]}]}
    refused = await chat.desk.admin.ask(UPDATE_ORGANIZATION, input={"holidayRegion": "XX"})
    assert refused == {"organization": None, "userErrors": [{"code": "INVALID", "field": ["holidayRegion"]}]}
    async with chat.desk.make.ports.database.session(chat.desk.organization.id) as session:
        assert (await session.execute(select(Queue.opening_hours))).scalars().all() == [[]]
    me = await chat.desk.admin.ask("{ organization { holidayRegion openingHours { weekday } } }")
    assert me == {"holidayRegion": "BR", "openingHours": []}
