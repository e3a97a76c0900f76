"""Files on a local disk: `incoming` is what is being uploaded, `kept` what was taken; both by organization and file.

The bytes come and go through `file_door`, which trusts nothing but the signed tokens that are made here. A file
counts once it is whole and on the disk: it is written beside its place, synchronized, and renamed.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from pytake_gql.kernel.clock import Clock
from pytake_gql.kernel.files import HEAD_BYTES, Look, Place, Ticket
from pytake_gql.kernel.tokens import TokenKind, Tokens

PATH = "/attachments"
_UNFINISHED_SECONDS = 86_400


class LocalFiles:
    def __init__(self, directory: Path, tokens: Tokens, clock: Clock, public_url: str) -> None:
        self._incoming, self._kept = directory / "incoming", directory / "kept"
        self._tokens, self._clock = tokens, clock
        self._url = f"{public_url.rstrip('/')}{PATH}"

    def ticket(self, place: Place, *, media_type: str, size_bytes: int, expires_at: datetime) -> Ticket:
        claims = {**_claims(place), "type": media_type, "size": size_bytes}
        token, _ = self._tokens.sign(TokenKind.UPLOAD, claims, expires_at - self._clock.now())
        return Ticket(f"{self._url}/{token}", (("Content-Type", media_type),))

    def download_url(self, place: Place, key: str, *, name: str, media_type: str, expires_at: datetime) -> str:  # noqa: ARG002 - the row tells them when it is asked for
        token, _ = self._tokens.sign(TokenKind.DOWNLOAD, _claims(place), expires_at - self._clock.now())
        return f"{self._url}/{token}"

    async def stage(self, place: Place, chunks: AsyncIterator[bytes]) -> None:
        """Puts an upload in its place, whole or not at all: what `chunks` raises leaves nothing behind."""
        part = self._incoming / f"{uuid4().hex}.part"
        file = await asyncio.to_thread(_create, part)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(_finish, file, part, self._staged(place))
        finally:
            await asyncio.to_thread(_abandon, file, part)

    async def take(self, place: Place) -> str | None:
        key = _key(place)
        try:
            await asyncio.to_thread(_move, self._staged(place), self.path(key))
        except FileNotFoundError:
            return None
        return key

    async def write(self, place: Place, data: bytes, *, media_type: str) -> str:  # noqa: ARG002 - of the port
        key = _key(place)
        part = self._incoming / f"{uuid4().hex}.part"
        await asyncio.to_thread(_write, data, part, self.path(key))
        return key

    async def look(self, key: str) -> Look:
        return await asyncio.to_thread(_look, self.path(key))

    async def read(self, key: str) -> bytes:
        return await asyncio.to_thread(self.path(key).read_bytes)

    async def delete(self, place: Place, key: str | None) -> None:
        await asyncio.to_thread(self._delete, place, key)

    async def forget(self, place: Place, key: str | None) -> None:  # noqa: ARG002 - all keys lie in one directory
        await asyncio.to_thread(self._forget, place)

    async def tidy(self) -> None:
        await asyncio.to_thread(_delete_unfinished, self._incoming, self._clock.now().timestamp() - _UNFINISHED_SECONDS)

    async def close(self) -> None:
        """Nothing is held open."""

    def path(self, key: str) -> Path:
        """Keys are ours: of hexadecimal digits and slashes."""
        return self._kept / key

    def _staged(self, place: Place) -> Path:
        return self._incoming / place.organization_id.hex / place.file_id.hex

    def _delete(self, place: Place, key: str | None) -> None:
        self._staged(place).unlink(missing_ok=True)
        if key is not None:
            self.path(key).unlink(missing_ok=True)

    def _forget(self, place: Place) -> None:
        self._staged(place).unlink(missing_ok=True)
        shutil.rmtree(self._kept / place.organization_id.hex / place.file_id.hex, ignore_errors=True)


def _claims(place: Place) -> dict[str, str]:
    return {"org": place.organization_id.hex, "sub": place.file_id.hex}


def _key(place: Place) -> str:
    return f"{place.organization_id.hex}/{place.file_id.hex}/{uuid4().hex}"


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _finish(file: BinaryIO, part: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    _move(part, target)


def _move(source: Path, target: Path) -> None:
    """Renames, so that after a crash the file is here or there; raises FileNotFoundError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _abandon(file: BinaryIO, part: Path) -> None:
    file.close()
    part.unlink(missing_ok=True)


def _write(data: bytes, part: Path, target: Path) -> None:
    file = _create(part)
    try:
        file.write(data)
        _finish(file, part, target)
    finally:
        _abandon(file, part)


def _look(path: Path) -> Look:
    with path.open("rb") as file:
        return Look(os.fstat(file.fileno()).st_size, file.read(HEAD_BYTES))


def _delete_unfinished(directory: Path, before: float) -> None:
    for part in directory.glob("*.part"):
        if part.stat().st_mtime < before:
            part.unlink(missing_ok=True)
