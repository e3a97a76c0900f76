"""Attachments: announced, uploaded, looked at, given to one message, and forgotten (D29, G22)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.attachments import kinds
from pytake_gql.desk.attachments.models import Attachment, DiscardedFile
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, Refusal, UserErrorCode, not_found, refuse
from pytake_gql.kernel.files import HEAD_BYTES, Files, FilesUnavailable, Place, Ticket
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import MemberPrincipal, Principal, VisitorPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork, UnitsOfWork

MOST_BYTES = 16 * 1024 * 1024
MOST_OF_A_MESSAGE = 10
MOST_UNSENT = 100
MOST_UNSENT_OF_A_VISITOR = 10
TICKET_LIFETIME = timedelta(minutes=15)
UNSENT_LIFETIME = timedelta(hours=6)
URL_LIFETIME = timedelta(hours=1)
_SYSTEM = "system"
_SWEPT_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is about to be uploaded."""

    file_name: str
    mime_type: str
    size_bytes: int


def uploader(principal: Principal) -> str:
    """Who may send what they uploaded: that member, that visitor's browser, or a channel."""
    if isinstance(principal, MemberPrincipal):
        return f"member:{principal.member_id.hex}"
    if isinstance(principal, VisitorPrincipal):
        return f"visitor:{principal.channel_id.hex}:{principal.external_id}"
    return _SYSTEM


def place(row: Attachment) -> Place:
    return Place(row.organization_id, row.id)


async def prepare(uow: UnitOfWork, files: Files, given: Announcement) -> tuple[Attachment, Ticket, datetime]:
    """The row that the bytes will belong to, where they go, and until when."""
    name, media_type = _checked(given)
    await _require_room(uow)
    row = _add(uow, name, media_type, given.size_bytes)
    until = uow.now() + TICKET_LIFETIME
    at = Place(uow.organization_id, row.id)
    return row, files.ticket(at, media_type=media_type, size_bytes=given.size_bytes, expires_at=until), until


async def inspect(ports: Ports, principal: Principal, ids: Sequence[UUID]) -> None:
    """Takes in what the caller uploaded of these since, if it is what was announced; refuses the rest as INVALID.

    For stores that the bytes reach without passing by us. Two short transactions each, and none while the store is
    asked. Of what was not uploaded nothing is said here.
    """
    if not ids:
        return
    async with ports.database.session(principal.organization_id) as session:
        rows = await by_ids(session, ids)
    problems = Problems()
    for index, id_ in enumerate(ids):
        row = rows.get(id_)
        if row is not None and row.uploaded_by == uploader(principal) and row.storage_key is None:
            with problems.gather():
                await _take_in(ports, row, "attachment_ids", str(index))
    problems.raise_if_any()


async def awaited(ports: Ports, at: Place) -> Attachment:
    """The row whose content may come in through our own door: the first, or another until it is sent."""
    async with ports.database.session(at.organization_id) as session:
        row = (await by_ids(session, [at.file_id])).get(at.file_id)
    if row is None:
        raise not_found()
    if row.message_id is not None:
        refuse(UserErrorCode.CONFLICT, "This file belongs to another message.")
    return row


async def receive(ports: Ports, at: Place) -> None:
    """Takes in what came through our own door."""
    try:
        row = await awaited(ports, at)
    except Refusal:
        await ports.files.delete(at, None)
        raise
    await _take_in(ports, row)


