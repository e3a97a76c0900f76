"""Meta's side of the protocol: takes messages and templates' reads, refuses as Meta does, signs what it delivers."""

import asyncio
import hmac
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytake_gql.development.meta import forms, payloads, rules
from pytake_gql.development.meta.payloads import Json

PER_SECOND = 80
PAIR_SECONDS = 6.0
_DELIVERY_SECONDS = 20.0
_OK = 200
PAGE: Final = 2
"""So small that templates come in several pages."""


@dataclass(frozen=True)
class Medium:
    data: bytes
    mime_type: str
    name: str | None = None


@dataclass
class Line:
    """A number of WhatsApp, or an account of Instagram."""

    address: str
    token: str
    app_secret: str
    business_account_id: str = ""
    verify_token: str = ""
    webhook_url: str = ""
    templates: list[Json] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """What was told to be read: ids of WhatsApp's messages, contacts of Instagram."""
    sent: list[Json] = field(default_factory=list)
    """What was taken, in order, each with the id that it was given under `id`."""
    taken_at: list[tuple[float, str]] = field(default_factory=list)
    media: dict[str, Medium] = field(default_factory=dict)
    """What was uploaded, and what contacts sent: by its id."""

    def keep(self, data: bytes, mime_type: str) -> str:
        """The id of a file that can be asked for from now on."""
        id_ = str(uuid4().int)[:16]
        self.media[id_] = Medium(data, mime_type)
        return id_


@dataclass(frozen=True)
class Fault:
    """What happens to a call instead of what should. A lost one is taken, and its answer is not sent."""

    status: int = 400
    code: int | None = None
    seconds: float = 0.0
    is_lost: bool = False
    is_transient: bool = False

    def answer(self) -> Response:
        if self.code is None:
            return Response("<html>Bad gateway</html>", self.status, media_type="text/html")
        return refusal(self.status, self.code, "A fault that was ordered.", is_transient=self.is_transient)


def refusal(status: int, code: int, message: str, *, is_transient: bool = False) -> Response:
    error = {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code, "fbtrace_id": "A1b2C3"}
    details = {"messaging_product": "whatsapp", "details": message}
    return JSONResponse({"error": {**error, "error_data": details, "is_transient": is_transient}}, status)


