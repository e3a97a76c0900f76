"""/dev/whatsapp: a customer and an agent talk over WhatsApp, with nobody of Meta's between."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql import app, bootstrap
from pytake_gql.desk.attachments.models import Attachment
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.conversations import jobs
from pytake_gql.desk.conversations.models import Message
from pytake_gql.desk.deliveries import jobs as media
from pytake_gql.desk.deliveries.models import DueMedium
from pytake_gql.desk.deliveries.ports import MediaSource
from pytake_gql.development import demo
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Environment
from tests.desk.attachments.sending import PNG, upload
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory
from tests.meta import SEND
from tests.sockets import Served

SYNC = "mutation ($id: ID!) { syncTemplates(input: {channelId: $id}) { channel { templates { name status } } } }"


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


async def connected(desk: Desk, ports: Ports, live: Served) -> str:
    """A WhatsApp channel of the desk, whose Meta is the page's."""
    secrets = {"accessToken": "t", "appSecret": "s", "verifyToken": "v"}
    async with ports.units.of_system(desk.organization.id) as uow:
        given = {"name": "Zap", "queue_id": desk.queue.id, "settings": {"phoneNumberId": "77"}, "secrets": secrets}
        channel = await channels.create(uow, ChannelKind.WHATSAPP, given)
        id_ = global_id("Channel", channel.id)
        known = {"phoneNumberId": "77", "businessAccountId": "88", "apiUrl": f"{live.url}/dev/meta/{id_}"}
        await uow.session.flush()
        await channels.update(uow, channel.id, {"settings": known})
    return id_


async def test_a_customer_writes_and_an_agent_answers(desk: Desk, ports: Ports, live: Served) -> None:
    id_ = await connected(desk, ports, live)
    async with httpx.AsyncClient(base_url=live.url, trust_env=False, follow_redirects=True) as browser:
        page = await browser.get("/dev/whatsapp", params={"channel": id_})
        assert (page.status_code, "<h1>Zap</h1>" in page.text) == (200, True)
        said = {"text": "Oi <b>", "phone": "5511977776666", "name": "Bia"}
        assert (await browser.post("/dev/whatsapp", params={"channel": id_}, data=said)).status_code == 200
        talk = (
            re.findall(r'src="([^"]+)"', page.text)[0].replace("&amp;", "&").replace("5511988887777", "5511977776666")
        )
        assert '<p class="mine">Oi &lt;b&gt;</p>' in (await browser.get(talk)).text
        [conversation] = (await desk.admin.ask("{ conversations { nodes { id contact { name phone } } } }"))["nodes"]
        assert conversation["contact"] == {"name": "Bia", "phone": "+5511977776666"}
        answer = {"text": "Pois não?", "attachmentIds": [await upload(desk.http, desk.admin)]}
        sent = await desk.admin.ask(SEND, input={"conversationId": conversation["id"], **answer})
        message = parse_global_id(sent["message"]["id"])
        assert message is not None
        assert await jobs.deliver_message(ports, bootstrap.channels(ports), desk.organization.id, message[1])
        assert '<p class="theirs">📎 foto.png\nPois não?</p>' in (await browser.get(talk)).text
        async with asyncio.timeout(10):
            while await status(desk, ports, message[1]) != "READ":
                await asyncio.sleep(0.1)
    found = (await desk.admin.ask(SYNC, id=id_))["channel"]["templates"]
    assert [one["status"] for one in found] == ["APPROVED", "PENDING"]


async def test_a_customer_sends_a_picture(desk: Desk, ports: Ports, live: Served) -> None:
    id_ = await connected(desk, ports, live)
    async with httpx.AsyncClient(base_url=live.url, trust_env=False, follow_redirects=True) as browser:

        async def send(data: bytes, mime_type: str, **said: str) -> int:
            form = {"phone": "5511966665555", "name": "Bia", **said}
            files = {"picture": ("minha foto.png", data, mime_type)}
            answer = await browser.post("/dev/whatsapp", params={"channel": id_}, data=form, files=files)
            return answer.status_code

        picture = PNG + bytes(range(256)) * 8 + b"\r\n--\r\n"
        assert await send(picture, "image/png", text="Veja <b>") == 200
        assert await send(PNG, "image/png", text="") == 200
        assert await send(PNG, "image/svg+xml") == 413
        assert await send(PNG + b"\0" * (5 << 20), "image/png") == 413
        assert await send(PNG + b"\0" * (6 << 20), "image/png") == 413
        assert await send(b"", "image/png", text="") == 400
        due = await rows(desk, ports, DueMedium)
        sources = ports.adapters[MediaSource]
        fetched = [await media.fetch_medium(ports, sources, desk.organization.id, row.id) for row in due]
        talk = (await browser.get("/dev/whatsapp/talk", params={"channel": id_, "phone": "5511966665555"})).text
    said, files = await rows(desk, ports, Message), await rows(desk, ports, Attachment)
    assert (fetched, [row.text for row in said]) == ([True, True], ["Veja <b>", None])
    assert await ports.files.read(files[0].storage_key) == picture
    assert [file.mime_type for file in files] == ["image/png", "image/png"]
    assert talk.count("📎") == 2
    assert "Veja &lt;b&gt;</p>" in talk


async def rows(desk: Desk, ports: Ports, model: Any) -> list[Any]:
    async with ports.database.session(desk.organization.id) as session:
        return list((await session.execute(select(model).order_by(col(model.id)))).scalars())


async def status(desk: Desk, ports: Ports, message_id: object) -> str:
    async with ports.database.session(desk.organization.id) as session:
        row = await session.get_one(Message, (desk.organization.id, message_id))
    return row.status.value


async def test_what_is_no_whatsapp_channel_is_told(desk: Desk, http: httpx.AsyncClient) -> None:
    for channel in ("x", global_id("Channel", desk.channel.id), global_id("Queue", desk.queue.id)):
        assert (await http.get("/dev/whatsapp", params={"channel": channel})).status_code == 404
        answer = await http.post("/dev/whatsapp", params={"channel": channel}, data={"text": "a", "phone": "1"})
        assert answer.status_code == 400
        assert (await http.post(f"/dev/meta/{channel}/77/messages", json={})).status_code == 400


async def test_without_a_channel_it_is_the_demo_shops(ports: Ports, http: httpx.AsyncClient) -> None:
    if not await demo.is_planted(ports):
        assert (await http.get("/dev/whatsapp")).status_code == 404
        await demo.plant(ports, "!")
    targets = {(await http.get("/dev/whatsapp")).headers["location"] for _ in range(2)}
    [target] = targets
    page = await http.get(target)
    assert (page.status_code, "<h1>WhatsApp de exemplo</h1>" in page.text) == (200, True)
    async with ports.database.session(demo.ORGANIZATION_ID) as session:
        [row] = await channels.by_addresses(session, ChannelKind.WHATSAPP, ["100000000000001"])
    assert isinstance(row, Channel)
    assert row.settings["apiUrl"] == f"{ports.settings.public_url}/dev/meta/{global_id('Channel', row.id)}"


async def test_it_does_not_exist_in_production(ports: Ports) -> None:
    production = replace(ports, settings=replace(ports.settings, environment=Environment.PRODUCTION))
    transport = httpx.ASGITransport(app.build(production))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/dev/whatsapp", "/dev/whatsapp/talk"):
            assert (await client.get(path)).status_code == 404
        assert (await client.post("/dev/meta/x/1/messages", json={})).status_code == 404
