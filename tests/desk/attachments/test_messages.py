"""Files that travel with messages: given to one, seen by whoever sees it, downloaded as downloads (D29, G22)."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from pytake_gql import bootstrap
from pytake_gql.desk.attachments import service
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations import jobs, messages
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.desk.conversations.ports import Outgoing
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.ids import id_of
from pytake_gql.kernel.principal import ConversationScope
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.attachments.sending import NODE, PDF, PNG, SEND, WRITE, prepare, upload
from tests.desk.desk import Desk
from tests.sockets import Served

READ = """query ($id: ID!) { conversation(id: $id) { lastSeq lastMessage { text attachments { fileName } }
    messages(first: 50) { nodes { text attachments { id fileName mimeType sizeBytes } } } } }"""
CHAT = "{ visitorChat { messages { nodes { text attachments { id fileName } } } } }"
EVENTS = """subscription ($id: ID!) { conversationEvents(conversationId: $id) {
    ... on MessageAdded { message { text attachments { fileName mimeType } } } } }"""


async def wrote(visitor: Client) -> str:
    """The id of the conversation that the visitor's first message began."""
    answer = await visitor.ask(WRITE, input={"text": "Oi"})
    id_: str = answer["chat"]["id"].replace("VisitorChat", "Conversation")
    return id_


async def refused(client: Client, document: str, **input_: Any) -> list[tuple[str, list[str]]]:
    answer = await client.ask(document, input=input_)
    assert answer["message"] is None
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


async def preview(desk: Desk) -> str | None:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        shown: str | None = (await session.execute(select(Conversation.last_message_preview))).scalar_one()
    return shown


async def test_d29_an_agent_sends_files_with_and_without_a_text(desk: Desk) -> None:
    visitor = await desk.visitor()
    id_ = await wrote(visitor)
    first = await upload(desk.http, desk.agent)
    second = await upload(desk.http, desk.agent, PDF, name="contrato.html", mime="application/pdf")
    sent = await desk.agent.ask(SEND, input={"conversationId": id_, "attachmentIds": [second, first]})
    assert sent["userErrors"] == []
    shown = [
        {"id": second, "fileName": "contrato.html.pdf", "mimeType": "application/pdf", "sizeBytes": len(PDF)},
        {"id": first, "fileName": "foto.png", "mimeType": "image/png", "sizeBytes": len(PNG)},
    ]
    assert sent["message"]["text"] is None
    assert [{key: file[key] for key in shown[0]} for file in sent["message"]["attachments"]] == shown
    assert await preview(desk) == "📎 contrato.html.pdf, foto.png"
    third = await upload(desk.http, desk.agent, name="c.png")
    again = await desk.agent.ask(SEND, input={"conversationId": id_, "text": "Veja", "attachmentIds": [third]})
    assert again["userErrors"] == []
    assert await preview(desk) == "Veja"
    read = await desk.admin.ask(READ, id=id_)
    assert [message["attachments"] for message in read["messages"]["nodes"]][:2] == [[], shown]
    assert read["lastMessage"] == {"text": "Veja", "attachments": [{"fileName": "c.png"}]}
    chat = await visitor.ask(CHAT)
    assert [[file["id"] for file in message["attachments"]] for message in chat["messages"]["nodes"]] == [
        [],
        [second, first],
        [third],
    ]


async def test_d29_a_visitor_sends_files(desk: Desk) -> None:
    visitor = await desk.visitor()
    file = await upload(desk.http, visitor, name="comprovante.png")
    answer = await visitor.ask(WRITE, input={"attachmentIds": [file]})
    assert (answer["userErrors"], answer["message"]["text"]) == ([], None)
    assert [(it["id"], it["fileName"]) for it in answer["message"]["attachments"]] == [(file, "comprovante.png")]
    read = await desk.agent.ask(READ, id=answer["chat"]["id"].replace("VisitorChat", "Conversation"))
    assert [it["id"] for it in read["messages"]["nodes"][0]["attachments"]] == [file]
    assert read["lastMessage"]["attachments"] == [{"fileName": "comprovante.png"}]


