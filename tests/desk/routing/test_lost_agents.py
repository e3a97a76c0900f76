"""What becomes of conversations when their agent goes OFFLINE, is lost, deactivated or removed (D20)."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from sqlmodel import col, select

from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.tenancy.members import jobs
from pytake_gql.tenancy.members.models import Availability, Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk

SAY = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
    chat { id } userErrors { code } } }"""
PULL = "mutation ($input: PullNextConversationInput!) { pullNextConversation(input: $input) { conversation { id } } }"
ANSWER = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code } } }"
READ = """query ($id: ID!) { conversation(id: $id) { status assignee { id } queue { id } queuePosition
    timeline(last: 1) { nodes { __typename ... on ConversationAssigned { reason assignee { id } } } } } }"""
SET = "mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) { userErrors { code } } }"
UPDATE = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code } } }"
REMOVE = "mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { userErrors { code } } }"
ASSIGN = "mutation ($input: AssignConversationInput!) { assignConversation(input: $input) { userErrors { code } } }"
CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"
FINE: dict[str, Any] = {"userErrors": []}
HANDED_BACK = {"__typename": "ConversationAssigned", "reason": "AGENT_LOST", "assignee": None}


@dataclass(frozen=True)
class Chat:
    """A visitor's conversation, in the hands of the desk's agent."""

    desk: Desk
    visitor: Client
    id: str

    @classmethod
    async def begun(cls, desk: Desk) -> "Chat":
        visitor = await desk.visitor()
        answer = await visitor.ask(SAY, input={"text": "Olá"})
        return cls(desk, visitor, answer["chat"]["id"].replace("VisitorChat", "Conversation"))

    @classmethod
    async def with_agent(cls, desk: Desk, *, is_answered: bool) -> "Chat":
        chat = await cls.begun(desk)
        assert await desk.agent.ask(PULL, input={}) == {"conversation": {"id": chat.id}}
        if is_answered:
            await chat.answer()
        return chat

    async def say(self) -> None:
        assert (await self.visitor.ask(SAY, input={"text": "E então?"}))["userErrors"] == []

    async def answer(self, *, is_note: bool = False) -> None:
        input_ = {"conversationId": self.id, "text": "Pois não?", "isNote": is_note}
        assert await self.desk.agent.ask(ANSWER, input=input_) == FINE

    async def read(self) -> dict[str, Any]:
        read: dict[str, Any] = await self.desk.admin.ask(READ, id=self.id)
        read["last"] = read.pop("timeline")["nodes"][0]
        return read

    async def waits(self, *, position: int = 1) -> None:
        assert await self.read() == {
            "status": "QUEUED",
            "assignee": None,
            "queue": {"id": global_id("Queue", self.desk.queue.id)},
            "queuePosition": position,
            "last": HANDED_BACK,
        }

    async def stays(self) -> None:
        read = await self.read()
        agent = {"id": global_id("Member", self.desk.agent_member.id)}
        assert (read["status"], read["assignee"]) == ("ACTIVE", agent)


async def choose(desk: Desk, availability: Availability) -> None:
    assert await desk.agent.ask(SET, input={"availability": availability.value}) == FINE


async def stored(desk: Desk) -> Member:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return await session.get_one(Member, (desk.organization.id, desk.agent_member.id))


async def lose(desk: Desk, clock: TravellingClock) -> bool:
    """The grace of the desk's agent is over."""
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        (await uow.session.get_one(Member, (desk.organization.id, desk.agent_member.id))).lost_at = clock.now()
    clock.advance(seconds=1)
    return await jobs.lose_member(desk.make.ports, desk.organization.id, desk.agent_member.id)


async def go(desk: Desk, clock: TravellingClock, how: str) -> None:
    member = global_id("Member", desk.agent_member.id)
    if how == "chooses":
        await choose(desk, Availability.OFFLINE)
    elif how == "lost":
        assert await lose(desk, clock)
    else:
        assert await desk.admin.ask(UPDATE, input={"id": member, "isActive": False}) == FINE


@pytest.mark.parametrize("how", ["chooses", "lost", "deactivated"])
async def test_d20_who_waits_for_the_agent_waits_in_the_queue_at_once_with_the_place_kept(
    desk: Desk, clock: TravellingClock, how: str
) -> None:
    waiting = await Chat.with_agent(desk, is_answered=False)
    again = await Chat.with_agent(desk, is_answered=True)
    await again.say()
    later = await Chat.begun(desk)
    await go(desk, clock, how)
    await waiting.waits(position=1)
    await again.waits(position=2)
    assert (await later.read())["queuePosition"] == 3
    assert (await stored(desk)).load == 0


