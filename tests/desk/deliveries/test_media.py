"""Files that contacts send: their message at once, the bytes after it, once (D26, D29)."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from pytake_gql import duties
from pytake_gql.adapters.meta.graph import Graph
from pytake_gql.desk.attachments.models import Attachment
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.channels.ports import Account, ProviderFailed
from pytake_gql.desk.contacts import merging
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations.models import Message, TimelineEntry
from pytake_gql.desk.deliveries import jobs, media
from pytake_gql.desk.deliveries.models import DueMedium
from pytake_gql.desk.deliveries.ports import MediumTooLarge
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Fault
from tests.conftest import TravellingClock
from tests.desk.attachments.sending import HTML, PDF, PNG
from tests.meta import Wire

READ = "query ($id: ID!) { node(id: $id) { ... on Message { text attachments { url mimeType fileName } } } }"
MB = 1024 * 1024


def medium(wire: Wire, data: bytes = PNG, mime_type: str = "image/png", kind: str = "image", **given: str) -> Any:
    """A contact's message with a file that lies at Meta."""
    told = {"id": wire.line.keep(data, mime_type), "mime_type": mime_type, **given}
    return payloads.said(wire.contact, kind, told, time.time())


async def gets(wire: Wire, *messages: Any) -> None:
    for message in messages:
        assert await wire.deliver(payloads.whatsapp(wire.line.address, messages=[message])) == 200


async def bytes_of(wire: Wire, row: Attachment) -> bytes:
    assert row.storage_key is not None
    return await wire.ports.files.read(row.storage_key)


async def test_d26_an_album_of_ten_from_a_new_contact(wire: Wire) -> None:
    album = [medium(wire, PNG + bytes([n])) for n in range(10)]
    deliveries = [payloads.whatsapp(wire.line.address, messages=[message]) for message in album]
    assert await asyncio.gather(*(wire.deliver(d) for d in deliveries + deliveries)) == [200] * 20
    assert (await wire.counts(), len(await wire.rows(DueMedium))) == ((1, 1, 1, 10), 10)
    assert {m.text for m in await wire.rows(Message)} == {"[Imagem]"}
    assert await wire.fetch_media() == [True] * 10
    files, messages = await wire.rows(Attachment), await wire.rows(Message)
    assert (await wire.counts(), await wire.rows(DueMedium), len(files)) == ((1, 1, 1, 10), [], 10)
    assert {f.message_id for f in files} == {m.id for m in messages}
    assert {(m.text, m.has_attachments) for m in messages} == {(None, True)}
    assert {(await bytes_of(wire, f))[-1] for f in files} == set(range(10))
    conversation = await wire.conversation()
    assert (conversation.unread_count, conversation.last_message_preview) == (10, "📎 attachment.png")


async def test_d29_a_document_keeps_its_name_and_its_caption_and_tells_subscribers(wire: Wire) -> None:
    await gets(wire, medium(wire, PDF, "application/pdf", "document", filename="nota.pdf", caption="A nota"))
    [before] = await wire.rows(Message)
    assert (before.text, before.has_attachments) == ("[Documento]\nnota.pdf\nA nota", False)
    assert await wire.fetch_media() == [True]
    seen = await wire.desk.admin.ask(READ, id=f"Message_{before.id.hex}")
    [file] = seen["attachments"]
    assert (seen["text"], file["mimeType"], file["fileName"]) == ("A nota", "application/pdf", "nota.pdf")
    answer = await wire.http.get(file["url"])
    assert (answer.content, answer.headers["content-disposition"].partition(";")[0]) == (PDF, "attachment")
    last = max(await wire.rows(TimelineEntry), key=lambda entry: entry.seq)
    assert (last.kind, last.message_id, last.data) == (
        "MESSAGE_STATUS_CHANGED",
        before.id,
        {"message_status": "RECEIVED"},
    )
    assert (await wire.conversation()).last_message_preview == "A nota"


