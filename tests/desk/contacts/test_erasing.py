"""Erasing a contact, through the door: what is gone, and what stays."""

import asyncio
import json
from typing import Any

import asyncpg
import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.desk.contacts.models import Contact, ContactTag
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, Message, TimelineEntry
from pytake_gql.desk.tags.models import Tag
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory
from tests.tenants.companies import TENANT_TABLES

ERASE = """mutation ($id: ID!) { deleteContact(input: {id: $id}) {
    contact { id name phone email } userErrors { code field } } }"""
VISIT = """mutation ($input: StartVisitInput!) { startVisit(input: $input) {
    visit { visitorToken } userErrors { code } } }"""
SAY = "mutation ($text: String!) { sendVisitorMessage(input: {text: $text}) { userErrors { code } } }"
SEND = """mutation ($id: ID!, $text: String!) {
    sendMessage(input: {conversationId: $id, text: $text}) { message { id } userErrors { code } } }"""
TRANSFER = """mutation ($id: ID!, $queue: ID!, $note: String!) {
    transferConversation(input: {id: $id, queueId: $queue, note: $note}) { userErrors { code } } }"""
TALKS = """{ conversations { nodes { status subject ratingComment contact { name phone email attributes }
    lastMessage { text } messages(first: 50) { nodes { text authorKind status } } } } }"""
SECRET = "Zuleica"


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


async def test_an_erased_contact_leaves_nothing_that_it_was_or_said(desk: Desk, database_url: str) -> None:
    given = {
        "channelId": global_id("Channel", desk.channel.id),
        "name": SECRET,
        "email": f"{SECRET}@example.com",
        "phone": "+5511987654321",
        "attributes": {"nota": SECRET},
    }
    visit = (await Client(desk.http, None).ask(VISIT, input=given))["visit"]
    visitor = Client(desk.http, visit["visitorToken"])
    assert (await visitor.ask(SAY, text=f"Sou {SECRET}"))["userErrors"] == []
    pulled = await desk.agent.ask("mutation { pullNextConversation(input: {}) { conversation { id contact { id } } } }")
    talk, contact_id = pulled["conversation"]["id"], pulled["conversation"]["contact"]["id"]
    assert (await desk.agent.ask(SEND, id=talk, text=f"Olá, {SECRET}"))["userErrors"] == []
    update = (
        "mutation ($id: ID!, $s: String!) { updateConversation(input: {id: $id, subject: $s}) { userErrors { code } } }"
    )
    assert (await desk.agent.ask(update, id=talk, s=f"Pedido de {SECRET}"))["userErrors"] == []
    other = await desk.make.queue(desk.organization, desk.agent_member)
    moved = await desk.agent.ask(TRANSFER, id=talk, queue=global_id("Queue", other.id), note=f"É {SECRET}")
    assert moved["userErrors"] == []
    edit = """mutation ($id: ID!, $name: String!) {
        updateContact(input: {id: $id, name: $name, phone: "+5511987654321"}) { userErrors { code } } }"""
    assert (await desk.agent.ask(edit, id=contact_id, name=f"{SECRET} Lima"))["userErrors"] == []
    told = await desk.admin.ask(ERASE, id=contact_id)
    assert told == {
        "contact": {
            "id": contact_id,
            "name": f"{SECRET} Lima",
            "phone": "+5511987654321",
            "email": f"{SECRET.lower()}@example.com",
        },
        "userErrors": [],
    }
    owner = await asyncpg.connect(database_url)
    try:
        for table in TENANT_TABLES:
            statement = f"SELECT to_jsonb(t) FROM {table} t WHERE organization_id = $1"  # noqa: S608 - names of ours
            rows = await owner.fetch(statement, desk.organization.id)
            left = [row[0] for row in rows if SECRET.lower() in row[0].lower() or "87654321" in row[0]]
            assert [json.loads(row) for row in left] == [], table
    finally:
        await owner.close()
    # The visitor begins anew, and does not see what was.
    assert await visitor.ask("{ visitorChat { lastSeq } }") is None
    assert (await visitor.ask(SAY, text="Oi"))["userErrors"] == []
    assert (await desk.admin.ask("{ contacts { totalCount } }"))["totalCount"] == 1