async def test_g22_nobody_sends_what_another_uploaded(desk: Desk) -> None:
    visitor, neighbour = await desk.visitor(), await desk.visitor()
    id_ = await wrote(visitor)
    _, colleague = await desk.colleague()
    theirs = {name: await upload(desk.http, who) for name, who in (("v", neighbour), ("a", colleague))}
    for file in (*theirs.values(), f"Attachment_{'0' * 32}", "nonsense"):
        expected = [("NOT_FOUND", ["attachmentIds", "0"])]
        assert await refused(desk.agent, SEND, conversationId=id_, text="Oi", attachmentIds=[file]) == expected
        assert await refused(visitor, WRITE, text="Oi", attachmentIds=[file]) == expected
    own = await upload(desk.http, desk.agent)
    mixed = await refused(desk.agent, SEND, conversationId=id_, attachmentIds=[own, theirs["a"]])
    assert mixed == [("NOT_FOUND", ["attachmentIds", "1"])]
    assert (await desk.agent.ask(READ, id=id_))["lastSeq"] == 2
    done = await desk.agent.ask(SEND, input={"conversationId": id_, "attachmentIds": [own]})
    assert done["userErrors"] == []


async def test_d29_a_file_belongs_to_one_message_however_many_ask_at_once(desk: Desk) -> None:
    id_ = await wrote(await desk.visitor())
    file = await upload(desk.http, desk.agent)
    input_ = {"conversationId": id_, "text": "Veja", "attachmentIds": [file]}
    answers = await asyncio.gather(*(desk.agent.ask(SEND, input=input_) for _ in range(8)))
    codes = sorted(error["code"] for answer in answers for error in answer["userErrors"])
    assert codes == ["CONFLICT"] * 7
    assert (await desk.agent.ask(READ, id=id_))["lastSeq"] == 3


async def test_d29_what_was_not_uploaded_or_is_too_much_is_refused(desk: Desk, clock: TravellingClock) -> None:
    id_ = await wrote(await desk.visitor())
    empty, file = await prepare(desk.agent, len(PNG)), await upload(desk.http, desk.agent)
    both = {"conversationId": id_, "attachmentIds": [file, empty.id]}
    assert await refused(desk.agent, SEND, **both) == [("WRONG_STATE", ["attachmentIds", "1"])]
    many = [f"Attachment_{number:032x}" for number in range(11)]
    assert await refused(desk.agent, SEND, conversationId=id_, attachmentIds=many) == [("TOO_MANY", ["attachmentIds"])]
    assert await refused(desk.agent, SEND, conversationId=id_, attachmentIds=[]) == [("REQUIRED", ["text"])]
    clock.advance(hours=6, seconds=1)
    fresh = Client(desk.http, (await desk.make.signed_in(desk.agent_member)).token)
    late = await refused(fresh, SEND, conversationId=id_, attachmentIds=[file])
    assert late == [("EXPIRED", ["attachmentIds", "0"])]
    assert (await fresh.ask(READ, id=id_))["lastSeq"] == 2


async def test_g5_the_same_key_sends_the_files_once(desk: Desk) -> None:
    visitor = await desk.visitor()
    id_ = await wrote(visitor)
    for client, document, where in ((desk.agent, SEND, {"conversationId": id_}), (visitor, WRITE, {})):
        file, other = await upload(desk.http, client), await upload(desk.http, client)
        input_ = {**where, "attachmentIds": [file], "idempotencyKey": "k"}
        first, second = [await client.ask(document, input=input_) for _ in range(2)]
        assert (first["userErrors"], second["userErrors"]) == ([], [])
        assert first["message"]["id"] == second["message"]["id"]
        changed = await refused(client, document, **{**input_, "attachmentIds": [other]})
        assert changed == [("CONFLICT", ["idempotencyKey"])]


