"""Uploads: announced through GraphQL, put by HTTP; sizes, headers, contents and addresses (D29, G22)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytake_gql.desk.attachments import service
from pytake_gql.desk.attachments.models import Attachment
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Frontend, FrontendEnvironment
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.attachments.sending import (
    HTML,
    PDF,
    PNG,
    PREPARE,
    SCRIPT,
    SEND,
    SVG,
    Ready,
    prepare,
    put,
    upload,
)
from tests.desk.desk import Desk, conversation_id
from tests.sockets import Served

MEGABYTE = 1024 * 1024


async def stored(desk: Desk, ready: Ready) -> Attachment:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return (await service.by_ids(session, [ready.row_id]))[ready.row_id]


def files_of(desk: Desk) -> list[Path]:
    """Whatever lies on the disk of the organization."""
    root = Path(desk.make.ports.settings.files_directory)
    return [path for path in root.rglob("*") if path.is_file() and desk.organization.id.hex in str(path)]


def parts(desk: Desk) -> list[Path]:
    """What broken uploads of anybody left."""
    return list(Path(desk.make.ports.settings.files_directory).rglob("*.part"))


async def test_d29_an_upload_is_announced_put_and_kept(desk: Desk) -> None:
    answer = await desk.agent.ask(
        PREPARE, input={"fileName": "foto.png", "mimeType": "image/png", "sizeBytes": len(PNG)}
    )
    assert (answer["userErrors"], answer["headers"]) == ([], [{"name": "Content-Type", "value": "image/png"}])
    ready = Ready(answer["attachmentId"], answer["uploadUrl"], {"Content-Type": "image/png"})
    assert (await stored(desk, ready)).storage_key is None
    assert (await put(desk.http, ready, PNG)).status_code == 204
    row = await stored(desk, ready)
    assert (row.file_name, row.mime_type, row.size_bytes) == ("foto.png", "image/png", len(PNG))
    assert [path.read_bytes() for path in files_of(desk)] == [PNG]
    assert await desk.make.ports.files.read(row.storage_key or "") == PNG


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"sizeBytes": 30 * MEGABYTE}, "TOO_LONG", ["sizeBytes"]),
        ({"sizeBytes": 16 * MEGABYTE + 1}, "TOO_LONG", ["sizeBytes"]),
        ({"sizeBytes": 0}, "INVALID", ["sizeBytes"]),
        ({"sizeBytes": -1}, "INVALID", ["sizeBytes"]),
        ({"mimeType": "image/svg+xml"}, "INVALID", ["mimeType"]),
        ({"mimeType": "text/html"}, "INVALID", ["mimeType"]),
        ({"mimeType": ""}, "INVALID", ["mimeType"]),
        ({"fileName": " "}, "REQUIRED", ["fileName"]),
        ({"fileName": "x" * 201}, "TOO_LONG", ["fileName"]),
        ({"fileName": "a\nb.png"}, "INVALID", ["fileName"]),
        ({"fileName": "a\0.png"}, "INVALID", ["fileName"]),
    ],
)
async def test_d29_bad_announcements_are_refused(
    desk: Desk, changed: dict[str, Any], code: str, field: list[str]
) -> None:
    input_ = {"fileName": "foto.png", "mimeType": "image/png", "sizeBytes": 10, **changed}
    for client in (desk.agent, await desk.visitor()):
        answer = await client.ask(PREPARE, input=input_)
        assert [(error["code"], error["field"]) for error in answer.pop("userErrors")] == [(code, field)]
        assert answer == {"attachmentId": None, "uploadUrl": None, "headers": [], "expiresAt": None}


async def test_d29_sixteen_megabytes_come_in_whole(desk: Desk) -> None:
    data = PNG + b"\x01" * (16 * MEGABYTE - len(PNG))
    ready = await prepare(desk.agent, len(data))
    assert (await put(desk.http, ready, data)).status_code == 204
    (path,) = files_of(desk)
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()


async def endless(chunk: bytes, sent: list[int]) -> AsyncIterator[bytes]:
    for _ in range(30):
        sent.append(len(chunk))
        yield chunk


async def test_d29_what_is_larger_than_announced_is_cut_off_while_it_comes(desk: Desk) -> None:
    ready, sent = await prepare(desk.agent, MEGABYTE), list[int]()
    told = await put(desk.http, ready, b"x" * (MEGABYTE + 1))
    assert (told.status_code, told.headers["connection"]) == (413, "close")
    streamed = await put(desk.http, ready, endless(b"x" * MEGABYTE, sent))
    assert streamed.status_code == 413
    assert ((await stored(desk, ready)).storage_key, files_of(desk)) == (None, [])
    assert parts(desk) == []


async def test_d29_thirty_megabytes_are_refused_before_they_come(desk: Desk, live: Served) -> None:
    """By a real server: the answer is there while the client has sent nothing but the headers."""
    ready = await prepare(desk.agent, 16 * MEGABYTE)
    path, host = ready.url.removeprefix(desk.make.ports.settings.public_url), live.host.partition(":")
    reader, writer = await asyncio.open_connection(host[0], int(host[2]))
    head = f"PUT {path} HTTP/1.1\r\nHost: {live.host}\r\nContent-Type: image/png\r\nContent-Length: {30 * MEGABYTE}"
    writer.write(f"{head}\r\n\r\n".encode())
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert ((await stored(desk, ready)).storage_key, files_of(desk)) == (None, [])


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (PNG, {"Content-Type": "text/html"}, 415),
        (PNG, {"Content-Encoding": "gzip"}, 415),
        (PNG[:-1], {}, 400),
        (PNG + b"x", {}, 413),
        (b"", {}, 400),
    ],
)
async def test_d29_wrong_headers_and_sizes_are_refused(
    desk: Desk, data: bytes, headers: dict[str, str], status: int
) -> None:
    ready = await prepare(desk.agent, len(PNG))
    assert (await put(desk.http, ready, data, **headers)).status_code == status
    assert ((await stored(desk, ready)).storage_key, files_of(desk)) == (None, [])
    assert (await put(desk.http, ready, PNG)).status_code == 204


async def shortened() -> AsyncIterator[bytes]:
    yield PNG[:10]


async def test_d29_a_body_without_a_length_must_be_as_long_as_announced(desk: Desk) -> None:
    ready = await prepare(desk.agent, len(PNG))
    assert (await put(desk.http, ready, shortened())).status_code == 400
    assert ((await stored(desk, ready)).storage_key, files_of(desk)) == (None, [])


@pytest.mark.parametrize("data", [SVG, HTML, SCRIPT, PDF], ids=["svg", "html", "script", "pdf"])
async def test_g22_what_is_only_called_a_picture_is_refused(desk: Desk, data: bytes) -> None:
    ready = await prepare(desk.agent, len(data))
    answer = await put(desk.http, ready, data, **{"Accept-Language": "en"})
    assert answer.status_code == 422
    assert answer.json() == {"error": {"message": "The content is not of the type image/png."}}
    assert ((await stored(desk, ready)).storage_key, files_of(desk)) == (None, [])
    row = await desk.make.conversation(desk.channel)
    sent = await desk.agent.ask(
        SEND, input={"conversationId": conversation_id(row.id), "text": "Veja", "attachmentIds": [ready.id]}
    )
    assert sent == {"message": None, "userErrors": [{"code": "WRONG_STATE", "field": ["attachmentIds", "0"]}]}


async def test_g22_text_is_no_disguise_for_markup(desk: Desk) -> None:
    ready = await prepare(desk.agent, len(SVG), name="leia.txt", mime="text/plain")
    assert (await put(desk.http, ready, SVG)).status_code == 422
    assert files_of(desk) == []


async def test_g22_addresses_expire_and_cannot_be_guessed_or_exchanged(desk: Desk, clock: TravellingClock) -> None:
    ready = await prepare(desk.agent, len(PNG))
    head, _, tail = ready.url.rpartition(".")
    forged = f"{head}.{tail[:-4]}{'AAAA' if tail[-4:] != 'AAAA' else 'BBBB'}"
    for url in (forged, f"{ready.url.rpartition('/')[0]}/nonsense"):
        answer = await desk.http.put(url, content=PNG, headers=ready.headers)
        assert answer.status_code == 403
    assert (await desk.http.get(ready.url)).status_code == 403  # an upload's address downloads nothing
    assert (await desk.http.post(ready.url)).status_code == 405
    clock.advance(minutes=15, seconds=1)
    assert (await put(desk.http, ready, PNG)).status_code == 403
    assert ((await stored(desk, ready)).storage_key, files_of(desk)) == (None, [])


async def test_g5_an_upload_may_be_tried_again_until_it_is_sent(desk: Desk) -> None:
    ready, other = await prepare(desk.agent, len(PNG)), PNG[:-1] + b"\x07"
    row = await desk.make.conversation(desk.channel)
    answers = await asyncio.gather(*(put(desk.http, ready, PNG) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [204] * 5
    assert (await put(desk.http, ready, other)).status_code == 204
    assert [path.read_bytes() for path in files_of(desk)] == [other]
    sent = await desk.agent.ask(SEND, input={"conversationId": conversation_id(row.id), "attachmentIds": [ready.id]})
    assert sent["userErrors"] == []
    assert (await put(desk.http, ready, PNG)).status_code == 409
    assert [path.read_bytes() for path in files_of(desk)] == [other]


async def test_d29_only_so_many_wait_to_be_sent(desk: Desk) -> None:
    visitor, neighbour = await desk.visitor(), await desk.visitor()
    input_ = {"fileName": "foto.png", "mimeType": "image/png", "sizeBytes": 10}
    answers = await asyncio.gather(*(visitor.ask(PREPARE, input=input_) for _ in range(12)))
    codes = [error["code"] for answer in answers for error in answer["userErrors"]]
    assert codes == ["LIMIT_REACHED"] * (12 - service.MOST_UNSENT_OF_A_VISITOR)
    assert (await neighbour.ask(PREPARE, input=input_))["userErrors"] == []


async def test_only_agents_and_visitors_upload(desk: Desk, anonymous: Client) -> None:
    _, viewer = await desk.colleague(Role.VIEWER)
    input_ = {"fileName": "foto.png", "mimeType": "image/png", "sizeBytes": 10}
    assert await viewer.code(PREPARE, input=input_) == "FORBIDDEN"
    assert await anonymous.code(PREPARE, input=input_) == "UNAUTHENTICATED"


async def test_front_ends_upload_and_pages_of_others_do_not(desk: Desk) -> None:
    ours, theirs = f"https://{uuid4().hex}.example.com", f"https://{uuid4().hex}.example.com"
    stranger = await desk.make.organization()
    for organization, origin in ((desk.organization, ours), (stranger, theirs)):
        row = Frontend(environment=FrontendEnvironment.PRODUCTION, origin=origin)
        await desk.make.save(organization.id, row)
    ready = await prepare(desk.agent, len(PNG))
    asks = {"access-control-request-method": "PUT", "access-control-request-headers": "content-type"}
    allowed = await desk.http.options(ready.url, headers={"origin": ours, **asks})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, ours)
    assert allowed.headers["access-control-allow-methods"] == "GET, PUT"
    assert "content-type" in allowed.headers["access-control-allow-headers"]
    nobody = await desk.http.options(ready.url, headers={"origin": "https://evil.example.net", **asks})
    assert (nobody.status_code, nobody.headers.get("access-control-allow-origin")) == (403, None)
    assert (await put(desk.http, ready, PNG, origin=theirs)).status_code == 403
    assert (await put(desk.http, ready, PNG, origin="null")).status_code == 403
    assert (await stored(desk, ready)).storage_key is None
    done = await put(desk.http, ready, PNG, origin=ours)
    assert (done.status_code, done.headers["access-control-allow-origin"]) == (204, ours)


async def test_an_upload_whose_row_is_gone_leaves_nothing(desk: Desk) -> None:
    ready = await prepare(desk.agent, len(PNG))
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await uow.session.delete(await stored(desk, ready))
    assert (await put(desk.http, ready, PNG)).status_code == 404
    assert files_of(desk) == []
    assert await upload(desk.http, desk.agent)