async def test_d31_that_and_when_it_took_place_stays_for_reports(desk: Desk) -> None:
    conversation = await desk.make.conversation(desk.channel, text="Oi")
    contact_id = global_id("Contact", conversation.contact_id)
    pull = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
    talk = (await desk.agent.ask(pull))["conversation"]["id"]
    assert (await desk.agent.ask(SEND, id=talk, text="Olá"))["userErrors"] == []

    async def events() -> list[Any]:
        async with desk.make.ports.database.session(desk.organization.id) as session:
            rows = (await session.execute(select(TimelineEntry).order_by(col(TimelineEntry.seq)))).scalars()
            return [(row.seq, row.kind, row.at, row.by_id, row.message_id) for row in rows]

    before = await events()
    assert (await desk.admin.ask(ERASE, id=contact_id))["userErrors"] == []
    after = await events()
    assert after[: len(before)] == before
    assert [seq for seq, *_ in after] == list(range(1, len(after) + 1))
    found = (await desk.admin.ask(TALKS))["nodes"]
    assert found == [
        {
            "status": "CLOSED",
            "subject": None,
            "ratingComment": None,
            "contact": {"name": None, "phone": None, "email": None, "attributes": {}},
            "lastMessage": {"text": None},
            "messages": {
                "nodes": [
                    {"text": None, "authorKind": "CONTACT", "status": "RECEIVED"},
                    {"text": None, "authorKind": "MEMBER", "status": "FAILED"},  # no worker has sent it yet
                ]
            },
        }
    ]
    reopen = "mutation ($id: ID!) { reopenConversation(input: {id: $id}) { userErrors { code field } } }"
    assert (await desk.agent.ask(reopen, id=talk))["userErrors"] == [{"code": "WRONG_STATE", "field": ["id"]}]
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert await session.scalar(select(Member.load).where(Member.id == desk.agent_member.id)) == 0
        said = (await session.execute(select(Message).order_by(col(Message.seq)))).scalars().all()
        assert [(row.author_name, row.due_at) for row in said] == [(None, None), (desk.agent_member.name, None)]
        entries = (await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars().all()
    assert [(e.action, e.changes) for e in entries if e.entity_type == "Contact"][-1] == ("contact.erased", {})


async def test_an_erased_contact_is_nowhere_to_be_found(desk: Desk) -> None:
    make, now = desk.make, desk.make.ports.clock.now()
    row = await make.contact(desk.organization, phone="+5511987654321", phone_key="+5511987654321", created_at=now)
    merged, kept = await make.contact(desk.organization), global_id("Contact", row.id)
    tag = Tag(name="VIP", name_key="vip")
    await make.save(desk.organization.id, tag, ContactTag(contact_id=row.id, tag_id=tag.id))
    merge = """mutation ($keep: ID!, $merge: ID!) {
        mergeContacts(input: {keepId: $keep, mergeId: $merge}) { userErrors { code } } }"""
    old = global_id("Contact", merged.id)
    assert (await desk.agent.ask(merge, keep=kept, merge=old))["userErrors"] == []
    assert (await desk.admin.ask(ERASE, id=old))["contact"]["id"] == kept
    for id_ in (kept, old):
        assert await desk.agent.ask("query ($id: ID!) { contact(id: $id) { id } }", id=id_) is None
        assert await desk.agent.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
        told = await desk.admin.ask(ERASE, id=id_)
        assert told == {"contact": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
    assert (await desk.agent.ask("{ contacts { totalCount nodes { id } } }")) == {"totalCount": 0, "nodes": []}
    # Its phone is free again.
    create = 'mutation { createContact(input: {phone: "11 8765-4321"}) { contact { phone } userErrors { code } } }'
    assert (await desk.agent.ask(create))["userErrors"] == []


async def test_g2_admins_erase(desk: Desk, make: Factory) -> None:
    row = await make.contact(desk.organization, name="Bia")
    assert await desk.agent.code(ERASE, id=global_id("Contact", row.id)) == "FORBIDDEN"
    theirs = await make.contact(await make.organization(), name="Alheia")
    told = await desk.admin.ask(ERASE, id=global_id("Contact", theirs.id))
    assert told["userErrors"] == [{"code": "NOT_FOUND", "field": ["id"]}]
    for organization_id, id_, name in (
        (row.organization_id, row.id, "Bia"),
        (theirs.organization_id, theirs.id, "Alheia"),
    ):
        async with make.ports.database.session(organization_id) as session:
            assert (await session.get_one(Contact, (organization_id, id_))).name == name


async def test_erasing_a_contact_that_writes_meanwhile_leaves_no_word_of_it(desk: Desk) -> None:
    """What comes before is emptied, what comes after is a new contact's: never half of both."""
    for is_closed in (False, True):
        visitor = await desk.make.visitor(desk.channel)
        client = Client(desk.http, visitor.token)
        assert (await client.ask(SAY, text="antes 0"))["userErrors"] == []
        async with desk.make.ports.database.session(desk.organization.id) as session:
            statement = select(Conversation).order_by(col(Conversation.number).desc()).limit(1)
            begun = (await session.execute(statement)).scalar_one()
        if is_closed:
            close = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"
            told = await desk.admin.ask(close, id=global_id("Conversation", begun.id))
            assert told["userErrors"] == []
        wrote = [client.ask(SAY, text=f"meio {number}") for number in range(6)]
        wrote.insert(3, desk.admin.ask(ERASE, id=global_id("Contact", begun.contact_id)))
        told = await asyncio.gather(*wrote)
        erased = told.pop(3)
        assert erased["userErrors"] == []
        codes = {error["code"] for answer in told for error in answer["userErrors"]}
        assert codes <= {"CONFLICT", "NOT_FOUND"}  # who meets the erasure is told to try again
        assert (await client.ask(SAY, text="depois"))["userErrors"] == []
        async with desk.make.ports.database.session(desk.organization.id) as session:
            theirs = select(Message.text).join(Conversation, col(Conversation.id) == Message.conversation_id)
            left = theirs.where(Conversation.contact_id == begun.contact_id)
            assert set((await session.execute(left)).scalars()) == {None}
            statuses = select(Conversation.status).where(Conversation.contact_id == begun.contact_id)
            assert set((await session.execute(statuses)).scalars()) == {ConversationStatus.CLOSED}
