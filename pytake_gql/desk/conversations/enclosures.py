"""The files that travel with messages: given to one, seen by whoever sees it, sent along with it (D29)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.attachments import kinds
from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.attachments.models import Attachment
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.desk.conversations.ports import OutgoingFile
from pytake_gql.desk.conversations.scope import visible_to
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.principal import Principal, VisitorPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def enclose(uow: UnitOfWork, message: Message, ids: Sequence[UUID]) -> Sequence[Attachment]:
    """Makes them the message's, which is written now; refuses what is not the caller's to send."""
    known = await visible(uow.session, uow.principal, ids)
    await uow.session.flush()
    return await attachments.give(uow, message.conversation_id, message.id, ids, known=known)


async def visible(session: AsyncSession, principal: Principal, ids: Sequence[UUID]) -> dict[UUID, Attachment]:
    """Of these, the ones in messages that the caller may see."""
    statement: Any = (
        select(Attachment)
        .join(Conversation, col(Conversation.id) == Attachment.conversation_id)
        .where(col(Attachment.id).in_(ids), visible_to(principal))
    )
    if isinstance(principal, VisitorPrincipal):
        public = select(Message.id).where(Message.id == Attachment.message_id, sa.not_(col(Message.is_note)))
        statement = statement.where(public.exists())
    return {row.id: row for row in (await session.execute(statement)).scalars()}


def preview(files: Sequence[Attachment]) -> str:
    """What a list shows of a message without a text."""
    return "📎 " + ", ".join(kinds.served_name(row.file_name, row.mime_type) for row in files)


async def outgoing(session: AsyncSession, files: Files, message: Message, now: datetime) -> tuple[OutgoingFile, ...]:
    """As a channel sends them."""
    if not message.has_attachments:
        return ()
    rows = (await attachments.of_messages(session, [message.id]))[message.id]
    return tuple(_outgoing(files, row, now + attachments.URL_LIFETIME) for row in rows if row.storage_key)


def _outgoing(files: Files, row: Attachment, until: datetime) -> OutgoingFile:
    name, key = kinds.served_name(row.file_name, row.mime_type), row.storage_key or ""
    url = files.download_url(attachments.place(row), key, name=name, media_type=row.mime_type, expires_at=until)
    return OutgoingFile(name, row.mime_type, row.size_bytes, url, key)
