"""Files in an S3-compatible store: the bytes go there and come from there without passing by us.

`incoming/` is what uploaders may write to with their ticket; it is copied to `kept/` under a key of its own before it
is looked at, so that a ticket that is used again changes nothing. A rule of the bucket may expire `incoming/`.
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import uuid4

import httpx

from pytake_gql.adapters.sigv4 import Signer
from pytake_gql.kernel.clock import Clock
from pytake_gql.kernel.files import HEAD_BYTES, FilesUnavailable, Look, Place, Ticket
from pytake_gql.kernel.settings import SettingsError

TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3
_OWN_SECONDS = 60
_COPY_FAILED = b"<Error>"


class S3Files:
    """`url` is https://key:secret@host/bucket?region=name; raises `SettingsError`."""

    def __init__(self, url: str, clock: Clock) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"PYTAKE_S3_URL is no address: {error}") from error
        self._bucket = parts.path.strip("/")
        region = parse_qs(parts.query).get("region", ["us-east-1"])[0]
        is_whole = parts.hostname and parts.username and parts.password and self._bucket and "/" not in self._bucket
        if parts.scheme not in {"https", "http"} or not is_whole:
            raise SettingsError("PYTAKE_S3_URL must look like https://key:secret@host/bucket?region=name")
        self._origin = f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}"
        self._signer = Signer(unquote(parts.username or ""), unquote(parts.password or ""), region)
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)

    def ticket(self, place: Place, *, media_type: str, size_bytes: int, expires_at: datetime) -> Ticket:
        """The length is signed, too: the store takes no other."""
        signed = {"content-type": media_type, "content-length": str(size_bytes)}
        url = self._url("PUT", _incoming(place), seconds=self._left(expires_at), headers=signed)
        return Ticket(url, (("Content-Type", media_type),))

    def download_url(self, place: Place, key: str, *, name: str, media_type: str, expires_at: datetime) -> str:  # noqa: ARG002 - the key says it
        answered = {
            "response-content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "response-content-type": media_type,
            "response-cache-control": f"private, max-age={self._left(expires_at)}",
        }
        return self._url("GET", f"kept/{key}", seconds=self._left(expires_at), query=answered)

    async def take(self, place: Place) -> str | None:
        key = f"{place.organization_id.hex}/{place.file_id.hex}/{uuid4().hex}"
        source = {"x-amz-copy-source": quote(f"/{self._bucket}/{_incoming(place)}", safe="/")}
        copied = await self._ask("PUT", f"kept/{key}", headers=source)
        if copied.status_code == httpx.codes.NOT_FOUND:
            return None
        _require(copied, httpx.codes.OK)
        if _COPY_FAILED in copied.content:
            raise FilesUnavailable("the store began to copy and failed")
        await self._ask("DELETE", _incoming(place))
        return key

    async def write(self, place: Place, data: bytes, *, media_type: str) -> str:
        key = f"{place.organization_id.hex}/{place.file_id.hex}/{uuid4().hex}"
        told = {"content-type": media_type, "content-length": str(len(data))}
        _require(await self._ask("PUT", f"kept/{key}", headers=told, content=data), httpx.codes.OK)
        return key

    async def look(self, key: str) -> Look:
        answer = await self._ask("GET", f"kept/{key}", headers={"range": f"bytes=0-{HEAD_BYTES - 1}"})
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return Look(0, b"")
        _require(answer, httpx.codes.PARTIAL_CONTENT, httpx.codes.OK)
        size = answer.headers.get("content-range", "").rpartition("/")[2]
        return Look(int(size) if size.isdecimal() else len(answer.content), answer.content[:HEAD_BYTES])

    async def read(self, key: str) -> bytes:
        answer = await self._ask("GET", f"kept/{key}")
        _require(answer, httpx.codes.OK)
        return answer.content

    async def delete(self, place: Place, key: str | None) -> None:
        for path in (_incoming(place), *([f"kept/{key}"] if key else [])):
            _require(await self._ask("DELETE", path), httpx.codes.NO_CONTENT, httpx.codes.OK, httpx.codes.NOT_FOUND)

    async def forget(self, place: Place, key: str | None) -> None:
        await self.delete(place, key)

    async def tidy(self) -> None:
        """The store shows no upload before it is whole."""

    async def close(self) -> None:
        await self._http.aclose()

    def _left(self, expires_at: datetime) -> int:
        return max(1, int((expires_at - self._clock.now()).total_seconds()))

    def _url(
        self,
        method: str,
        path: str,
        *,
        seconds: int = _OWN_SECONDS,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        return self._signer.presign(
            method,
            self._origin,
            f"/{self._bucket}/{path}",
            at=self._clock.now(),
            seconds=seconds,
            headers=headers,
            query=query,
        )

    async def _ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        """Tried again where nobody answered or the store was busy: every request here may be sent twice."""
        failure = ""
        for _ in range(ATTEMPTS):
            try:
                url = self._url(method, path, headers=headers)
                answer = await self._http.request(method, url, headers=headers, content=content)
            except httpx.HTTPError as error:
                failure = type(error).__name__
                continue
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return answer
            failure = str(answer.status_code)
        raise FilesUnavailable(f"the store did not answer {ATTEMPTS} times, at last: {failure}")


def _incoming(place: Place) -> str:
    return f"incoming/{place.organization_id.hex}/{place.file_id.hex}"


def _require(answer: httpx.Response, *expected: int) -> None:
    if answer.status_code not in expected:
        raise FilesUnavailable(f"the store answered {answer.status_code}")