@pytest.mark.parametrize("how", ["chooses", "lost", "deactivated"])
async def test_d20_who_waits_for_the_contact_stays_until_the_contact_writes(
    desk: Desk, clock: TravellingClock, how: str
) -> None:
    chat = await Chat.with_agent(desk, is_answered=True)
    later = await Chat.begun(desk)
    await go(desk, clock, how)
    await chat.stays()
    assert (await stored(desk)).load == 1
    await chat.say()
    await chat.waits(position=1)
    assert (await later.read())["queuePosition"] == 2
    assert (await stored(desk)).load == 0


async def test_d20_a_note_is_no_answer(desk: Desk) -> None:
    chat = await Chat.with_agent(desk, is_answered=False)
    await chat.answer(is_note=True)
    await choose(desk, Availability.OFFLINE)
    await chat.waits()


@pytest.mark.parametrize("availability", [Availability.BUSY, Availability.AWAY])
async def test_d20_busy_and_away_keep_what_they_have(desk: Desk, availability: Availability) -> None:
    chat = await Chat.with_agent(desk, is_answered=False)
    await choose(desk, availability)
    await chat.stays()
    await chat.say()
    await chat.stays()


async def test_d20_nothing_comes_back_by_itself_and_who_is_back_keeps_what_stayed(desk: Desk) -> None:
    gone = await Chat.with_agent(desk, is_answered=False)
    stayed = await Chat.with_agent(desk, is_answered=True)
    await choose(desk, Availability.OFFLINE)
    await choose(desk, Availability.ONLINE)
    await gone.waits()
    await stayed.say()
    await stayed.stays()


async def test_d15_who_takes_while_offline_is_there(desk: Desk) -> None:
    await choose(desk, Availability.OFFLINE)
    pulled = await Chat.with_agent(desk, is_answered=True)
    await pulled.say()
    await pulled.stays()
    given = await Chat.begun(desk)
    member = global_id("Member", desk.agent_member.id)
    assert await desk.admin.ask(ASSIGN, input={"id": given.id, "memberId": member}) == FINE
    await given.say()
    await given.stays()


async def test_d20_what_a_removed_member_had_goes_back_answered_or_not(desk: Desk) -> None:
    unanswered = await Chat.with_agent(desk, is_answered=False)
    answered = await Chat.with_agent(desk, is_answered=True)
    assert await desk.admin.ask(REMOVE, input={"id": global_id("Member", desk.agent_member.id)}) == FINE
    await unanswered.waits(position=1)
    await answered.waits(position=2)


async def test_d20_many_sweeps_at_once_send_back_once(desk: Desk, clock: TravellingClock) -> None:
    chat = await Chat.with_agent(desk, is_answered=False)
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        (await uow.session.get_one(Member, (desk.organization.id, desk.agent_member.id))).lost_at = clock.now()
    clock.advance(seconds=1)
    of, id_ = desk.organization.id, desk.agent_member.id
    lost = await asyncio.gather(*(jobs.lose_member(desk.make.ports, of, id_) for _ in range(8)))
    assert sum(lost) == 1
    document = """query ($id: ID!) { conversation(id: $id) { timeline(first: 50) { nodes { __typename
        ... on ConversationAssigned { reason } } } } }"""
    nodes = (await desk.admin.ask(document, id=chat.id))["timeline"]["nodes"]
    reasons = [node["reason"] for node in nodes if node["__typename"] == "ConversationAssigned"]
    assert reasons == ["PULL", "AGENT_LOST"]


async def test_d20_a_contact_who_writes_as_the_agent_goes_is_never_left_behind(desk: Desk, is_long: bool) -> None:
    """Whichever of the two comes first, in the end the conversation waits, and nobody waits in a circle."""
    for _ in range(30 if is_long else 6):
        chats = [await Chat.with_agent(desk, is_answered=True) for _ in range(4)]
        await asyncio.gather(choose(desk, Availability.OFFLINE), *(chat.say() for chat in chats))
        async with desk.make.ports.database.session(desk.organization.id) as session:
            ids = [parsed[1] for chat in chats if (parsed := parse_global_id(chat.id))]
            rows = await session.execute(select(Conversation).where(col(Conversation.id).in_(ids)))
            assert {row.status for row in rows.scalars()} == {ConversationStatus.QUEUED}
        assert (await stored(desk)).load == 0
        await choose(desk, Availability.ONLINE)
        for chat in chats:
            assert await desk.admin.ask(CLOSE, input={"id": chat.id}) == FINE
