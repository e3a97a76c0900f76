"""Merging two contacts (D30), through the door and under concurrency."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.desk.contacts.models import Contact, ContactIdentity, ContactTag
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.tags.models import Tag
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory, Visitor

MERGE = """mutation ($keep: ID!, $merge: ID!) { mergeContacts(input: {keepId: $keep, mergeId: $merge}) {
    contact { id name phone email attributes isBlocked optedOutAt tags { name } identities { externalId } }
    userErrors { code field } } }"""
READ = "query ($id: ID!) { contact(id: $id) { id name } }"
NODE = "query ($id: ID!) { node(id: $id) { id } }"
TALKS = """query ($id: ID!) { conversations(filter: {contactId: $id}, orderBy: OLDEST_ACTIVITY) { nodes {
    number status contact { id } messages(first: 100) { nodes { text isNote authorKind } }
    timeline(first: 100) { nodes { __typename seq } } lastSeq } totalCount } }"""


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


def gid(contact: Contact) -> str:
    return global_id("Contact", contact.id)


async def merge(desk: Desk, keep: Contact, merged: Contact) -> Any:
    told = await desk.agent.ask(MERGE, keep=gid(keep), merge=gid(merged))
    assert told["userErrors"] == []
    return told["contact"]


async def refused(desk: Desk, keep: str, merged: str) -> list[tuple[str, list[str]]]:
    told = await desk.agent.ask(MERGE, keep=keep, merge=merged)
    assert told["contact"] is None
    return [(error["code"], error["field"]) for error in told["userErrors"]]


async def said(desk: Desk, visitor: Visitor, text: str) -> Conversation:
    """The visitor writes; the contact is made by that."""
    document = "mutation ($text: String!) { sendVisitorMessage(input: {text: $text}) { userErrors { code } } }"
    told = await Client(desk.http, visitor.token).ask(document, text=text)
    assert told["userErrors"] == []
    return await conversation_of(desk, visitor)


async def conversation_of(desk: Desk, visitor: Visitor) -> Conversation:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        statement = (
            select(Conversation)
            .join(ContactIdentity, col(ContactIdentity.contact_id) == Conversation.contact_id)
            .where(ContactIdentity.external_id == visitor.principal.external_id)
            .order_by(col(Conversation.number).desc())
        )
        return (await session.execute(statement)).scalars().first()  # type: ignore[return-value]


async def contact(desk: Desk, id_: UUID) -> Contact:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return await session.get_one(Contact, (desk.organization.id, id_))


async def test_d30_the_one_kept_gets_what_it_lacks(desk: Desk) -> None:
    now, make = desk.make.ports.clock.now(), desk.make
    old, new = Tag(name="Antigo", name_key="antigo"), Tag(name="Novo", name_key="novo")
    kept = await make.contact(desk.organization, name="Ana", phone=None, attributes={"plano": "Ouro"})
    other = await make.contact(
        desk.organization,
        name="Ana L.",
        phone="+5511987654321",
        phone_key="+5511987654321",
        email="ana@example.com",
        attributes={"plano": "Prata", "cidade": "Recife"},
        opted_out_at=now,
        is_blocked=True,
    )
    await make.save(desk.organization.id, old, new)
    pairs = [(kept, old), (other, old), (other, new)]
    await make.save(desk.organization.id, *(ContactTag(contact_id=c.id, tag_id=t.id) for c, t in pairs))
    identity = ContactIdentity(contact_id=other.id, channel_id=desk.channel.id, external_id="ana-1", created_at=now)
    await make.save(desk.organization.id, identity)
    told = await merge(desk, kept, other)
    assert told == {
        "id": gid(kept),
        "name": "Ana",
        "phone": "+5511987654321",
        "email": "ana@example.com",
        "attributes": {"plano": "Ouro", "cidade": "Recife"},
        "isBlocked": False,
        "optedOutAt": told["optedOutAt"],
        "tags": [{"name": "Antigo"}, {"name": "Novo"}],
        "identities": [{"externalId": "ana-1"}],
    }
    assert told["optedOutAt"] is not None
    assert (await contact(desk, kept.id)).phone_key == "+5511987654321"
    assert await desk.agent.ask(READ, id=gid(other)) == {"id": gid(kept), "name": "Ana"}
    assert await desk.agent.ask(NODE, id=gid(other)) == {"id": gid(kept)}
    assert (await desk.agent.ask("{ contacts { totalCount nodes { id } } }")) == {
        "totalCount": 1,
        "nodes": [{"id": gid(kept)}],
    }
    async with make.ports.database.session(desk.organization.id) as session:
        entry = (await session.execute(select(AuditEntry))).scalar_one()
    was_empty = {"from": False, "to": True}
    assert (entry.action, entry.entity_id) == ("contact.merged", kept.id)
    assert {name: entry.changes[name] for name in ("phone", "email", "merged_id")} == {
        "phone": was_empty,
        "email": was_empty,
        "merged_id": {"from": None, "to": str(other.id)},
    }
    assert "ana@example.com" not in str(entry.changes)


async def test_d30_an_id_that_was_merged_leads_on_through_every_later_merge(desk: Desk) -> None:
    one, two, three = [await desk.make.contact(desk.organization, name=name) for name in ("Um", "Dois", "Três")]
    await merge(desk, two, one)
    await merge(desk, three, two)
    for asked in (one, two, three):
        assert (await desk.agent.ask(READ, id=gid(asked)))["id"] == gid(three)
    update = """mutation ($id: ID!) { updateContact(input: {id: $id, name: "Quatro"}) {
        contact { id name } userErrors { code } } }"""
    assert (await desk.agent.ask(update, id=gid(one)))["contact"] == {"id": gid(three), "name": "Quatro"}
    four = await desk.make.contact(desk.organization)
    assert (await desk.agent.ask(MERGE, keep=gid(one), merge=gid(four)))["contact"]["id"] == gid(three)
    assert await refused(desk, gid(two), gid(three)) == [("INVALID", ["mergeId"])]


async def test_d30_a_claimed_phone_is_vouched_for_by_the_one_that_has_it(desk: Desk) -> None:
    kept = await desk.make.contact(desk.organization, phone="+551187654321")
    other = await desk.make.contact(desk.organization, phone="+5511987654321", phone_key="+5511987654321")
    assert (await merge(desk, kept, other))["phone"] == "+551187654321"
    assert (await contact(desk, kept.id)).phone_key == "+5511987654321"


async def test_a_contact_is_not_merged_with_itself_or_with_nobody(desk: Desk, make: Factory) -> None:
    one = await make.contact(desk.organization)
    theirs = await make.contact(await make.organization())
    assert await refused(desk, gid(one), gid(one)) == [("INVALID", ["mergeId"])]
    for nobody in (gid(theirs), f"Contact_{'0' * 32}", "Contact_1", f"Tag_{one.id.hex}"):
        assert await refused(desk, gid(one), nobody) == [("NOT_FOUND", ["mergeId"])]
        assert await refused(desk, nobody, gid(one)) == [("NOT_FOUND", ["keepId"])]
    assert (await contact(desk, one.id)).model_dump() == one.model_dump()
    async with make.ports.database.session(desk.organization.id) as session:
        assert (await session.execute(select(AuditEntry))).all() == []


async def test_d30_conversations_move_and_the_older_open_one_is_closed_with_a_note(desk: Desk) -> None:
    first, second = await desk.make.visitor(desk.channel), await desk.make.visitor(desk.channel)
    older, newer = await said(desk, first, "Oi, sou eu"), await said(desk, second, "Sou eu de novo")
    pull = "mutation { pullNextConversation(input: {}) { conversation { number } } }"
    assert (await desk.agent.ask(pull))["conversation"]["number"] == older.number
    kept, merged = await contact(desk, older.contact_id), await contact(desk, newer.contact_id)
    load = select(Member.load).where(Member.id == desk.agent_member.id)
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert await session.scalar(load) == 1
    await merge(desk, kept, merged)
    found = await desk.admin.ask(TALKS, id=gid(kept))
    assert found["totalCount"] == 2
    talks = {node["number"]: node for node in found["nodes"]}
    closed, going_on = talks[older.number], talks[newer.number]
    assert (closed["status"], going_on["status"]) == ("CLOSED", "QUEUED")
    assert {node["contact"]["id"] for node in found["nodes"]} == {gid(kept)}
    assert closed["messages"]["nodes"] == [
        {"text": "Oi, sou eu", "isNote": False, "authorKind": "CONTACT"},
        {
            "text": f"Encerrada porque o contato foi unificado: a conversa {newer.number} continua.",
            "isNote": True,
            "authorKind": "MEMBER",
        },
    ]
    assert going_on["messages"]["nodes"] == [{"text": "Sou eu de novo", "isNote": False, "authorKind": "CONTACT"}]
    assert going_on["timeline"]["nodes"][-1]["__typename"] == "ConversationChanged"
    for node in found["nodes"]:
        assert [event["seq"] for event in node["timeline"]["nodes"]] == list(range(1, node["lastSeq"] + 1))
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert await session.scalar(load) == 0
    assert (await desk.admin.ask(TALKS, id=gid(merged)))["totalCount"] == 2
    # Either browser goes on in the one that is open.
    assert (await said(desk, first, "Ainda aí?")).number == newer.number
    assert (await said(desk, second, "Sim")).number == newer.number


async def test_d30_conversations_on_other_channels_stay_open(desk: Desk) -> None:
    other = await desk.make.channel(desk.organization, queue_id=desk.queue.id)
    here, there = await desk.make.visitor(desk.channel), await desk.make.visitor(other)
    one, two = await said(desk, here, "Aqui"), await said(desk, there, "Lá")
    await merge(desk, await contact(desk, two.contact_id), await contact(desk, one.contact_id))
    found = await desk.admin.ask(TALKS, id=global_id("Contact", two.contact_id))
    assert [(node["number"], node["status"]) for node in found["nodes"]] == [
        (one.number, "QUEUED"),
        (two.number, "QUEUED"),
    ]


async def test_d30_merges_both_ways_at_once_leave_one(desk: Desk) -> None:
    for _ in range(3):
        one, two = [await desk.make.contact(desk.organization) for _ in range(2)]
        pairs = [(one, two), (two, one)] * 4
        told = await asyncio.gather(*(desk.agent.ask(MERGE, keep=gid(a), merge=gid(b)) for a, b in pairs))
        outcomes = sorted(str([error["code"] for error in answer["userErrors"]]) for answer in told)
        assert outcomes == ["['INVALID']"] * 7 + ["[]"]
        leads = [(await desk.agent.ask(READ, id=gid(asked)))["id"] for asked in (one, two)]
        assert len(set(leads)) == 1


async def test_d30_nothing_is_lost_that_contacts_write_while_they_are_merged(desk: Desk) -> None:
    """Each writes five times while the merge runs; new conversations begin, and closed ones are reopened."""
    for is_closed in (False, True):
        visitors = [await desk.make.visitor(desk.channel) for _ in range(2)]
        begun = [await said(desk, visitor, "Oi") for visitor in visitors]
        people = [await contact(desk, conversation.contact_id) for conversation in begun]
        if is_closed:
            close = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"
            for conversation in begun:
                told = await desk.admin.ask(close, id=global_id("Conversation", conversation.id))
                assert told["userErrors"] == []
        texts = [f"{who}-{number}" for number in range(5) for who in range(2)]
        wrote = [said(desk, visitors[int(text[0])], text) for text in texts]
        wrote.insert(3, merge(desk, *people))
        await asyncio.gather(*wrote)
        found = (await desk.admin.ask(TALKS, id=gid(people[0])))["nodes"]
        said_ = [message["text"] for node in found for message in node["messages"]["nodes"] if not message["isNote"]]
        assert sorted(said_) == sorted([*texts, "Oi", "Oi"])
        assert len([node for node in found if node["status"] != "CLOSED"]) == 1


async def test_d11_merging_while_agents_pull_and_close_ends_with_a_true_load(desk: Desk) -> None:
    pull = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
    close = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"
    visitors = [await desk.make.visitor(desk.channel) for _ in range(6)]
    begun = [await said(desk, visitor, "Oi") for visitor in visitors]
    people = [await contact(desk, conversation.contact_id) for conversation in begun]

    async def work() -> None:
        for _ in range(3):
            taken = (await desk.agent.ask(pull))["conversation"]
            if taken:
                await desk.agent.ask(close, id=taken["id"])

    await asyncio.gather(work(), *(merge(desk, people[0], other) for other in people[1:]), work())
    async with desk.make.ports.database.session(desk.organization.id) as session:
        held = select(Conversation).where(Conversation.status == "ACTIVE")
        active = len((await session.execute(held)).all())
        assert await session.scalar(select(Member.load).where(Member.id == desk.agent_member.id)) == active
        owners = set((await session.execute(select(Conversation.contact_id))).scalars())
    assert owners == {people[0].id}


async def test_g2_viewers_merge_nothing(desk: Desk) -> None:
    one, two = [await desk.make.contact(desk.organization) for _ in range(2)]
    _, viewer = await desk.colleague(Role.VIEWER, serves=False)
    assert await viewer.code(MERGE, keep=gid(one), merge=gid(two)) == "FORBIDDEN"
    assert (await desk.agent.ask(READ, id=gid(two)))["id"] == gid(two)
