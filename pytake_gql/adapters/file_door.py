"""/attachments/{token}: the bytes of attachments on a local disk, in by PUT and out by GET (D29, G22).

The token says everything: whose file, of which type and size. It is signed, expires, and cannot be guessed; no other
credentials are asked for or looked at, so that a page can hand the address to an `<img>` or a link.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pytake_gql.adapters.local_files import PATH, LocalFiles
from pytake_gql.desk.attachments import kinds
from pytake_gql.desk.attachments import service as attachments
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.files import Place
from pytake_gql.kernel.graphql.origins import Origins
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.tokens import InvalidToken, TokenKind
from pytake_gql.kernel.translation import negotiate

UPLOAD_SECONDS = 300.0
"""16 MB in five minutes is what a poor mobile connection does."""

_HANG_UP = {"connection": "close"}
_SAFE = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
}
_STATUS = {"NOT_FOUND": 404, "CONFLICT": 409, "INVALID": 422}


@dataclass(frozen=True, slots=True)
class Upload:
    """What the ticket allows."""

    place: Place
    media_type: str
    size_bytes: int


class Rejected(Exception):
    """The request is answered with this status and a sentence for the developer of the client."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


class FileDoor:
    def __init__(self, ports: Ports, origins: Origins, files: LocalFiles) -> None:
        self._ports, self._origins, self._files = ports, origins, files

    def route(self) -> Route:
        return Route(f"{PATH}/{{token}}", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answers = {"OPTIONS": self._preflight, "PUT": self._put, "GET": self._get, "HEAD": self._get}
        try:
            response = await answers.get(request.method, _refuse_method)(request)
        except Rejected as rejected:
            response = _told(rejected.status, rejected.message, rejected.headers)
        for name, value in (await self._open_to(request)).items():
            response.headers[name] = value
        await response(scope, receive, send)

    async def _put(self, request: Request) -> Response:
        upload = self._upload(request)
        await self._require_origin(request, upload.place.organization_id)
        _check_headers(request, upload)
        try:
            await attachments.awaited(self._ports, upload.place)
            await self._stage(request, upload)
            await attachments.receive(self._ports, upload.place)
        except Refusal as refusal:
            problem = refusal.problems[0]
            locale = negotiate(request.headers.get("accept-language"))
            raise Rejected(_STATUS.get(problem.code.value, 503), problem.message(locale), _HANG_UP) from refusal
        return Response(status_code=204, headers={"cache-control": "no-store"})

    async def _stage(self, request: Request, upload: Upload) -> None:
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                await self._files.stage(upload.place, _exactly(request, upload.size_bytes))
        except TimeoutError as error:
            raise Rejected(408, "The bytes took too long to arrive.", _HANG_UP) from error
        except ClientDisconnect as error:
            raise Rejected(400, "The bytes did not arrive.", _HANG_UP) from error

    async def _get(self, request: Request) -> Response:
        claims = self._claims(TokenKind.DOWNLOAD, request)
        place = _place(claims)
        async with self._ports.database.session(place.organization_id) as session:
            row = (await attachments.by_ids(session, [place.file_id])).get(place.file_id)
        path = self._files.path(row.storage_key) if row is not None and row.storage_key else None
        if row is None or path is None or not await asyncio.to_thread(path.is_file):
            raise Rejected(404, "There is no such file.")
        left = int(claims["exp"]) - int(self._ports.clock.now().timestamp())
        headers = {
            "content-disposition": _as_download(kinds.served_name(row.file_name, row.mime_type)),
            "cache-control": f"private, max-age={max(left, 0)}",
        }
        return FileResponse(path, headers={**_SAFE, **headers}, media_type=row.mime_type)

    def _upload(self, request: Request) -> Upload:
        claims = self._claims(TokenKind.UPLOAD, request)
        return Upload(_place(claims), str(claims["type"]), int(claims["size"]))

    def _claims(self, kind: TokenKind, request: Request) -> dict[str, Any]:
        try:
            return self._ports.tokens.verify(kind, request.path_params["token"])
        except InvalidToken as error:
            raise Rejected(403, "This address leads nowhere, or does not any more: ask for a new one.") from error

    async def _preflight(self, request: Request) -> Response:
        await self._require_origin(request, None)
        allowed = {
            "access-control-allow-methods": "GET, PUT",
            "access-control-allow-headers": "content-type, accept-language",
            "access-control-max-age": "600",
        }
        return Response(status_code=204, headers=allowed)

    async def _require_origin(self, request: Request, organization_id: UUID | None) -> None:
        """A page of nobody's uploads nothing; before the organization is known a front end of any may ask."""
        if not await self._origins.allows(request.headers.get("origin"), request.headers.get("host"), organization_id):
            raise Rejected(403, "This page's origin is not among the organization's front ends.", _HANG_UP)

    async def _open_to(self, request: Request) -> dict[str, str]:
        """The headers that let a front end's page read the answer."""
        origin = request.headers.get("origin")
        if origin is None or not await self._origins.allows(origin, request.headers.get("host"), None):
            return {"vary": "Origin"}
        exposed = "content-disposition, x-request-id"
        return {
            "vary": "Origin",
            "access-control-allow-origin": origin,
            "access-control-expose-headers": exposed,
        }


async def _refuse_method(_request: Request) -> Response:
    raise Rejected(405, "PUT uploads, GET downloads.", {"allow": "GET, HEAD, OPTIONS, PUT"})


def _place(claims: Mapping[str, Any]) -> Place:
    return Place(UUID(claims["org"]), UUID(claims["sub"]))


def _check_headers(request: Request, upload: Upload) -> None:
    """Those of the ticket, and nothing that would make other bytes of these."""
    told = request.headers
    media_type = told.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != upload.media_type:
        raise Rejected(415, f"The Content-Type must be {upload.media_type}.", _HANG_UP)
    if told.get("content-encoding", "identity").lower() != "identity":
        raise Rejected(415, "The bytes are sent as they are, without a Content-Encoding.", _HANG_UP)
    length = told.get("content-length")
    if length is None:
        return
    if not length.isdecimal() or int(length[:20]) > upload.size_bytes:
        raise Rejected(413, f"The file was announced with {upload.size_bytes} bytes.", _HANG_UP)
    if int(length) < upload.size_bytes:
        raise Rejected(400, f"The file was announced with {upload.size_bytes} bytes.", _HANG_UP)


async def _exactly(request: Request, size: int) -> AsyncIterator[bytes]:
    """The body, cut off at once where it is longer, and refused where it is shorter."""
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > size:
            raise Rejected(413, f"The file was announced with {size} bytes.", _HANG_UP)
        yield chunk
    if length < size:
        raise Rejected(400, f"The file was announced with {size} bytes.")


def _as_download(name: str) -> str:
    """RFC 6266: a name that every browser reads, and the true one for those of today."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("%", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _told(status: int, message: str, headers: Mapping[str, str]) -> Response:
    body = orjson.dumps({"error": {"message": message}})
    return Response(body, status, {"cache-control": "no-store", **_SAFE, **headers}, media_type="application/json")