async def test_d29_messages_to_a_closed_conversation_leave_the_file_free(desk: Desk) -> None:
    id_ = await wrote(await desk.visitor())
    file = await upload(desk.http, desk.agent)
    close = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"
    assert (await desk.agent.ask(close, id=id_))["userErrors"] == []
    assert await refused(desk.agent, SEND, conversationId=id_, attachmentIds=[file]) == [
        ("WRONG_STATE", ["conversationId"])
    ]
    other = await wrote(await desk.visitor())
    assert (await desk.agent.ask(SEND, input={"conversationId": other, "attachmentIds": [file]}))["userErrors"] == []


async def test_d21_a_file_is_found_by_whoever_sees_its_message(desk: Desk) -> None:
    visitor, neighbour = await desk.visitor(), await desk.visitor()
    id_ = await wrote(visitor)
    await wrote(neighbour)
    _, own = await desk.colleague(conversation_scope=ConversationScope.OWN)
    unsent, public, noted = [await upload(desk.http, desk.agent) for _ in range(3)]
    for file, is_note in ((public, False), (noted, True)):
        sent = {"conversationId": id_, "attachmentIds": [file], "isNote": is_note}
        assert (await desk.agent.ask(SEND, input=sent))["userErrors"] == []
    seen = {
        desk.agent: {public, noted},
        desk.admin: {public, noted},
        visitor: {public},
        neighbour: set(),
        own: set(),
    }
    for client, expected in seen.items():
        found = {file for file in (unsent, public, noted) if await client.ask(NODE, id=file) is not None}
        assert found == expected
        # What may be seen was sent already; of the rest it is not said that it is there.
        if client in {own, neighbour}:
            document = SEND if client is own else WRITE
            where = {"conversationId": id_} if client is own else {}
            assert {code for code, _ in await refused(client, document, **where, attachmentIds=[public])} == {
                "NOT_FOUND"
            }
    assert await refused(visitor, WRITE, attachmentIds=[public]) == [("CONFLICT", ["attachmentIds", "0"])]


async def test_g22_it_is_served_as_a_download_with_a_safe_name(desk: Desk) -> None:
    id_ = await wrote(await desk.visitor())
    file = await upload(desk.http, desk.agent, PDF, name='Ação "já".html', mime="application/pdf")
    sent = await desk.agent.ask(SEND, input={"conversationId": id_, "attachmentIds": [file]})
    url = sent["message"]["attachments"][0]["url"]
    answer = await desk.http.get(url)
    assert (answer.status_code, answer.content) == (200, PDF)
    told = {name: answer.headers[name] for name in ("content-type", "x-content-type-options", "content-disposition")}
    assert told == {
        "content-type": "application/pdf",
        "x-content-type-options": "nosniff",
        "content-disposition": (
            "attachment; filename=\"A__o _j__.html.pdf\"; filename*=UTF-8''A%C3%A7%C3%A3o%20_j%C3%A1_.html.pdf"
        ),
    }
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"].startswith("private, max-age=3")
    assert (await desk.http.head(url)).headers["content-length"] == str(len(PDF))
    part = await desk.http.get(url, headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, PDF[1:4])
    page = await desk.http.get(url, headers={"origin": "https://evil.example.net"})
    assert "access-control-allow-origin" not in page.headers


async def test_g22_a_files_address_expires_and_a_read_gives_a_fresh_one(desk: Desk, clock: TravellingClock) -> None:
    id_ = await wrote(await desk.visitor())
    file = await upload(desk.http, desk.agent)
    sent = await desk.agent.ask(SEND, input={"conversationId": id_, "attachmentIds": [file]})
    shown = sent["message"]["attachments"][0]
    until = datetime.fromisoformat(shown["urlExpiresAt"])
    assert timedelta(minutes=59) < until - clock.now() <= timedelta(hours=1)
    head, _, tail = shown["url"].rpartition(".")
    assert (await desk.http.get(f"{head}.{tail[::-1]}")).status_code == 403
    assert (await desk.http.put(shown["url"], content=PNG)).status_code == 403  # nor does it upload anything
    clock.advance(hours=1)
    assert (await desk.http.get(shown["url"])).status_code == 403
    fresh = Client(desk.http, (await desk.make.signed_in(desk.agent_member)).token)
    again = await fresh.ask("query ($id: ID!) { node(id: $id) { ... on Attachment { url } } }", id=file)
    assert again["url"] != shown["url"]
    assert (await desk.http.get(again["url"])).content == PNG


