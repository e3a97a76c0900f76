"""Where bytes lie that are too large for the database: on a local disk, or in an S3-compatible store.

An upload comes in at a place of its own, which its uploader may write to until the ticket expires. `take` moves it
under a key that nobody can write to any more: what was looked at there is what is served.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


class FilesUnavailable(OSError):
    """The store does not answer, or not as it should; trying again may help."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of one file, before and after it has a key."""

    organization_id: UUID
    file_id: UUID


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where the bytes go: PUT to the URL, with these headers."""

    url: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What lies under a key."""

    size_bytes: int
    head: bytes
    """Its first bytes, enough to tell what it is."""


HEAD_BYTES = 4096


class Files(Protocol):
    """Raises `FilesUnavailable`. Deleting what is not there is no error."""

    def ticket(self, place: Place, *, media_type: str, size_bytes: int, expires_at: datetime) -> Ticket:
        """Lets whoever holds it upload that many bytes of that type until then."""
        ...

    def download_url(self, place: Place, key: str, *, name: str, media_type: str, expires_at: datetime) -> str:
        """Lets whoever holds it download the file until then, under that name."""
        ...

    async def take(self, place: Place) -> str | None:
        """Moves what was uploaded under a new key; None when nothing was."""
        ...

    async def write(self, place: Place, data: bytes, *, media_type: str) -> str:
        """Stores bytes that we have at hand, and answers their key."""
        ...

    async def look(self, key: str) -> Look: ...

    async def read(self, key: str) -> bytes: ...

    async def delete(self, place: Place, key: str | None) -> None:
        """Deletes what lies under the key, and what was uploaded and not taken."""
        ...

    async def forget(self, place: Place, key: str | None) -> None:
        """Deletes all that there is of a file whose row is gone; `key` is the last that the row had."""
        ...

    async def tidy(self) -> None:
        """Deletes what uploads that broke off have left."""
        ...

    async def close(self) -> None: ...
