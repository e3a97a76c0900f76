"""Notifications through the door: the caller's own, whole or unread, read once, told live."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from pytake_gql.insight.notifications import graphql, service
from pytake_gql.insight.notifications.models import Notification, NotificationKind
from pytake_gql.kernel.ids import global_id, uuid7
from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, conversation_id
from tests.factories import Factory
from tests.sockets import Served

FIELDS = "id kind title body readAt conversation { id } channel { id }"
LIST = f"""query ($unreadOnly: Boolean!, $first: Int, $after: String) {{
    notifications(unreadOnly: $unreadOnly, first: $first, after: $after) {{
    nodes {{ {FIELDS} }} totalCount pageInfo {{ hasNextPage endCursor }} }} }}"""
MARK = """mutation ($input: MarkNotificationsReadInput!) { markNotificationsRead(input: $input) {
    count userErrors { code field } } }"""
FOLLOW = f"subscription {{ notifications {{ {FIELDS} }} }}"
NODE = "query ($id: ID!) { node(id: $id) { id ... on Notification { title } } }"


async def listed(client: Client, *, unread_only: bool = False, **given: Any) -> list[Any]:
    told = await client.ask(LIST, unreadOnly=unread_only, **given)
    if not given:
        assert told["totalCount"] == len(told["nodes"])
    nodes: list[Any] = told["nodes"]
    return nodes


async def told(desk: Desk, member: Member, *, minutes: int = 0, **values: Any) -> Notification:
    at = desk.make.ports.clock.now() - timedelta(minutes=minutes)
    row = Notification(**{"member_id": member.id, "kind": NotificationKind.ASSIGNED, "created_at": at, **values})
    await desk.make.save(desk.organization.id, row)
    return row


def ids(*rows: Notification) -> list[str]:
    return [global_id("Notification", row.id) for row in rows]


async def test_the_newest_come_first_page_by_page(desk: Desk) -> None:
    rows = [await told(desk, desk.agent_member, minutes=age, number=age) for age in range(5)]
    assert [node["id"] for node in await listed(desk.agent)] == ids(*rows)
    got, after = [], None
    for _ in range(3):
        page = await desk.agent.ask(LIST, unreadOnly=False, first=2, after=after)
        got += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        assert page["totalCount"] == 5
    assert got == ids(*rows)
    assert page["pageInfo"]["hasNextPage"] is False


async def test_what_was_read_is_not_unread_any_more(desk: Desk) -> None:
    rows = [await told(desk, desk.agent_member, minutes=age) for age in range(3)]
    [first, second, third] = ids(*rows)
    assert await desk.agent.ask(MARK, input={"ids": [second, second]}) == {"count": 1, "userErrors": []}
    assert await desk.agent.ask(MARK, input={"ids": [second]}) == {"count": 0, "userErrors": []}
    assert [node["id"] for node in await listed(desk.agent, unread_only=True)] == [first, third]
    everything = await listed(desk.agent)
    assert [node["readAt"] is None for node in everything] == [True, False, True]
    assert await desk.agent.ask(MARK, input={"ids": []}) == {"count": 0, "userErrors": []}
    assert await desk.agent.ask(MARK, input={}) == {"count": 2, "userErrors": []}
    assert await listed(desk.agent, unread_only=True) == []
    assert (await listed(desk.agent))[1]["readAt"] == everything[1]["readAt"]


async def test_g1_a_colleagues_notifications_are_not_there(desk: Desk, make: Factory) -> None:
    """Of the same organization, an admin included; another organization's have the same face."""
    mine, theirs = await told(desk, desk.agent_member), await told(desk, (await desk.colleague())[0])
    other = await make.organization()
    stranger = await make.member(other)
    foreign = Notification(member_id=stranger.id, kind=NotificationKind.ASSIGNED, created_at=make.ports.clock.now())
    await make.save(other.id, foreign)
    assert [node["id"] for node in await listed(desk.agent)] == ids(mine)
    assert await listed(desk.admin) == []
    for hidden in (
        *ids(theirs, foreign),
        global_id("Notification", uuid7()),
        "Notification_x",
        global_id("Queue", theirs.id),
    ):
        assert await desk.agent.ask(NODE, id=hidden) is None
        refused = await desk.agent.ask(MARK, input={"ids": [*ids(mine), hidden]})
        assert refused == {"count": 0, "userErrors": [{"code": "NOT_FOUND", "field": ["ids", "1"]}]}
    assert len(await listed(desk.agent, unread_only=True)) == 1
    assert await desk.agent.ask(MARK, input={}) == {"count": 1, "userErrors": []}
    async with make.ports.database.session(desk.organization.id) as session:
        rows = (await session.execute(select(Notification).where(Notification.id == theirs.id))).scalars()
        assert [row.read_at for row in rows] == [None]