async def test_message_added_carries_the_files(desk: Desk, live: Served) -> None:
    visitor = await desk.visitor()
    id_ = await wrote(visitor)
    file = await upload(desk.http, visitor)
    async with live.socket() as socket:
        await socket.start(desk.agent.token or "")
        await socket.subscribe(EVENTS, id=id_)
        await asyncio.sleep(0.2)
        await visitor.ask(WRITE, input={"attachmentIds": [file]})
        message = await socket.receive()
    shown = {"fileName": "foto.png", "mimeType": "image/png"}
    assert message["payload"]["data"] == {"conversationEvents": {"message": {"text": None, "attachments": [shown]}}}


class Recorder:
    """A channel that keeps what it was given."""

    is_idempotent = True

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    def parts(self, message: Outgoing) -> list[Outgoing]:
        return [message]

    async def send(self, message: Outgoing) -> str | None:
        self.sent.append(message)
        return None


async def test_d27_a_channel_gets_the_files_and_may_read_them(desk: Desk) -> None:
    id_ = await wrote(await desk.visitor())
    file, recorder, ports = await upload(desk.http, desk.agent), Recorder(), desk.make.ports
    sent = await desk.agent.ask(SEND, input={"conversationId": id_, "attachmentIds": [file]})
    channels = {**bootstrap.channels(ports), ChannelKind.WEB_CHAT: recorder}
    assert await jobs.deliver_message(ports, channels, desk.organization.id, id_of(sent["message"]["id"]))
    (message,) = recorder.sent
    (outgoing,) = message.attachments
    assert (message.text, outgoing.name, outgoing.mime_type, outgoing.size_bytes) == (
        "",
        "foto.png",
        "image/png",
        len(PNG),
    )
    assert await ports.files.read(outgoing.storage_key) == PNG
    assert (await desk.http.get(outgoing.url)).content == PNG


async def test_d26_what_a_channel_received_is_stored_and_belongs_to_its_message(desk: Desk) -> None:
    ports, row = desk.make.ports, await desk.make.conversation(desk.channel)
    told = "application/pdf; charset=binary"
    file = await service.store(ports, desk.organization.id, name="bo\0leto", mime_type=told, data=PDF)
    with pytest.raises(Refusal):
        await service.store(ports, desk.organization.id, name="x.png", mime_type="image/png", data=PDF)
    async with ports.units.of_system(desk.organization.id) as uow:
        channel, contact = desk.channel, await desk.make.contact(desk.organization)
        _, message = await messages.receive(
            uow, channel, contact, text=None, provider_message_id="wamid.1", attachment_ids=[file]
        )
    async with ports.database.session(desk.organization.id) as session:
        enclosed = (await service.of_messages(session, [message.id]))[message.id]
        assert [(it.id, it.file_name) for it in enclosed] == [(file, "bo_leto.pdf")]
        stored = (await session.execute(select(Message).where(Message.id == message.id))).scalar_one()
    assert (stored.has_attachments, stored.conversation_id == row.id) == (True, False)


@contextlib.contextmanager
def statements(desk: Desk) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    engine = desk.make.ports.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


async def test_the_files_of_a_page_of_messages_are_read_at_once(desk: Desk) -> None:
    visitor = await desk.visitor()
    id_ = await wrote(visitor)
    for _ in range(4):
        await visitor.ask(WRITE, input={"attachmentIds": [await upload(desk.http, visitor)]})
    whole = "query ($id: ID!) { conversation(id: $id) { messages { nodes { attachments { id } } } } }"
    with statements(desk) as asked:
        read = await desk.agent.ask(whole, id=id_)
    assert [len(message["attachments"]) for message in read["messages"]["nodes"]] == [0, 1, 1, 1, 1]
    assert len([text for text in asked if "FROM attachments" in text]) == 1