KINDS = [
    (b"OggS\0\2" + b"\0" * 30, "audio/ogg; codecs=opus", "audio", "audio/ogg"),
    (b"\0\0\0\x20ftypisom" + b"\0" * 30, "video/mp4", "video", "video/mp4"),
    (b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 30, "image/webp", "sticker", "image/webp"),
]


async def test_d29_voices_videos_and_stickers_come_in(wire: Wire) -> None:
    for data, told, kind, kept in KINDS:
        await gets(wire, medium(wire, data, told, kind))
        assert await wire.fetch_media() == [True]
        newest = (await wire.rows(Attachment))[-1]
        assert (newest.mime_type, await bytes_of(wire, newest)) == (kept, data)


async def test_d29_what_may_not_be_attached_leaves_its_placeholder_and_no_file(wire: Wire) -> None:
    large = "[Documento]\nfilme.pdf\nVeja\n(O arquivo tem mais de 16 MB.)"
    cases = [
        (medium(wire, PDF + b"\0" * 30 * MB, "application/pdf", "document", filename="filme.pdf", caption="Veja"),
         large),
        (medium(wire, HTML, "image/png"), "[Imagem]\n(Arquivos deste tipo não são aceitos.)"),
        (medium(wire, PNG, "application/x-thing"), "[Imagem]\n(Arquivos deste tipo não são aceitos.)"),
        (payloads.said(wire.contact, "image", {"id": "gone"}, time.time()),
         "[Imagem]\n(Não foi possível carregar o arquivo.)"),
        (payloads.said(wire.contact, "image", {"id": "../me"}, time.time()),
         "[Imagem]\n(Não foi possível carregar o arquivo.)"),
    ]  # fmt: skip
    for message, text in cases:
        await gets(wire, message)
        assert await wire.fetch_media() == [False]
        newest = (await wire.rows(Message))[-1]
        assert (newest.text, newest.has_attachments, newest.error is None) == (text, False, False)
        assert (await wire.rows(DueMedium), await wire.rows(Attachment)) == ([], [])


async def test_a_large_file_is_not_read_beyond_what_is_taken(wire: Wire) -> None:
    """Also where nobody has told its size before, as at Instagram."""
    graph, id_ = Graph(is_production=False), wire.line.keep(PNG + b"\0" * 30 * MB, "image/png")
    account = Account(wire.channel.id, ChannelKind.WHATSAPP, wire.channel.settings, {"accessToken": wire.line.token})
    url = f"{wire.channel.settings['apiUrl']}/v23.0/files/{id_}"
    with pytest.raises(MediumTooLarge):
        await graph.download(account, url, with_token=True, most_bytes=16 * MB)
    await graph.close()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/x", "https://lookaside.fbsbx.com.evil.example/x", "https://evil.example/.fbsbx.com",
     "http://lookaside.fbsbx.com/x", "https://a@lookaside.fbsbx.com/x", "https://lookaside.fbsbx.com:8443/x",
     "file:///etc/passwd", "https://[", ""],
)  # fmt: skip
async def test_g21_a_file_is_fetched_from_nowhere_but_the_provider(url: str) -> None:
    graph = Graph(is_production=True)
    account = Account(UUID(int=1), ChannelKind.INSTAGRAM, {"apiUrl": "http://127.0.0.1:1"}, {"accessToken": "t"})
    with pytest.raises(ProviderFailed) as refused:
        await graph.download(account, url, with_token=False, most_bytes=1)
    assert refused.value.is_transient is False
    await graph.close()


async def test_two_workers_at_once_make_one_file(wire: Wire) -> None:
    await gets(wire, medium(wire))
    [row] = await wire.rows(DueMedium)
    twice = await asyncio.gather(wire.fetch(row.id), wire.fetch(row.id))
    assert sorted(twice) == [False, True]
    assert len(await wire.rows(Attachment)) == 1