async def test_too_many_at_once_are_refused(desk: Desk) -> None:
    [row] = ids(await told(desk, desk.agent_member))
    many = [row, *(global_id("Notification", uuid7()) for _ in range(500))]
    refused = await desk.agent.ask(MARK, input={"ids": many})
    assert refused == {"count": 0, "userErrors": [{"code": "TOO_MANY", "field": ["ids"]}]}
    assert len(await listed(desk.agent, unread_only=True)) == 1


async def test_titles_are_in_the_readers_language(desk: Desk) -> None:
    row = await told(desk, desk.agent_member, number=12)
    assert (await desk.agent.ask(NODE, id=ids(row)[0]))["title"] == "Conversation #12 is yours"
    brazilian = Client(desk.http, desk.agent.token, locale="pt-BR")
    assert (await brazilian.ask(NODE, id=ids(row)[0]))["title"] == "A conversa #12 é sua"


async def test_d21_what_the_member_no_longer_sees_is_null_and_unnamed(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel, text="Oi")
    contact = "mutation ($input: UpdateContactInput!) { updateContact(input: $input) { userErrors { code } } }"
    await desk.admin.ask(contact, input={"id": global_id("Contact", row.contact_id), "name": "Bia Segredo"})
    member, client = await desk.colleague()
    await told(desk, member, conversation_id=row.id, number=row.number)
    [seen] = await listed(client)
    assert (seen["conversation"], seen["body"]) == ({"id": conversation_id(row.id)}, "Bia Segredo")
    update = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code } } }"
    narrowed = {"id": global_id("Member", member.id), "conversationScope": ConversationScope.OWN.value}
    assert await desk.admin.ask(update, input=narrowed) == {"userErrors": []}
    fresh = Client(desk.http, (await desk.make.signed_in(member)).token)
    [hidden] = await listed(fresh)
    assert (hidden["conversation"], hidden["body"]) == (None, None)
    assert "Segredo" not in str(hidden)


async def test_each_new_one_is_told_once_and_what_came_before_is_in_the_list(
    desk: Desk, live: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a wake-up, and by a poll where that was lost; a colleague's are not told."""
    monkeypatch.setattr(graphql, "POLL_SECONDS", 0.2)
    await told(desk, desk.agent_member, number=1)
    other = (await desk.colleague())[0]
    assert desk.agent.token
    async with live.socket() as socket:
        await socket.start(desk.agent.token)
        await socket.subscribe(FOLLOW)
        await asyncio.sleep(0.3)
        await told(desk, other, number=2)
        await told(desk, desk.agent_member, number=3)
        async with desk.make.ports.units.of_system(desk.organization.id) as uow:
            uow.add(_new(desk, number=4))
            uow.wake(service.topic(desk.agent_member.id))
        assert [(await socket.update())["title"] for _ in range(2)] == [f"A conversa #{n} é sua" for n in (3, 4)]
        # One whose transaction began long before it was committed.
        await told(desk, desk.agent_member, number=5, created_at=desk.make.ports.clock.now() - timedelta(seconds=20))
        assert (await socket.update())["title"] == "A conversa #5 é sua"
        await asyncio.sleep(0.6)
        await told(desk, desk.agent_member, number=6)
        assert (await socket.update())["title"] == "A conversa #6 é sua"
    assert [node["title"].split()[1] for node in await listed(desk.agent)] == ["#6", "#4", "#3", "#1", "#5"]


def _new(desk: Desk, **values: Any) -> Notification:
    now = desk.make.ports.clock.now()
    return Notification(
        **{"member_id": desk.agent_member.id, "kind": NotificationKind.ASSIGNED, "created_at": now, **values}
    )


async def test_g2_nobody_without_a_token_and_no_visitor(desk: Desk, anonymous: Client) -> None:
    visitor = await desk.visitor()
    for client, code in ((anonymous, "UNAUTHENTICATED"), (visitor, "FORBIDDEN")):
        assert await client.code(LIST, unreadOnly=False) == code
        assert await client.code(MARK, input={}) == code
    viewer = (await desk.colleague(Role.VIEWER, serves=False))[1]
    assert await listed(viewer) == []


async def test_what_was_read_long_ago_is_forgotten(desk: Desk, clock: TravellingClock) -> None:
    now = clock.now()
    old = await told(desk, desk.agent_member, read_at=now - timedelta(days=30, seconds=1), number=1)
    kept = [
        await told(desk, desk.agent_member, minutes=1, read_at=now - timedelta(days=29), number=2),
        await told(desk, desk.agent_member, created_at=now - timedelta(days=400), number=3),
    ]
    await service.forget_read(desk.make.ports.units)
    assert [node["id"] for node in await listed(desk.agent)] == ids(*kept)
    assert await desk.agent.ask(NODE, id=ids(old)[0]) is None