async def store(ports: Ports, organization_id: UUID, *, name: str | None, mime_type: str, data: bytes) -> UUID:
    """Keeps what a channel received; `give` makes it a message's. The same checks hold as for uploads.

    No transaction may be open: the store is asked between two of its own.
    """
    media_type = kinds.known(mime_type)
    if media_type is None or not kinds.begins_as(media_type, data[:HEAD_BYTES]):
        refuse(UserErrorCode.INVALID, "The content is not of the type {type}.", type=mime_type)
    if len(data) > MOST_BYTES:
        refuse(UserErrorCode.TOO_LONG, "At most {most} MB.", most=MOST_BYTES // 1024 // 1024)
    async with ports.units.of_system(organization_id) as uow:
        row = _add(uow, kinds.served_name(name, media_type) if name else None, media_type, len(data))
    key = await ports.files.write(Place(organization_id, row.id), data, media_type=media_type)
    async with ports.units.of_system(organization_id) as uow:
        await uow.session.execute(sa.update(Attachment).where(col(Attachment.id) == row.id).values(storage_key=key))
    return row.id


async def give(
    uow: UnitOfWork, conversation_id: UUID, message_id: UUID, ids: Sequence[UUID], *, known: Collection[UUID] = ()
) -> list[Attachment]:
    """Makes them the message's, in this order; what is not there is said first, then whatever else is wrong.

    `known` are those that the caller may see in conversations: of them it is said that they were sent, of others
    that there are none.
    """
    problems, rows = Problems(), await _lock(uow, ids)
    for index, id_ in enumerate(ids):
        row = rows.get(id_)
        if row is None or (row.uploaded_by != uploader(uow.principal) and id_ not in known):
            problems.add(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", "attachment_ids", str(index))
    problems.raise_if_any()
    for index, id_ in enumerate(ids):
        here, row = ("attachment_ids", str(index)), rows[id_]
        if row.message_id is not None:
            problems.add(UserErrorCode.CONFLICT, "This file belongs to another message.", *here)
        elif row.expires_at <= uow.now():
            problems.add(UserErrorCode.EXPIRED, "This file was not sent in time: upload it again.", *here)
        elif row.storage_key is None:
            problems.add(UserErrorCode.WRONG_STATE, "This file has not been uploaded yet.", *here)
    problems.raise_if_any()
    given = [rows[id_] for id_ in ids]
    for position, row in enumerate(given):
        row.conversation_id, row.message_id, row.position = conversation_id, message_id, position
    return given


async def erase(uow: UnitOfWork, conversation_ids: Sequence[UUID]) -> None:
    """Forgets every file of these conversations; the housekeeping deletes the content soon after the commit."""
    statement = sa.delete(Attachment).where(col(Attachment.conversation_id).in_(conversation_ids))
    await uow.session.execute(statement)


async def erase_uploads_of(uow: UnitOfWork, visitor: VisitorPrincipal) -> None:
    """Forgets what the visitor uploaded and did not send."""
    theirs = sa.and_(col(Attachment.uploaded_by) == uploader(visitor), col(Attachment.message_id).is_(None))
    await uow.session.execute(sa.delete(Attachment).where(theirs))


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Attachment]:
    rows = await session.execute(select(Attachment).where(col(Attachment.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def of_messages(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, list[Attachment]]:
    """Each message's files, in their order."""
    theirs = select(Attachment).where(col(Attachment.message_id).in_(message_ids))
    found: dict[UUID, list[Attachment]] = {id_: [] for id_ in message_ids}
    for row in (await session.execute(theirs.order_by(col(Attachment.position)))).scalars():
        if row.message_id is not None:
            found[row.message_id].append(row)
    return found


async def forget_unsent(units: UnitsOfWork) -> None:
    """Sweeps what was not sent in time, organization by organization."""
    async with units.of_system(None) as uow:
        until = uow.now()
        expired = sa.text("SELECT engine_unsent_attachments(:until, :at_most)")
        found = await uow.session.execute(expired, {"until": until, "at_most": _SWEPT_AT_MOST})
        organizations = list(found.scalars())
    for organization_id in organizations:
        async with units.of_system(organization_id) as uow:
            is_unsent = sa.and_(col(Attachment.message_id).is_(None), col(Attachment.expires_at) <= until)
            await uow.session.execute(sa.delete(Attachment).where(is_unsent))


async def delete_discarded(units: UnitsOfWork, files: Files) -> None:
    """Deletes the content of files whose rows are gone. Safe to run twice: a file that is gone is gone."""
    oldest = select(DiscardedFile).order_by(col(DiscardedFile.discarded_at)).limit(_SWEPT_AT_MOST)
    while True:
        async with units.of_system(None) as uow:
            rows = (await uow.session.execute(oldest)).scalars().all()
        for row in rows:
            await files.forget(Place(row.organization_id, row.attachment_id), row.storage_key)
            async with units.of_system(None) as uow:
                await uow.session.execute(sa.delete(DiscardedFile).where(col(DiscardedFile.id) == row.id))
        if len(rows) < _SWEPT_AT_MOST:
            return


def _checked(given: Announcement) -> tuple[str, str]:
    problems, name = Problems(), ""
    with problems.gather():
        name = text.line(given.file_name, "file_name", longest=kinds.LONGEST_NAME)
    media_type = kinds.known(given.mime_type)
    if media_type is None:
        problems.add(UserErrorCode.INVALID, "Files of this type cannot be attached.", "mime_type")
    if given.size_bytes < 1:
        problems.add(UserErrorCode.INVALID, "A file is not empty.", "size_bytes")
    elif given.size_bytes > MOST_BYTES:
        most = MOST_BYTES // 1024 // 1024
        problems.add(UserErrorCode.TOO_LONG, "At most {most} MB.", "size_bytes", most=most)
    problems.raise_if_any()
    return name, media_type or ""


async def _require_room(uow: UnitOfWork) -> None:
    """So many unsent files of one uploader, and no more: they take place and nobody sees them."""
    who = uploader(uow.principal)
    await one_at_a_time(uow, f"uploads:{who}")
    most = MOST_UNSENT_OF_A_VISITOR if isinstance(uow.principal, VisitorPrincipal) else MOST_UNSENT
    unsent = select(func.count()).where(
        Attachment.uploaded_by == who, col(Attachment.message_id).is_(None), Attachment.expires_at > uow.now()
    )
    if int(await uow.session.scalar(unsent) or 0) >= most:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} files wait to be sent: send some first.", most=most)


def _add(uow: UnitOfWork, name: str | None, media_type: str, size_bytes: int) -> Attachment:
    row = Attachment(
        uploaded_by=uploader(uow.principal),
        file_name=name,
        mime_type=media_type,
        size_bytes=size_bytes,
        created_at=uow.now(),
        expires_at=uow.now() + UNSENT_LIFETIME,
    )
    uow.add(row)
    return row


async def _take_in(ports: Ports, row: Attachment, *path: str) -> None:
    """Looks at what was uploaded for a row, and keeps it where it is what was announced."""
    at = place(row)
    try:
        key = await ports.files.take(at)
        if key is None:
            return
        look = await ports.files.look(key)
        fits = look.size_bytes == row.size_bytes and kinds.begins_as(row.mime_type, look.head)
        spare = await _keep(ports, row, key) if fits else key
        if spare is not None:
            await ports.files.delete(at, spare)
    except FilesUnavailable:
        refuse(UserErrorCode.PROVIDER_FAILED, "The files cannot be reached now: try again.", *path)
    if not fits:
        refuse(UserErrorCode.INVALID, "The content is not of the type {type}.", *path, type=row.mime_type)


async def _keep(ports: Ports, row: Attachment, key: str) -> str | None:
    """Makes it the row's content, unless that was sent meanwhile; answers the key that is not needed any more."""
    async with ports.units.of_system(row.organization_id) as uow:
        locked = (await _lock(uow, [row.id])).get(row.id)
        if locked is None or locked.message_id is not None:
            return key
        spare, locked.storage_key = locked.storage_key, key
        return spare


async def _lock(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Attachment]:
    """By id, always in the same order."""
    statement = select(Attachment).where(col(Attachment.id).in_(ids)).order_by(col(Attachment.id)).with_for_update()
    rows = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return {row.id: row for row in rows.scalars()}