async def test_e4_a_worker_whose_lease_ran_out_changes_nothing(wire: Wire, clock: TravellingClock) -> None:
    await gets(wire, medium(wire))
    wire.recorder.faults.append(Fault(status=503))
    wire.recorder.faults.append(Fault(status=503))
    assert await wire.fetch_media() == [False]
    clock.ahead += timedelta(minutes=1)
    assert await wire.fetch_media() == [False]
    [row] = await wire.rows(DueMedium)
    stale = DueMedium(**{**row.model_dump(), "epoch": row.epoch - 1})
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await media.give_up(uow, stale, note="(no)", error="no")
    [message] = await wire.rows(Message)
    assert (message.text, len(await wire.rows(DueMedium))) == ("[Imagem]", 1)


async def test_the_provider_is_down_and_comes_back_and_redis_forgot(wire: Wire, clock: TravellingClock) -> None:
    await gets(wire, medium(wire, caption="Veja"))
    wire.recorder.faults.extend([Fault(status=502), Fault(status=400, code=2, is_transient=True), Fault(401, 190)])
    for attempt in range(3):
        assert await wire.fetch_media() == [False]
        [row], [message] = await wire.rows(DueMedium), await wire.rows(Message)
        assert (row.attempts, message.text) == (attempt + 1, "[Imagem]\nVeja")
        assert await wire.fetch_media() == [False]  # it is not due yet: nobody was asked
        clock.ahead += timedelta(seconds=5 * 2**attempt + 1)
    [channel] = [row for row in await wire.rows(Channel) if row.id == wire.channel.id]
    assert channel.status == "ERROR"  # its token has expired; the file waits for a new one
    async with Redis.from_url(wire.ports.settings.redis_url) as redis:
        await redis.flushdb()
    [sweep] = [sweep for sweep in duties.sweeps(wire.ports) if sweep.__name__ == "fetch_medium"]
    assert (str(wire.desk.organization.id), str(row.id)) in [job.arguments for job in await sweep()]
    assert await wire.fetch_media() == [True]
    [message] = await wire.rows(Message)
    assert (message.text, message.has_attachments) == ("Veja", True)


async def test_what_never_comes_is_given_up_and_says_so(wire: Wire, clock: TravellingClock) -> None:
    await gets(wire, medium(wire))
    wire.recorder.faults.extend([Fault(status=503)] * jobs.MOST_ATTEMPTS)
    for _ in range(jobs.MOST_ATTEMPTS):
        assert await wire.fetch_media() == [False]
        clock.ahead += timedelta(hours=3)
    [message] = await wire.rows(Message)
    assert (message.text, message.error) == ("[Imagem]\n(Não foi possível carregar o arquivo.)", "HTTP 503")
    assert (await wire.rows(DueMedium), len(wire.recorder.faults)) == ([], 0)


async def test_d30_what_an_erased_contact_sent_is_not_fetched(wire: Wire) -> None:
    await gets(wire, medium(wire), medium(wire))
    [first, claimed] = await wire.rows(DueMedium)
    [contact] = await wire.rows(Contact)
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await merging.erase(uow, contact.id)
    assert await wire.rows(DueMedium) == []
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        assert await media.arrive(uow, claimed, first.id) is False
    assert {(m.text, m.has_attachments) for m in await wire.rows(Message)} == {(None, False)}
    assert await wire.rows(Attachment) == []


async def test_instagram_files_come_by_their_address(gram: Wire) -> None:
    base = f"{gram.channel.settings['apiUrl']}/v23.0/files"
    gram.line.business_account_id = ""
    urls = [f"{base}/{gram.line.keep(PNG + bytes([n]), 'image/png')}" for n in range(2)]
    attachments = [{"type": "image", "payload": {"url": url}} for url in urls]
    message = {"mid": "m.1", "text": "Veja", "attachments": attachments}
    event = payloads.event(gram.contact, gram.line.address, time.time(), message=message)
    assert await gram.deliver(payloads.instagram(gram.line.address, event)) == 200
    assert await gram.fetch_media() == [True, True]
    assert [(m.text, m.has_attachments) for m in await gram.rows(Message)] == [
        ("Veja", False),
        (None, True),
        (None, True),
    ]
    assert sorted([(await bytes_of(gram, f))[-1] for f in await gram.rows(Attachment)]) == [0, 1]
