"""/dev/whatsapp: a customer on WhatsApp, and Meta behind, so that a newcomer needs no account there.

What the customer writes is signed and delivered to the channel's webhook as Meta would; what agents answer is taken by
the recorder under /dev/meta, which reports it delivered and read. Without `?channel=` it is the demo shop's.
"""

import time
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.desk.conversations import enclosures
from pytake_gql.desk.conversations.models import Conversation, Message, MessageDirection, MessageStatus
from pytake_gql.development import demo
from pytake_gql.development.meta import forms, payloads, rules
from pytake_gql.development.meta.payloads import Json
from pytake_gql.development.meta.recorder import Line, Medium, Recorder
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.ports import Ports

PATH = "/dev/whatsapp"
GRAPH = "/dev/meta"
MOST = 100
PHONE = "5511988887777"
NUMBER = "100000000000001"
_PICTURES = ("image/jpeg", "image/png")
_MOST_BYTES = rules.MOST_BYTES["image"]
_ARRIVED = (MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.UNKNOWN)
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'",
    "cache-control": "no-store",
}
_STYLE = """<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }
iframe { width: 100%; height: 24rem; border: 1px solid; box-sizing: border-box; }
label { display: block; margin: .5rem 0; }
input { font: inherit; width: 100%; box-sizing: border-box; }
p { margin: .25rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.mine { text-align: right; }
</style>"""
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>WhatsApp, as a customer</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{style}</head><body><main><h1>{channel}</h1>
<iframe title="What was said" src="{talk}"></iframe>
<form method="post" enctype="multipart/form-data">
<label>Message <input name="text" autofocus maxlength="4096"></label>
<label>Picture <input name="picture" type="file" accept="image/jpeg,image/png"></label>
<label>Phone <input name="phone" required pattern="[0-9]{{8,15}}" value="{phone}"></label>
<label>Name <input name="name" required value="{name}"></label>
<button>Send</button></form></main></body></html>"""
_TALK = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>What was said</title>
<meta http-equiv="refresh" content="2">{style}</head><body><main>{said}</main></body></html>"""
_TEMPLATES: tuple[Json, ...] = (
    {
        "name": "pedido_enviado",
        "language": "pt_BR",
        "category": "UTILITY",
        "status": "APPROVED",
        "components": [{"type": "BODY", "text": "Olá {{1}}, seu pedido {{2}} foi enviado."}],
    },
    {
        "name": "volte_logo",
        "language": "pt_BR",
        "category": "MARKETING",
        "status": "PENDING",
        "components": [{"type": "BODY", "text": "Sentimos sua falta!"}],
    },
)


def routes(ports: Ports) -> list[BaseRoute]:
    """To be mounted outside production only: whoever comes here may speak for every customer."""
    page = _Page(ports)
    return [
        Route(PATH, page.show, methods=["GET"]),
        Route(PATH, page.say, methods=["POST"]),
        Route(f"{PATH}/talk", page.talk),
        Mount(GRAPH, page.recorder.app()),
    ]


