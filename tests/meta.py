"""Meta's side in tests: the recorder on loopback, and channels that speak with it."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvicorn
from sqlmodel import col, select

from pytake_gql import bootstrap
from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.desk.conversations import jobs
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.desk.deliveries import jobs as media
from pytake_gql.desk.deliveries.models import DueMedium
from pytake_gql.desk.deliveries.ports import MediaSource, MediaSources
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Line, Recorder, sign
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.ports import Ports
from tests.desk.desk import Desk

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    message { id text status } userErrors { code field } } }"""


@contextlib.asynccontextmanager
async def recording(recorder: Recorder) -> AsyncIterator[str]:
    """The recorder's address, while it is served."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(recorder.app(), lifespan="off", log_config=None, loop="none"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


@dataclass
class Wire:
    """One channel of a desk, its line at Meta, and the HTTP door between."""

    desk: Desk
    ports: Ports
    http: httpx.AsyncClient
    recorder: Recorder
    line: Line
    channel: Channel
    contact: str = field(default_factory=lambda: f"55119{uuid4().int % 100_000_000:08d}")

    @property
    def path(self) -> str:
        return f"/webhooks/Channel_{self.channel.id.hex}"

    async def post(self, body: bytes, signature: str | None) -> httpx.Response:
        headers = {"content-type": "application/json"}
        if signature is not None:
            headers["x-hub-signature-256"] = signature
        return await self.http.post(self.path, content=body, headers=headers)

    async def deliver(self, payload: Any) -> int:
        """As Meta signs it; answers the status."""
        body = httpx.Request("POST", "http://x", json=payload).content
        return (await self.post(body, sign(self.line.app_secret, body))).status_code

    async def says(self, words: str = "Oi", *, at: float | None = None, **given: Any) -> str:
        """The contact writes; answers the provider's id."""
        message = payloads.text(self.contact, words, time.time() if at is None else at, **given)
        assert await self.deliver(payloads.whatsapp(self.line.address, messages=[message])) == 200
        id_: str = message["id"]
        return id_

    async def told(self, id_: str, became: str, **given: Any) -> None:
        status = payloads.status(id_, self.contact, became, time.time(), **given)
        assert await self.deliver(payloads.whatsapp(self.line.address, statuses=[status])) == 200

    async def rows(self, model: Any) -> list[Any]:
        """All of the organization, the oldest first."""
        async with self.ports.database.session(self.desk.organization.id) as session:
            return list((await session.execute(select(model).order_by(col(model.id)))).scalars())

    async def counts(self) -> tuple[int, int, int, int]:
        """Contacts, identities, conversations, messages."""
        return tuple([len(await self.rows(m)) for m in (Contact, ContactIdentity, Conversation, Message)])  # type: ignore[return-value]

    async def conversation(self) -> Conversation:
        [row] = await self.rows(Conversation)
        assert isinstance(row, Conversation)
        return row

    async def message(self, id_: UUID) -> Message:
        [row] = [row for row in await self.rows(Message) if row.id == id_]
        assert isinstance(row, Message)
        return row

    async def answer(self, words: str | None = "Pois não?", *, where: UUID | None = None, **given: Any) -> Any:
        """An admin answers in that conversation, or the only one; the payload."""
        id_ = f"Conversation_{(where or (await self.conversation()).id).hex}"
        return await self.desk.admin.ask(SEND, input={"conversationId": id_, "text": words, **given})

    async def answered(self, words: str | None = "Pois não?", **given: Any) -> UUID:
        payload = await self.answer(words, **given)
        assert payload["userErrors"] == []
        parsed = parse_global_id(payload["message"]["id"])
        assert parsed is not None
        return parsed[1]

    async def fetch_media(self) -> list[bool]:
        """Each file that is still to be fetched: says which ones came."""
        return list(await asyncio.gather(*(self.fetch(row.id) for row in await self.rows(DueMedium))))

    async def fetch(self, id_: UUID) -> bool:
        sources: MediaSources = self.ports.adapters[MediaSource]
        return await media.fetch_medium(self.ports, sources, self.desk.organization.id, id_)

    async def deliver_message(self, id_: UUID) -> bool:
        return await jobs.deliver_message(self.ports, bootstrap.channels(self.ports), self.desk.organization.id, id_)


async def connect(desk: Desk, recorder: Recorder, api_url: str, kind: ChannelKind = ChannelKind.WHATSAPP) -> Wire:
    """A channel of that kind, and its line."""
    unique = uuid4().hex[:12]
    line = recorder.add(
        Line(f"1{uuid4().int % 10**14:014d}", f"token-{unique}", f"app-{unique}", f"waba{unique}", f"verify-{unique}")
    )
    settings = {"apiUrl": api_url, kinds.KINDS[kind].address or "": line.address}
    if kind is ChannelKind.WHATSAPP:
        settings["businessAccountId"] = line.business_account_id
    secrets = {"accessToken": line.token, "appSecret": line.app_secret, "verifyToken": line.verify_token}
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        given = {"name": f"Meta {unique}", "queue_id": desk.queue.id, "settings": settings, "secrets": secrets}
        channel = await channels.create(uow, kind, given)
    line.webhook_url = channels.webhook_url(desk.make.ports.settings, kind, channel.id)
    return Wire(desk, desk.make.ports, desk.http, recorder, line, channel)
