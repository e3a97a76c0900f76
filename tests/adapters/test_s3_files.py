"""Files in an S3-compatible store, against one that checks signatures, lengths and dates itself (D29, G22)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from pytake_gql import app, duties
from pytake_gql.adapters.s3_files import S3Files
from pytake_gql.adapters.sigv4 import Signer
from pytake_gql.desk.attachments import service
from pytake_gql.kernel.files import FilesUnavailable, Place
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import SettingsError
from tests.adapters.s3_server import S3Server, s3_server
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.attachments.sending import HTML, PNG, SEND, SVG, prepare
from tests.desk.desk import Desk, conversation_id, open_desk
from tests.factories import Factory


@pytest.fixture
async def store(ports: Ports) -> AsyncIterator[S3Server]:
    async with s3_server(ports.clock.now) as made:
        yield made


@pytest.fixture
async def files(store: S3Server, ports: Ports) -> AsyncIterator[S3Files]:
    made = S3Files(store.url, ports.clock)
    yield made
    await made.close()


@pytest.fixture
async def desk(files: S3Files, ports: Ports, make: Factory) -> AsyncIterator[Desk]:
    """A desk behind an application that keeps its files in the store."""
    transport = httpx.ASGITransport(app.build(replace(ports, files=files)))
    async with httpx.AsyncClient(transport=transport, base_url=ports.settings.public_url) as http:
        yield await open_desk(make, http)


@pytest.fixture
async def outside() -> AsyncIterator[httpx.AsyncClient]:
    """A browser that speaks to the store itself."""
    async with httpx.AsyncClient() as client:
        yield client


async def send(desk: Desk, *ids: str) -> tuple[str | None, list[tuple[str, list[str]]]]:
    """The address of the first file of a new message, or why there is none."""
    row = await desk.make.conversation(desk.channel)
    input_ = {"conversationId": conversation_id(row.id), "attachmentIds": ids}
    answer = await desk.agent.ask(SEND, input=input_)
    errors = [(error["code"], error["field"]) for error in answer["userErrors"]]
    return answer["message"]["attachments"][0]["url"] if not errors else None, errors


def test_the_signature_is_that_of_the_providers_own_example() -> None:
    """From the documentation of Signature Version 4, "Authenticating Requests: Using Query Parameters"."""
    signer = Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
    at = datetime(2013, 5, 24, tzinfo=UTC)
    url = signer.presign("GET", "https://examplebucket.s3.amazonaws.com", "/test.txt", at=at, seconds=86400)
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


async def test_d29_a_file_goes_to_the_store_and_comes_from_it(
    desk: Desk, store: S3Server, outside: httpx.AsyncClient
) -> None:
    ready = await prepare(desk.agent, len(PNG), name="ação.html")
    assert (await outside.put(ready.url, content=PNG, headers=ready.headers)).status_code == 200
    url, errors = await send(desk, ready.id)
    assert errors == []
    assert url is not None
    answer = await outside.get(url)
    assert (answer.status_code, answer.content) == (200, PNG)
    told = {name: answer.headers[name] for name in ("content-type", "content-disposition", "cache-control")}
    assert told == {
        "content-type": "image/png",
        "content-disposition": "attachment; filename*=UTF-8''a%C3%A7%C3%A3o.html.png",
        "cache-control": told["cache-control"],
    }
    assert told["cache-control"].startswith("private, max-age=3")
    assert (store.held("incoming"), store.held("kept")) == ([], [PNG])


@pytest.mark.parametrize("data", [SVG, HTML], ids=["svg", "html"])
async def test_g22_what_is_only_called_a_picture_is_refused_when_it_is_sent(
    desk: Desk, store: S3Server, outside: httpx.AsyncClient, data: bytes
) -> None:
    ready = await prepare(desk.agent, len(data))
    assert (await outside.put(ready.url, content=data, headers=ready.headers)).status_code == 200
    assert await send(desk, ready.id) == (None, [("INVALID", ["attachmentIds", "0"])])
    assert store.objects == {}
    assert await send(desk, ready.id) == (None, [("WRONG_STATE", ["attachmentIds", "0"])])


async def test_g22_a_ticket_that_is_used_again_does_not_change_what_was_sent(
    desk: Desk, store: S3Server, outside: httpx.AsyncClient
) -> None:
    ready = await prepare(desk.agent, len(PNG))
    await outside.put(ready.url, content=PNG, headers=ready.headers)
    url, _ = await send(desk, ready.id)
    assert url is not None
    evil = HTML.ljust(len(PNG))
    assert (await outside.put(ready.url, content=evil, headers=ready.headers)).status_code == 200
    assert (await outside.get(url)).content == PNG
    assert store.held("kept") == [PNG]


async def test_d29_the_store_takes_no_other_length_type_or_moment(
    desk: Desk, store: S3Server, outside: httpx.AsyncClient, clock: TravellingClock
) -> None:
    ready = await prepare(desk.agent, len(PNG))
    for data, headers in ((PNG + b"x", ready.headers), (PNG, {"Content-Type": "text/html"})):
        assert (await outside.put(ready.url, content=data, headers=headers)).status_code == 403
    assert (await outside.get(ready.url)).status_code == 403
    other = ready.url.replace(f"{ready.row_id.hex}?", f"{uuid4().hex}?")
    assert (await outside.put(other, content=PNG, headers=ready.headers)).status_code == 403
    clock.advance(minutes=15, seconds=1)
    assert (await outside.put(ready.url, content=PNG, headers=ready.headers)).status_code == 403
    assert store.objects == {}


async def test_d29_addresses_expire(desk: Desk, outside: httpx.AsyncClient, clock: TravellingClock) -> None:
    ready = await prepare(desk.agent, len(PNG))
    await outside.put(ready.url, content=PNG, headers=ready.headers)
    url, _ = await send(desk, ready.id)
    assert url is not None
    clock.advance(hours=1, seconds=1)
    assert (await outside.get(url)).status_code == 403


async def test_a_busy_store_is_asked_again_and_one_that_is_away_is_told(
    desk: Desk, store: S3Server, outside: httpx.AsyncClient
) -> None:
    ready = await prepare(desk.agent, len(PNG))
    await outside.put(ready.url, content=PNG, headers=ready.headers)
    store.failures = 3
    assert await send(desk, ready.id) == (None, [("PROVIDER_FAILED", ["attachmentIds", "0"])])
    store.failures = 2
    assert (await send(desk, ready.id))[1] == []


async def test_erased_files_leave_the_store(
    desk: Desk, ports: Ports, files: S3Files, store: S3Server, outside: httpx.AsyncClient, clock: TravellingClock
) -> None:
    sent, unsent = await prepare(desk.agent, len(PNG)), await prepare(desk.agent, len(PNG))
    for ready in (sent, unsent):
        await outside.put(ready.url, content=PNG, headers=ready.headers)
    assert (await send(desk, sent.id))[1] == []
    assert (len(store.held("incoming")), len(store.held("kept"))) == (1, 1)
    async with ports.database.session(desk.organization.id) as session:
        row = (await service.by_ids(session, [sent.row_id]))[sent.row_id]
    async with ports.units.of_system(desk.organization.id) as uow:
        assert row.conversation_id is not None
        await service.erase(uow, [row.conversation_id])
    clock.advance(hours=6, seconds=1)
    for chore in duties.housekeeping(replace(ports, files=files)):
        await chore()
    assert store.objects == {}


async def test_what_a_channel_received_is_written_and_read(desk: Desk, ports: Ports, files: S3Files) -> None:
    with_store = replace(ports, files=files)
    id_ = await service.store(with_store, desk.organization.id, name=None, mime_type="image/png", data=PNG)
    async with ports.database.session(desk.organization.id) as session:
        row = (await service.by_ids(session, [id_]))[id_]
    assert await files.read(row.storage_key or "") == PNG
    with pytest.raises(FilesUnavailable):
        await files.read("nothing")
    assert await files.take(Place(desk.organization.id, uuid4())) is None


async def test_the_application_takes_no_uploads_itself_then(desk: Desk, anonymous: Client) -> None:
    assert (await desk.http.put("/attachments/nonsense", content=PNG)).status_code == 404
    assert (await anonymous.http.put("/attachments/nonsense", content=PNG)).status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@host/bucket",
        "https://host/bucket",
        "https://key@host/bucket",
        "https://key:secret@host/",
        "https://key:secret@host/bucket/folder",
        "https://key:secret@host:port/bucket",
    ],
)
def test_an_address_that_is_none_is_named(ports: Ports, url: str) -> None:
    with pytest.raises(SettingsError, match="PYTAKE_S3_URL"):
        S3Files(url, ports.clock)
