"""Who is told of what, by what happens at the desk (D14, D20, D22, D25)."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.conversations import jobs as conversations
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.queues.models import RoutingStrategy
from pytake_gql.desk.routing import engine
from pytake_gql.desk.sla import jobs as sla
from pytake_gql.insight.notifications.models import Notification, NotificationKind
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Availability, Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory
from tests.sockets import Served

PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
WRITE = "mutation ($text: String!) { sendVisitorMessage(input: {text: $text}) { userErrors { code } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code } } }"
ASSIGN = "mutation ($input: AssignConversationInput!) { assignConversation(input: $input) { userErrors { code } } }"
TRANSFER = """mutation ($input: TransferConversationInput!) { transferConversation(input: $input) {
    userErrors { code } } }"""
CLOSE = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"
REOPEN = "mutation ($id: ID!) { reopenConversation(input: {id: $id}) { userErrors { code } } }"
SNOOZE = """mutation ($id: ID!, $until: DateTime!) { snoozeConversation(input: {id: $id, until: $until}) {
    userErrors { code } } }"""
MARK = "mutation { markNotificationsRead(input: {}) { count } }"
LIST = """{ notifications(first: 50) { nodes { kind title body conversation { id number } } } }"""
OK: dict[str, list[Any]] = {"userErrors": []}


async def kinds(client: Client) -> list[str]:
    """Of all that the member was told, the oldest first."""
    return [node["kind"] for node in reversed((await client.ask(LIST))["nodes"])]


async def talk(desk: Desk) -> tuple[Client, str]:
    """A visitor whose conversation the agent has pulled."""
    visitor = await desk.visitor()
    await visitor.ask(WRITE, text="Oi")
    return visitor, (await desk.agent.ask(PULL))["conversation"]["id"]


async def test_one_is_not_told_of_ones_own_acts(desk: Desk) -> None:
    _, id_ = await talk(desk)
    until = (desk.make.ports.clock.now() + timedelta(hours=1)).isoformat()
    for document, given in ((SNOOZE, {"id": id_, "until": until}), (REOPEN, {"id": id_}), (CLOSE, {"id": id_})):
        assert await desk.agent.ask(document, **given) == OK
    assert await desk.agent.ask(REOPEN, id=id_) == OK
    assert await kinds(desk.agent) == []
    assert await kinds(desk.admin) == []


async def test_who_is_given_a_conversation_is_told(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    given = {"id": conversation_id(row.id), "memberId": global_id("Member", desk.agent_member.id)}
    assert await desk.admin.ask(ASSIGN, input=given) == OK
    assert (await desk.agent.ask(LIST))["nodes"] == [
        {
            "kind": "ASSIGNED",
            "title": "Conversation #1 is yours",
            "body": None,
            "conversation": {"id": conversation_id(row.id), "number": 1},
        }
    ]
    assert await kinds(desk.admin) == []


async def test_d22_from_a_colleagues_hands_it_is_transferred_and_to_a_queue_nobody_is_told(desk: Desk) -> None:
    _, id_ = await talk(desk)
    colleague, theirs = await desk.colleague(availability=Availability.ONLINE)
    assert await desk.agent.ask(TRANSFER, input={"id": id_, "memberId": global_id("Member", colleague.id)}) == OK
    assert (await theirs.ask(LIST))["nodes"][0]["title"] == "Conversation #1 was transferred to you"
    queue = await desk.make.queue(desk.organization, desk.agent_member)
    assert await theirs.ask(TRANSFER, input={"id": id_, "queueId": global_id("Queue", queue.id)}) == OK
    assert (await kinds(theirs), await kinds(desk.agent), await kinds(desk.admin)) == (["TRANSFERRED"], [], [])


async def test_who_is_chosen_by_routing_is_told(make: Factory, http: httpx.AsyncClient) -> None:
    desk = await open_desk(make, http, routing_strategy=RoutingStrategy.ROUND_ROBIN, auto_assign=True)
    for _ in range(3):
        await desk.make.conversation(desk.channel)
    assert await engine.route_queue(make.ports, desk.organization.id, desk.queue.id) == 3
    assert await kinds(desk.agent) == ["ASSIGNED"] * 3


async def test_a_refused_assignment_tells_nobody(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    outsider, client = await desk.colleague(serves=False)
    refused = await desk.admin.ask(
        ASSIGN, input={"id": conversation_id(row.id), "memberId": global_id("Member", outsider.id)}
    )
    assert refused["userErrors"] != []
    assert await kinds(client) == []


async def test_a_reply_is_told_once_until_it_is_read_or_answered(desk: Desk) -> None:
    visitor, id_ = await talk(desk)
    for text in ("Um", "Dois"):
        await visitor.ask(WRITE, text=text)
    [told] = (await desk.agent.ask(LIST))["nodes"]
    assert (told["kind"], told["title"]) == ("REPLIED", "New message in conversation #1")
    assert await desk.agent.ask(MARK) == {"count": 1}
    await visitor.ask(WRITE, text="Três")
    assert await kinds(desk.agent) == ["REPLIED"] * 2
    assert await desk.agent.ask(SEND, input={"conversationId": id_, "text": "Sim"}) == OK
    await visitor.ask(WRITE, text="Quatro")
    await visitor.ask(WRITE, text="Cinco")
    assert await kinds(desk.agent) == ["REPLIED"] * 3
    assert await kinds(desk.admin) == []


async def test_what_waits_in_a_queue_is_told_to_nobody(desk: Desk) -> None:
    visitor = await desk.visitor()
    await visitor.ask(WRITE, text="Oi")
    await visitor.ask(WRITE, text="Alguém?")
    assert (await kinds(desk.agent), await kinds(desk.admin)) == ([], [])


async def test_d3_d4_one_that_comes_back_by_the_contacts_words_is_told_by_those_alone(
    desk: Desk, clock: TravellingClock
) -> None:
    await desk.make.seen(desk.agent_member)
    visitor, id_ = await talk(desk)
    await desk.agent.ask(CLOSE, id=id_)
    await visitor.ask(WRITE, text="Mais uma coisa")
    assert await kinds(desk.agent) == ["REPLIED"]
    await desk.agent.ask(MARK)
    until = clock.now() + timedelta(minutes=1)
    assert await desk.agent.ask(SNOOZE, id=id_, until=until.isoformat()) == OK
    await visitor.ask(WRITE, text="E outra")
    assert await kinds(desk.agent) == ["REPLIED"] * 2
    assert await desk.agent.ask(SNOOZE, id=id_, until=until.isoformat()) == OK
    clock.advance(minutes=1)
    await desk.make.seen(desk.agent_member)
    assert await conversations.wake_conversation(desk.make.ports, desk.organization.id, id_of(id_)) is True
    assert await kinds(desk.agent) == ["REPLIED", "REPLIED", "ASSIGNED"]


@pytest.mark.parametrize("is_taken", [True, False])
async def test_d25_a_missed_deadline_is_told_to_who_has_it_or_to_the_admins(
    make: Factory, http: httpx.AsyncClient, clock: TravellingClock, is_taken: bool
) -> None:
    desk = await open_desk(make, http, first_response_minutes=1)
    inactive = await make.member(desk.organization, Role.ORG_ADMIN, is_active=False)
    row = await desk.make.conversation(desk.channel)
    if is_taken:
        await desk.agent.ask(PULL)
    clock.advance(minutes=2)
    told = [await sla.record_breaches(make.ports, desk.organization.id, row.id) for _ in range(2)]
    assert told == [True, False]
    who = {desk.agent_member.id} if is_taken else await admins(desk)
    assert inactive.id not in who
    rows = await notifications(desk)
    assert {row.member_id for row in rows} == who
    client = desk.agent if is_taken else desk.admin
    [node] = (await client.ask(LIST))["nodes"]
    assert (node["kind"], node["title"]) == ("SLA_BREACHED", "Conversation #1 got no first answer in time")


async def test_d14_what_nobody_could_ever_serve_is_told_to_the_admins_one_at_a_time(
    make: Factory, http: httpx.AsyncClient
) -> None:
    desk = await open_desk(make, http, routing_strategy=RoutingStrategy.SKILLS_BASED, auto_assign=True)
    second, other_admin = await desk.colleague(Role.ORG_ADMIN, serves=False)
    assert second.role is Role.ORG_ADMIN
    await make.requires(desk.queue, await make.skill(desk.organization), min_level=2)
    first = await make.conversation(desk.channel)

    async def route() -> None:
        routed = [engine.route_queue(make.ports, desk.organization.id, desk.queue.id) for _ in range(4)]
        assert await asyncio.gather(*routed) == [0] * 4

    await route()
    for client in (desk.admin, other_admin):
        [node] = (await client.ask(LIST))["nodes"]
        assert (node["kind"], node["conversation"]["id"]) == ("UNROUTABLE", conversation_id(first.id))
        assert node["title"] == "Nobody has the skills for conversation #1"
    assert await kinds(desk.agent) == []
    newer = await make.conversation(desk.channel)
    await route()
    assert await kinds(desk.admin) == ["UNROUTABLE"]
    await desk.admin.ask(MARK)
    for _ in range(2):
        await route()
    nodes = (await desk.admin.ask(LIST))["nodes"]
    assert [node["conversation"]["id"] for node in nodes] == [conversation_id(newer.id), conversation_id(first.id)]
    assert await kinds(other_admin) == ["UNROUTABLE"]
    await desk.admin.ask(MARK)
    await route()
    assert len(await kinds(desk.admin)) == 2


async def test_what_is_erased_leaves_no_notification(desk: Desk) -> None:
    _, id_ = await talk(desk)
    await desk.make.save(desk.organization.id, _about(desk, id_of(id_)))
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await uow.session.execute(sa.delete(Conversation).where(col(Conversation.id) == id_of(id_)))
    assert await notifications(desk) == []


async def test_a_reply_costs_one_statement(desk: Desk) -> None:
    """Whatever stands in the list already."""
    visitor, _ = await talk(desk)
    statements: list[str] = []
    engine_ = desk.make.ports.database.engine.sync_engine

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "notifications" in statement:
            statements.append(statement)

    sa.event.listen(engine_, "before_cursor_execute", count)
    try:
        await visitor.ask(WRITE, text="Oi")
    finally:
        sa.event.remove(engine_, "before_cursor_execute", count)
    assert [statement.split(" (")[0] for statement in statements] == ["INSERT INTO notifications"]


async def notifications(desk: Desk) -> list[Notification]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return list((await session.execute(select(Notification))).scalars())


async def admins(desk: Desk) -> set[UUID]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        active = select(Member.id).where(Member.role == Role.ORG_ADMIN, col(Member.is_active))
        return set((await session.execute(active)).scalars())


def _about(desk: Desk, conversation: UUID) -> Notification:
    now = desk.make.ports.clock.now()
    return Notification(
        member_id=desk.agent_member.id, kind=NotificationKind.REPLIED, conversation_id=conversation, created_at=now
    )


async def test_admins_are_told_once_of_a_channel_that_fails_and_again_when_it_fails_again(
    desk: Desk, live: Served
) -> None:
    other, client = await desk.colleague(Role.ORG_ADMIN, serves=False)
    await desk.make.member(desk.organization, Role.ORG_ADMIN, is_active=False)
    document = """subscription { notifications { kind title body channel { id } conversation { id } } }"""
    expired = "(#190) The access token has expired"
    shown = {
        "kind": "CHANNEL_FAILED",
        "title": "A channel lets nothing pass any more",
        "body": expired,
        "channel": {"id": global_id("Channel", desk.channel.id)},
        "conversation": None,
    }

    async def fail(reason: str) -> None:
        async with desk.make.ports.units.of_system(desk.organization.id) as uow:
            await channels.fail(uow, desk.channel.id, reason)

    async with live.socket() as socket:
        assert client.token
        await socket.start(client.token)
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": document}})
        await asyncio.sleep(0.2)
        await fail(expired)
        await fail("(#190) Still expired")
        assert {**shown, "title": "Um canal não deixa passar mais nada"} == await socket.update()
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await channels.recover(uow, desk.channel.id)
    read = "{ notifications { nodes { kind title body channel { id } conversation { id } } } }"
    for admin in (desk.admin, client):
        assert (await admin.ask(read))["nodes"] == [shown]
    assert await kinds(desk.agent) == []
    await fail("Blocked")
    assert [node["body"] for node in (await desk.admin.ask(read))["nodes"]] == ["Blocked", shown["body"]]
    assert {row.member_id for row in await notifications(desk)} == {other.id} | await admins(desk)
