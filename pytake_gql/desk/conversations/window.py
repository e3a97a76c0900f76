"""The reply window: for how long after the contact's last message a member may write freely (D28)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork

Place: TypeAlias = tuple[UUID, UUID]
"""A channel and a contact: the window is theirs, whatever conversation they are in."""


@dataclass(frozen=True, slots=True)
class Window:
    """`closes_at` is None for no limit, and where the contact never wrote."""

    is_open: bool
    closes_at: datetime | None


def of(kind: ChannelKind, last_wrote_at: datetime | None, now: datetime) -> Window:
    span = kinds.KINDS[kind].reply_window
    if span is None:
        return Window(is_open=True, closes_at=None)
    if last_wrote_at is None:
        return Window(is_open=False, closes_at=None)
    return Window(is_open=now < last_wrote_at + span, closes_at=last_wrote_at + span)


async def last_words(session: AsyncSession, places: Sequence[Place]) -> dict[Place, datetime]:
    """When each contact last wrote on the channel, by the provider's clock."""
    place = sa.tuple_(col(ContactIdentity.channel_id), col(ContactIdentity.contact_id))
    statement = (
        select(ContactIdentity.channel_id, ContactIdentity.contact_id, sa.func.max(ContactIdentity.last_wrote_at))
        .where(place.in_(places), col(ContactIdentity.last_wrote_at).is_not(None))
        .group_by(col(ContactIdentity.channel_id), col(ContactIdentity.contact_id))
    )
    rows = (await session.execute(statement)).all()
    return {(channel, contact): at for channel, contact, at in rows if at is not None}


async def require(
    uow: UnitOfWork, conversation: Conversation, text: str, *, is_template: bool, path: str = "conversation_id"
) -> None:
    """Refuses what the channel would not take: a free message outside the window, and one that is too long."""
    # Whoever says much in one transaction has it at hand.
    channel = await uow.session.get_one(Channel, (uow.organization_id, conversation.channel_id))
    place = (conversation.channel_id, conversation.contact_id)
    await require_of(uow, channel.kind, place, text, is_template=is_template, path=path)


async def require_of(
    uow: UnitOfWork,
    kind: ChannelKind,
    place: Place,
    text: str,
    *,
    is_template: bool = False,
    path: str = "conversation_id",
) -> None:
    """As `require`, for whoever knows the channel's kind."""
    known = kinds.KINDS[kind]
    if is_template or not known.has_provider:
        return
    longest = known.longest_text
    if longest is not None and known.measure(text) > longest:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", "text", longest=longest)
    last_wrote_at = (await last_words(uow.session, [place])).get(place)
    if not of(kind, last_wrote_at, uow.now()).is_open:
        template = "The contact has not written for 24 hours: only a template passes."
        refuse(UserErrorCode.CHANNEL_WINDOW_CLOSED, template, path)
