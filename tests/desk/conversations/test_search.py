"""Searching conversations: Portuguese and English, without accents, within bounds and within the scope (D21)."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    Message,
    MessageDirection,
    MessageStatus,
)
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import ConversationScope, Role
from tests.client import Client
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory
from tests.sockets import Served

LIST = """query ($search: String, $first: Int, $after: String, $last: Int, $before: String,
    $orderBy: ConversationOrder! = NEWEST_ACTIVITY) {
    conversations(filter: {search: $search}, orderBy: $orderBy, first: $first, after: $after, last: $last,
        before: $before) { totalCount nodes { id } edges { cursor } pageInfo { hasNextPage endCursor } } }"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code } } }"


async def found(client: Client, search: str, **given: Any) -> list[str]:
    told = await client.ask(LIST, search=search, **given)
    ids = [node["id"] for node in told["nodes"]]
    if not given:
        assert told["totalCount"] == len(ids)
    return ids


@pytest.mark.parametrize(
    ("text", "searches"),
    [
        ("Fiz uma reclamação ontem", ["reclamação", "reclamacao", "RECLAMAÇÕES", "reclamacoes", "reclamar", "recla"]),
        ("As entregas não chegaram", ["entrega", "entregar", "nao chegaram", "chegar", "não"]),
        ("Your deliveries were shipped", ["delivery", "deliveries", "shipping", "ship"]),
        ("Escreva para bia.souza@example.com", ["bia.souza@example.com", "souza", "example.com"]),
        ("Pedido nº 4711-B: R$ 12,50", ["4711", "4711-b", "12,50", "pedido 4711"]),
        ("Olá 😀mundo", ["ola", "mundo", "“mundo”"]),
    ],
)
async def test_words_are_found_in_both_languages(desk: Desk, text: str, searches: list[str]) -> None:
    row = await desk.make.conversation(desk.channel, text=text)
    await desk.make.conversation(desk.channel, text="Outra coisa")
    for search in searches:
        assert await found(desk.admin, search) == [conversation_id(row.id)], search
    for search in ("inexistente", "reclamada-inexistente", "outra pedido", "entregas deliveries"):
        assert await found(desk.admin, search) == [], search


async def test_number_subject_notes_and_contact_are_searched(desk: Desk) -> None:
    rows = [await desk.make.conversation(desk.channel, text="Oi") for _ in range(3)]
    one, two, three = (conversation_id(row.id) for row in rows)
    update = "mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { userErrors { code } } }"
    await desk.agent.ask(update, input={"id": one, "subject": "Devolução do pedido"})
    await desk.agent.ask(SEND, input={"conversationId": two, "text": "Cliente antigo", "isNote": True})
    contact = "mutation ($input: UpdateContactInput!) { updateContact(input: $input) { userErrors { code } } }"
    given = {"name": "Conceição Araújo", "phone": "+5511987654321", "email": "conceicao@example.org"}
    await desk.agent.ask(contact, input={"id": global_id("Contact", rows[2].contact_id), **given})
    assert await found(desk.agent, "devolucoes") == [one]
    assert await found(desk.agent, "antigo cliente") == [two]
    for search in ("conceicao", "araujo concei", "(11) 98765-4321", "1187654321", "98765", "4321", "example.org"):
        assert await found(desk.agent, search) == [three], search
    assert await found(desk.agent, "#2") == await found(desk.agent, "2") == [two]
    assert await found(desk.agent, "999999999999999999999") == []
    await desk.agent.ask(update, input={"id": one, "subject": None})
    assert await found(desk.agent, "devolucoes") == []


@pytest.mark.parametrize(
    "search",
    [
        "'",
        "\\",
        "a' | 'b",
        ":*",
        "!!",
        "&",
        "(",
        "<->",
        "@",
        "'@'",
        "%",
        "_",
        "de o a",
        "😀",
        "x" * 60_000,
        "a " * 9_000,
    ],
)
async def test_no_query_is_malformed(desk: Desk, search: str) -> None:
    await desk.make.conversation(desk.channel, text="Bom dia")
    assert await found(desk.admin, search) == []