@dataclass
class Recorder:
    """`reports` are the statuses that a taken message of WhatsApp gets by itself, one after the other.

    `find` looks for the line of a request where it is not among the known ones.
    """

    lines: dict[str, Line] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    message_faults: deque[Fault] = field(default_factory=deque)
    """Like `faults`, for what sends: uploads and reads pass."""
    is_throttling: bool = False
    reports: Sequence[str] = ()
    find: Callable[[Request], Awaitable[Line | None]] | None = None
    _reporting: set[asyncio.Task[None]] = field(default_factory=set)

    def add(self, line: Line) -> Line:
        self.lines[line.address] = line
        return line

    def app(self) -> Starlette:
        routes = [
            Route("/{version}/{address}/messages", self._take, methods=["POST"]),
            Route("/{version}/{account}/message_templates", self._list, methods=["GET"]),
            Route("/{version}/{address}/media", self._upload, methods=["POST"]),
            Route("/{version}/{medium}", self._tell_medium, methods=["GET"]),
            Route("/{version}/files/{medium}", self._download, methods=["GET"], name="file"),
        ]
        return Starlette(routes=routes)

    # ------------------------------------------------------------------------------ what is asked of Meta

    async def _take(self, request: Request) -> Response:
        line = await self._line(request, address=request.path_params["address"])
        if line is None:
            return refusal(400, 100, "Unsupported post request: the object does not exist.")
        if (refused := self._unknown_token(request, line)) is not None:
            return refused
        ordered = self.message_faults or self.faults
        fault = ordered.popleft() if ordered else Fault(status=200)
        await asyncio.sleep(fault.seconds)
        if fault.is_lost or fault.status == _OK:
            answer = self._answer(line, orjson.loads(await request.body()))
            return Response(status_code=502) if fault.is_lost else answer
        return fault.answer()

    def _answer(self, line: Line, body: Json) -> Response:
        """Takes the message or refuses it, as Meta would."""
        is_whatsapp = body.get("messaging_product") == "whatsapp"
        if rules.is_receipt(body):
            return self._see(line, body, is_whatsapp=is_whatsapp)
        to = str((body.get("to") or body.get("recipient")) if is_whatsapp else body["recipient"]["id"])
        wrong = rules.broken(body, line.templates, line.media) or (
            self._throttled(line, to) if self.is_throttling else None
        )
        if wrong:
            return refusal(*wrong)
        taken = {**body, "id": payloads.new_id()}
        line.sent.append(taken)
        line.taken_at.append((time.monotonic(), to))
        if not is_whatsapp:
            return JSONResponse({"recipient_id": to, "message_id": taken["id"]})
        self._report(line, taken, to)
        contacts, messages = [{"input": to, "wa_id": to}], [{"id": taken["id"]}]
        return JSONResponse({"messaging_product": "whatsapp", "contacts": contacts, "messages": messages})

    @staticmethod
    def _see(line: Line, body: Json, *, is_whatsapp: bool) -> Response:
        """That the business has read what a contact wrote."""
        if (wrong := rules.broken_receipt(body)) is not None:
            return refusal(*wrong)
        line.seen.append(body["message_id"] if is_whatsapp else body["recipient"]["id"])
        return JSONResponse({"success": True} if is_whatsapp else {"recipient_id": body["recipient"]["id"]})

    async def _list(self, request: Request) -> Response:
        line = await self._line(request, business_account_id=request.path_params["account"])
        if line is None:
            return refusal(400, 100, "Unsupported get request: the object does not exist.")
        if (refused := self._unknown_token(request, line)) is not None:
            return refused
        if self.faults:
            return self.faults.popleft().answer()
        start = int(request.query_params.get("after") or 0)
        paging: Json = {"cursors": {"before": str(start), "after": str(start + PAGE)}}
        if start + PAGE < len(line.templates):
            paging["next"] = "https://graph.facebook.com/next"
        return JSONResponse({"data": line.templates[start : start + PAGE], "paging": paging})

    async def _upload(self, request: Request) -> Response:
        line = await self._line(request, address=request.path_params["address"])
        if line is None:
            return refusal(400, 100, "Unsupported post request: the object does not exist.")
        if (refused := self._unknown_token(request, line)) is not None:
            return refused
        if self.faults:
            return self.faults.popleft().answer()
        given = _form(request.headers["content-type"], await request.body())
        if (wrong := rules.broken_upload(given.mime_type, len(given.data))) is not None:
            return refusal(*wrong)
        id_ = line.keep(given.data, given.mime_type)
        return JSONResponse({"id": id_})

    async def _tell_medium(self, request: Request) -> Response:
        """Where it lies; the address is good with the line's token only."""
        id_ = request.path_params["medium"]
        line = await self._line(request, medium=id_)
        if line is None or id_ not in line.media:
            return refusal(400, 100, "Unsupported get request: the object does not exist.")
        if (refused := self._unknown_token(request, line)) is not None:
            return refused
        if self.faults:
            return self.faults.popleft().answer()
        medium = line.media[id_]
        url = str(request.url_for("file", version=request.path_params["version"], medium=id_))
        told = {"url": url, "mime_type": medium.mime_type, "file_size": len(medium.data), "id": id_}
        return JSONResponse({"messaging_product": "whatsapp", **told})

    async def _download(self, request: Request) -> Response:
        """A file of WhatsApp's wants the token, Instagram's address is a secret by itself."""
        id_ = request.path_params["medium"]
        line = await self._line(request, medium=id_)
        if line is None or id_ not in line.media:
            return Response(status_code=404)
        if line.business_account_id and self._unknown_token(request, line) is not None:
            return Response(status_code=401)
        if self.faults:
            return self.faults.popleft().answer()
        return Response(line.media[id_].data, media_type=line.media[id_].mime_type)

    async def _line(self, request: Request, **named: str) -> Line | None:
        if self.find is not None:
            return await self.find(request)
        [(name, value)] = named.items()
        if name == "medium":
            return next((line for line in self.lines.values() if value in line.media), None)
        return next((line for line in self.lines.values() if getattr(line, name) == value), None)

    def _unknown_token(self, request: Request, line: Line) -> Response | None:
        if request.headers.get("authorization") == f"Bearer {line.token}":
            return None
        return refusal(401, 190, "Invalid OAuth access token.")

    def _throttled(self, line: Line, to: str) -> tuple[int, int, str] | None:
        now = time.monotonic()
        if sum(at > now - 1 for at, _ in line.taken_at) >= PER_SECOND:
            return 429, 130429, "Rate limit hit"
        if any(whom == to and at > now - PAIR_SECONDS for at, whom in line.taken_at):
            return 400, 131056, "Pair rate limit hit"
        return None

    # ---------------------------------------------------------------------------------- what Meta delivers

    async def verify(self, line: Line, token: str | None = None) -> httpx.Response:
        """The handshake, with the line's token or another one."""
        query = {"hub.mode": "subscribe", "hub.verify_token": token or line.verify_token, "hub.challenge": "1158201444"}
        async with httpx.AsyncClient(trust_env=False, timeout=_DELIVERY_SECONDS) as client:
            return await client.get(line.webhook_url, params=query)

    async def deliver(self, line: Line, payload: Json, *, times: int = 1) -> list[httpx.Response]:
        """The same delivery, so many times at once."""
        body = orjson.dumps(payload)
        headers = {"content-type": "application/json", "x-hub-signature-256": sign(line.app_secret, body)}
        async with httpx.AsyncClient(trust_env=False, timeout=_DELIVERY_SECONDS) as client:
            posts = (client.post(line.webhook_url, content=body, headers=headers) for _ in range(times))
            return list(await asyncio.gather(*posts))

    def _report(self, line: Line, taken: Json, to: str) -> None:
        if self.reports and line.webhook_url:
            task = asyncio.create_task(self._tell(line, taken, to))
            self._reporting.add(task)
            task.add_done_callback(self._reporting.discard)

    async def _tell(self, line: Line, taken: Json, to: str) -> None:
        for became in self.reports:
            await asyncio.sleep(0.3)
            told = payloads.status(taken["id"], to, became, time.time(), data=taken.get("biz_opaque_callback_data"))
            await self.deliver(line, payloads.whatsapp(line.address, statuses=[told]))


def _form(content_type: str, body: bytes) -> Medium:
    """The file of a multipart form."""
    [file] = [field_ for field_ in forms.fields(content_type, body) if field_.file_name]
    return Medium(file.data, file.mime_type, file.file_name)


def sign(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