class _Page:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._media: dict[str, dict[str, Medium]] = {}
        """Of each channel, while the process runs: a line is made anew for each request."""
        self.recorder = Recorder(reports=("delivered", "read"), find=self._line_of_path)

    async def show(self, request: Request) -> Response:
        given = request.query_params
        if not given.get("channel"):
            if not await demo.is_planted(self._ports):
                return HTMLResponse("The demo shop is not there: run `pytake dev`.", 404, headers=_HEADERS)
            return RedirectResponse(f"{PATH}?channel={await self._demo_channel(request)}", headers=_HEADERS)
        channel = await self._channel(given["channel"])
        if channel is None:
            return HTMLResponse("There is no such WhatsApp channel.", 404, headers=_HEADERS)
        phone, name = given.get("phone") or PHONE, given.get("name") or "Bia Cliente"
        talk = f"{PATH}/talk?{urlencode({'channel': given['channel'], 'phone': phone})}"
        known = {"channel": channel.name, "talk": talk, "phone": phone, "name": name}
        page = _PAGE.format(style=_STYLE, **{key: escape(value) for key, value in known.items()})
        return HTMLResponse(page, headers=_HEADERS)

    async def say(self, request: Request) -> Response:
        """Delivers as Meta does, signed; what the webhook says instead of 200 is shown."""
        said = await _said(request)
        if said is None:
            return HTMLResponse(f"A JPEG or PNG of at most {_MOST_BYTES >> 20} MB is taken.", 413, headers=_HEADERS)
        line = await self._line(request, request.query_params.get("channel", ""))
        phone, name = said.phone, said.name
        if line is None or not phone.isdigit() or not (said.text or said.picture):
            return HTMLResponse("A channel, a phone and a message are needed.", 400, headers=_HEADERS)
        message = _message(line, said)
        delivery = payloads.whatsapp(line.address, messages=[message], names={phone: name})
        [answer] = await self.recorder.deliver(line, delivery)
        if not answer.is_success:
            return HTMLResponse(f"The webhook answered {answer.status_code}.", 502, headers=_HEADERS)
        again = urlencode({"channel": request.query_params["channel"], "phone": phone, "name": name})
        return RedirectResponse(f"{PATH}?{again}", 303, headers=_HEADERS)

    async def talk(self, request: Request) -> Response:
        """What has reached the customer's phone, and what was written there; the newest below."""
        channel = await self._channel(request.query_params.get("channel", ""))
        rows = await self._talk(channel, request.query_params.get("phone", "")) if channel else []
        sides = {MessageDirection.INBOUND: "mine", MessageDirection.OUTBOUND: "theirs"}
        said = "".join(f'<p class="{sides[row.direction]}">{escape(shown)}</p>' for row, shown in reversed(rows))
        return HTMLResponse(_TALK.format(style=_STYLE, said=said or "<p>Nothing yet.</p>"), headers=_HEADERS)

    async def _talk(self, channel: Channel, phone: str) -> list[tuple[Message, str]]:
        """Each message, and what is shown of it: its files by their names, and its text."""
        statement = (
            select(Message)
            .join(Conversation, col(Conversation.id) == Message.conversation_id)
            .join(ContactIdentity, col(ContactIdentity.contact_id) == Conversation.contact_id)
            .where(
                Message.channel_id == channel.id,
                ContactIdentity.channel_id == channel.id,
                ContactIdentity.external_id == phone,
                col(Message.is_note).is_(False),
                (col(Message.direction) == MessageDirection.INBOUND) | col(Message.status).in_(_ARRIVED),
            )
            .order_by(col(Message.id).desc())
            .limit(MOST)
        )
        async with self._ports.database.session(channel.organization_id) as session:
            rows = list((await session.execute(statement)).scalars())
            files = await attachments.of_messages(session, [row.id for row in rows])
        shown = {id_: enclosures.preview(found) for id_, found in files.items() if found}
        return [(row, "\n".join(part for part in (shown.get(row.id), row.text) if part)) for row in rows]

    async def _channel(self, id_: str) -> Channel | None:
        parsed = parse_global_id(id_)
        if parsed is None or parsed[0] != "Channel":
            return None
        async with self._ports.database.session(None) as session:
            organization_id: UUID | None = await session.scalar(
                sa.text("SELECT engine_channel_organization(:channel_id)"), {"channel_id": parsed[1]}
            )
        if organization_id is None:
            return None
        async with self._ports.database.session(organization_id) as session:
            channel = (await channels.by_ids(session, [parsed[1]])).get(parsed[1])
        return channel if channel and channel.kind is ChannelKind.WHATSAPP else None

    async def _line_of_path(self, request: Request) -> Line | None:
        """Under /dev/meta the channel's id stands where Meta has the version: after a restart nothing is forgotten."""
        return await self._line(request, request.path_params["version"])

    async def _line(self, request: Request, channel_id: str) -> Line | None:
        channel = await self._channel(channel_id)
        if channel is None:
            return None
        async with self._ports.database.session(channel.organization_id) as session:
            secrets = await channels.secrets(session, self._ports.settings, channel)
        return Line(
            channel.settings["phoneNumberId"],
            token=secrets.get("accessToken", ""),
            app_secret=secrets.get("appSecret", ""),
            webhook_url=f"{_origin(request)}/webhooks/{channel_id}",
            templates=list(_TEMPLATES),
            media=self._media.setdefault(channel_id, {}),
        )

    async def _demo_channel(self, request: Request) -> str:
        """The shop's number, made at the first visit; it calls wherever the page is served now."""
        async with self._ports.units.of_system(demo.ORGANIZATION_ID) as uow:
            found = await channels.by_addresses(uow.session, ChannelKind.WHATSAPP, [NUMBER])
            channel = found[0] if found else await channels.create(uow, ChannelKind.WHATSAPP, _DEMO)
            id_ = global_id("Channel", channel.id)
            api_url = f"{_origin(request)}{GRAPH}/{id_}"
            if channel.settings.get("apiUrl") != api_url:
                await uow.session.flush()
                await channels.update(uow, channel.id, {"settings": {**channel.settings, "apiUrl": api_url}})
        return id_


_DEMO = {
    "name": "WhatsApp de exemplo",
    "queue_id": demo.SALES_QUEUE_ID,
    "settings": {"phoneNumberId": NUMBER, "businessAccountId": "100000000000002", "displayPhone": "+55 11 4004-1234"},
    "secrets": {"accessToken": "development", "appSecret": "development", "verifyToken": "development"},
}


@dataclass(frozen=True)
class _Said:
    """What the customer sends."""

    phone: str
    name: str
    text: str
    picture: Medium | None


async def _said(request: Request) -> _Said | None:
    """The form; None where its file is too large, or no picture."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES + 65_536:
            return None
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/form-data"):
        sent = {field.name: field for field in forms.fields(content_type, bytes(body))}
        given = {name: field.data.decode(errors="replace") for name, field in sent.items() if field.file_name is None}
        file = sent.get("picture")
    else:
        given = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        file = None
    picture = Medium(file.data, file.mime_type, file.file_name) if file and file.file_name and file.data else None
    if picture and (picture.mime_type not in _PICTURES or len(picture.data) > _MOST_BYTES):
        return None
    return _Said(given.get("phone", ""), given.get("name") or "Bia Cliente", given.get("text", ""), picture)


def _message(line: Line, said: _Said) -> Json:
    """As Meta delivers it: a picture lies with Meta, and its text is its caption."""
    if said.picture is None:
        return payloads.text(said.phone, said.text, time.time())
    image = {"id": line.keep(said.picture.data, said.picture.mime_type), "mime_type": said.picture.mime_type}
    return payloads.said(said.phone, "image", image | ({"caption": said.text} if said.text else {}), time.time())


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"