async def test_a_blank_search_is_none(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    assert await found(desk.admin, "  ") == [conversation_id(row.id)]


@pytest.mark.parametrize("order", ["NEWEST_ACTIVITY", "OLDEST_ACTIVITY", "LONGEST_WAIT", "SLA_DUE"])
async def test_a_search_is_paged_and_counted_as_a_list_is(desk: Desk, order: str) -> None:
    rows = [await desk.make.conversation(desk.channel, text=f"pedido {n}") for n in range(5)]
    await desk.make.conversation(desk.channel, text="nada")
    whole = await found(desk.agent, "pedidos", orderBy=order, first=100)
    assert sorted(whole) == sorted(conversation_id(row.id) for row in rows)
    got: list[str] = []
    after = None
    while True:
        told = await desk.agent.ask(LIST, search="pedidos", orderBy=order, first=2, after=after)
        assert told["totalCount"] == 5
        got += [node["id"] for node in told["nodes"]]
        after = told["pageInfo"]["endCursor"]
        if not told["pageInfo"]["hasNextPage"]:
            break
    assert got == whole
    assert await found(desk.agent, "pedidos", orderBy=order, last=2, before=told["edges"][0]["cursor"]) == whole[2:4]


async def test_d21_a_search_finds_within_the_scope_only_and_is_no_oracle(desk: Desk, live: Served) -> None:
    """Nothing tells the one who may not see it that the words stand anywhere."""
    other_queue = await desk.make.queue(desk.organization)
    other_channel = await desk.make.channel(desk.organization, queue_id=other_queue.id)
    hidden = conversation_id((await desk.make.conversation(other_channel, text="segredo da diretoria")).id)
    ours = conversation_id((await desk.make.conversation(desk.channel, text="segredo do balcão")).id)
    _, own = await desk.colleague(conversation_scope=ConversationScope.OWN)
    _, viewer = await desk.colleague(Role.VIEWER, serves=False)
    for client, ids in {desk.admin: [ours, hidden], viewer: [ours, hidden], desk.agent: [ours], own: []}.items():
        assert await found(client, "segredos") == ids
        assert await found(client, "diretoria") == [id_ for id_ in ids if id_ == hidden]
    for order in ("OLDEST_ACTIVITY", "LONGEST_WAIT", "SLA_DUE"):
        told, absent = [await desk.agent.post(LIST, search=it, orderBy=order) for it in ("diretoria", "inexistente")]
        assert told == absent
    contact = "query ($id: ID!) { conversation(id: $id) { contact { id } } }"
    their_contact = (await desk.admin.ask(contact, id=hidden))["contact"]["id"]
    reading = "query ($id: ID!) { contact(id: $id) { conversations { totalCount nodes { id } } } }"
    assert await desk.agent.ask(reading, id=their_contact) == {"conversations": {"totalCount": 0, "nodes": []}}
    message = "query ($id: ID!) { conversation(id: $id) { lastMessage { id } } }"
    their_message = (await desk.admin.ask(message, id=hidden))["lastMessage"]["id"]
    for id_ in (hidden, their_message):
        assert await desk.agent.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
    watch = "subscription ($id: ID!) { conversationEvents(conversationId: $id, after: 0) { __typename } }"
    async with live.socket() as socket:
        assert desk.agent.token
        await socket.start(desk.agent.token)
        await socket.subscribe(watch, id=hidden)
        message_ = await socket.receive()
        assert [error["extensions"]["code"] for error in message_["payload"]["errors"]] == ["NOT_FOUND"]


async def test_g1_a_search_stays_in_its_organization_though_their_keys_are_equal(desk: Desk, make: Factory) -> None:
    """The key in the index is a part of the organization's id: what has the same one is compared whole."""
    twin = desk.organization.id.int ^ (1 << 40)
    other = await make.organization(id=type(desk.organization.id)(int=twin))
    channel = await make.channel(other)
    assert other.id.hex[-8:] == desk.organization.id.hex[-8:]
    await make.conversation(channel, text="segredo alheio")
    ours = await make.conversation(desk.channel, text="segredo nosso")
    assert await found(desk.admin, "segredo") == [conversation_id(ours.id)]
    async with make.ports.database.session(None) as session:
        statement = sa.text("SELECT engine_found_conversations(ARRAY['segredo'], ARRAY['segredo'], 1)")
        assert (await session.execute(statement)).all() == []


async def test_what_matches_everything_costs_no_more_than_the_newest(desk: Desk) -> None:
    """2,100 messages that say it: the newest 2,000 are looked through; a rare word is found all the same."""
    first = await desk.make.conversation(desk.channel, text="comum raríssimo")
    second = await desk.make.conversation(desk.channel, text="outra coisa")
    await desk.make.save(desk.organization.id, *(_said(desk, second, seq) for seq in range(10, 2110)))
    assert await found(desk.admin, "comum") == [conversation_id(second.id)]
    assert await found(desk.admin, "rarissimos") == [conversation_id(first.id)]


async def test_what_is_beyond_the_newest_is_found_while_it_is_not_frequent(desk: Desk) -> None:
    old = [await desk.make.conversation(desk.channel, text=f"antigo {n}") for n in range(3)]
    newer = await desk.make.conversation(desk.channel, text="coisa")
    await desk.make.save(desk.organization.id, *(_said(desk, newer, seq) for seq in range(10, 2110)))
    assert await found(desk.admin, "antigos") == [conversation_id(row.id) for row in reversed(old)]


def _said(desk: Desk, conversation: Conversation, seq: int) -> Message:
    return Message(
        conversation_id=conversation.id,
        channel_id=desk.channel.id,
        seq=seq,
        direction=MessageDirection.INBOUND,
        author_kind=AuthorKind.CONTACT,
        text="muito comum",
        status=MessageStatus.RECEIVED,
        created_at=desk.make.ports.clock.now(),
    )


async def test_searches_at_once_are_independent(desk: Desk, make: Factory) -> None:
    other = await open_desk(make, desk.http)
    await make.conversation(desk.channel, text="abacate")
    await make.conversation(other.channel, text="abacaxi")
    told = await asyncio.gather(*(found(client, "abaca") for client in [desk.admin, other.admin] * 5))
    assert all(len(ids) == 1 for ids in told)
    assert told[0] != told[1]
