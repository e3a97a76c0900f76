"""What a contact's browser may do: begin a visit, write, read, rate (D33). No sign-in stands before it."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.conversations import messages, outcomes
from pytake_gql.desk.conversations.models import (
    Conversation,
    ConversationStatus,
    Message,
    MessageDirection,
    TimelineKind,
)
from pytake_gql.desk.conversations.scope import visible_to
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import UserErrorCode, not_found, refuse
from pytake_gql.kernel.principal import VisitorPrincipal
from pytake_gql.kernel.tokens import InvalidToken, TokenKind, Tokens
from pytake_gql.kernel.unit_of_work import UnitOfWork

LIFETIME = timedelta(days=30)
LONGEST_KEY = 100
_ANONYMOUS = "visitor:"
_BEST_RATING = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What a page tells of its visitor. `user_id` is the site's own, and needs its proof."""

    visitor_token: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    attributes: Mapping[str, Any] | None = None
    user_id: str | None = None
    user_id_proof: str | None = None

    @property
    def says_something(self) -> bool:
        said = (self.name, self.email, self.phone, self.user_id)
        return any(text_ and text_.strip() for text_ in said) or bool(self.attributes)


@dataclass(frozen=True, slots=True)
class Saying:
    """What a visitor says: an option alone, or a text, files, or both."""

    text: str | None = None
    option: str | None = None
    attachment_ids: tuple[UUID, ...] = ()

    @property
    def is_one_thing(self) -> bool:
        return (self.option is None) == (self.text is not None or bool(self.attachment_ids))


@dataclass(frozen=True, slots=True)
class Visit:
    principal: VisitorPrincipal
    channel: Channel
    token: str
    expires_at: datetime


def visitor_topic(channel_id: UUID, external_id: str) -> str:
    """Told when the visitor gets another conversation."""
    return f"visitor:{channel_id.hex}:{hashlib.sha256(external_id.encode()).hexdigest()[:32]}"


async def start(
    uow: UnitOfWork, tokens: Tokens, channel_id: UUID, introduction: Introduction, *, origin: str | None
) -> Visit:
    """Begins a visit, or goes on with an earlier one. Nothing is stored of a visitor who says nothing."""
    organization_id = await uow.session.scalar(
        sa.text("SELECT engine_channel_organization(:channel_id)"), {"channel_id": channel_id}
    )
    if organization_id is None:
        raise not_found("channel_id")
    await uow.enter(organization_id)
    channel = await _web_chat(uow, channel_id)
    allowed = channel.settings.get("allowedOrigins") or []
    if allowed and origin is not None and origin not in {*allowed, uow.settings.public_url}:
        refuse(UserErrorCode.FORBIDDEN, "This site does not carry this chat.", "channel_id")
    external_id = await _external_id(uow, tokens, channel, introduction)
    if introduction.says_something:
        await contacts.identify(
            uow,
            channel.id,
            external_id,
            name=introduction.name,
            email=introduction.email,
            phone=introduction.phone,
            attributes=introduction.attributes,
        )
    claims = {"org": str(organization_id), "channel": str(channel.id), "sub": external_id}
    token, expires_at = tokens.sign(TokenKind.VISITOR, claims, LIFETIME)
    return Visit(VisitorPrincipal(organization_id, channel.id, external_id), channel, token, expires_at)


async def write(
    uow: UnitOfWork, visitor: VisitorPrincipal, said: Saying, *, key: str | None
) -> tuple[Conversation, Message]:
    """Stores what the visitor wrote or chose; the same key makes one message, however late it comes (G5)."""
    if not said.is_one_thing:
        refuse(UserErrorCode.REQUIRED, "Either a text or an option is required.", "text")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        refuse(UserErrorCode.INVALID, "A key has 1 to {longest} characters.", "idempotency_key", longest=LONGEST_KEY)
    channel = await _web_chat(uow, visitor.channel_id)
    _, contact = await contacts.identify(uow, channel.id, visitor.external_id)
    if contact.is_blocked:
        refuse(UserErrorCode.FORBIDDEN, "You cannot write here.")
    provider_id = _provider_id(visitor, key or uuid4().hex)
    if said.option is not None and key is not None and (known := await _said(uow, provider_id)):
        return known  # other options may have been offered since
    text_ = said.text if said.option is None else await _chosen(uow, visitor, said.option)
    checked = messages.checked(text_, said.attachment_ids)
    conversation, message = await messages.receive(
        uow,
        channel,
        contact,
        text=checked,
        provider_message_id=provider_id,
        attachment_ids=said.attachment_ids,
        chosen=said.option,
    )
    if message.text != checked or await _enclosed(uow, message) != said.attachment_ids:
        refuse(UserErrorCode.CONFLICT, "This key was used for another request.", "idempotency_key")
    uow.wake(visitor_topic(channel.id, visitor.external_id))
    return conversation, message


async def read_up_to(uow: UnitOfWork, visitor: VisitorPrincipal, seq: int) -> Conversation:
    """The visitor has seen what was said up to seq."""
    conversation = await _chat(uow, visitor)
    if not 0 <= seq <= conversation.last_seq:
        refuse(UserErrorCode.INVALID, "The conversation has no such event.", "seq")
    await outcomes.mark_read_by_contact(uow, conversation, seq)
    return conversation


async def rate(uow: UnitOfWork, visitor: VisitorPrincipal, rating: int, comment: str | None) -> Conversation:
    """1 to 5, once the chat is closed; a second rating replaces the first."""
    conversation = await _chat(uow, visitor)
    if not 1 <= rating <= _BEST_RATING:
        refuse(UserErrorCode.INVALID, "A rating is 1 to 5.", "rating")
    remark = text.paragraph(comment, "comment")
    if conversation.status is not ConversationStatus.CLOSED:
        refuse(UserErrorCode.WRONG_STATE, "A chat is rated once it is closed.", "rating")
    conversation.rating, conversation.rating_comment = rating, remark
    record(uow, conversation, TimelineKind.CHANGED, data={"rating": rating})
    return conversation


async def chat(session: AsyncSession, visitor: VisitorPrincipal) -> Conversation | None:
    """The visitor's open conversation, else the last one (D33)."""
    is_closed = (col(Conversation.status) == ConversationStatus.CLOSED).asc()
    statement = (
        select(Conversation).where(visible_to(visitor)).order_by(is_closed, col(Conversation.id).desc()).limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def _chat(uow: UnitOfWork, visitor: VisitorPrincipal) -> Conversation:
    """The visitor's chat, locked."""
    found = await chat(uow.session, visitor)
    if found is None:
        refuse(UserErrorCode.WRONG_STATE, "There is no chat yet.")
    statement = select(Conversation).where(Conversation.id == found.id).with_for_update()
    locked = await uow.session.execute(statement, execution_options={"populate_existing": True})
    return locked.scalar_one()


async def _web_chat(uow: UnitOfWork, channel_id: UUID) -> Channel:
    channel = (await channels.by_ids(uow.session, [channel_id])).get(channel_id)
    if channel is None or channel.kind is not ChannelKind.WEB_CHAT:
        raise not_found("channel_id")
    return channel


async def _external_id(uow: UnitOfWork, tokens: Tokens, channel: Channel, introduction: Introduction) -> str:
    """Who the visitor is on the channel: the site's user, the earlier visitor, or a new one."""
    if introduction.user_id is not None:
        user_id = text.line(introduction.user_id, "user_id", longest=190)
        secrets = await channels.secrets(uow.session, uow.settings, channel)
        if user_id.startswith(_ANONYMOUS) or not _proves(secrets.get("identitySecret"), user_id, introduction):
            refuse(UserErrorCode.INVALID_CREDENTIALS, "The proof does not belong to this user.", "user_id_proof")
        return user_id
    if introduction.visitor_token is None:
        return f"{_ANONYMOUS}{uuid4().hex}"
    try:
        claims = tokens.verify(TokenKind.VISITOR, introduction.visitor_token)
    except InvalidToken:
        claims = {}
    if claims.get("channel") != str(channel.id):
        refuse(UserErrorCode.EXPIRED, "This visit has ended: begin a new one.", "visitor_token")
    return str(claims["sub"])


def _proves(secret: str | None, user_id: str, introduction: Introduction) -> bool:
    """Whether the site signed this user's id; without a secret nothing is proven."""
    if not secret or not introduction.user_id_proof:
        return False
    expected = hmac.new(secret.encode(), user_id.encode(), "sha256").hexdigest()
    return hmac.compare_digest(expected.encode(), introduction.user_id_proof.lower().encode())


async def _said(uow: UnitOfWork, provider_id: str) -> tuple[Conversation, Message] | None:
    """What the visitor said under that id before, and where."""
    statement = (
        select(Conversation, Message)
        .join(Message, col(Message.conversation_id) == Conversation.id)
        .where(visible_to(uow.principal), Message.provider_message_id == provider_id)
    )
    found = (await uow.session.execute(statement)).one_or_none()
    return (found[0], found[1]) if found else None


async def _enclosed(uow: UnitOfWork, message: Message) -> tuple[UUID, ...]:
    """The files of a message that may have been stored long ago."""
    if not message.has_attachments:
        return ()
    return tuple(row.id for row in (await attachments.of_messages(uow.session, [message.id]))[message.id])


async def _chosen(uow: UnitOfWork, visitor: VisitorPrincipal, option: str) -> str:
    """The title of an option of the last message that offered any."""
    conversation = await chat(uow.session, visitor)
    offered: list[dict[str, str]] = []
    if conversation is not None:
        statement = (
            select(Message.options)
            .where(
                Message.conversation_id == conversation.id,
                Message.direction == MessageDirection.OUTBOUND,
                sa.func.jsonb_array_length(Message.options) > 0,
            )
            .order_by(col(Message.seq).desc())
            .limit(1)
        )
        offered = (await uow.session.execute(statement)).scalar_one_or_none() or []
    title = next((entry["title"] for entry in offered if entry["value"] == option), None)
    if title is None:
        refuse(UserErrorCode.INVALID, "This was not offered.", "option")
    return title


def _provider_id(visitor: VisitorPrincipal, key: str) -> str:
    """Unique in the channel: another visitor may choose the same key."""
    return hashlib.sha256(f"{visitor.external_id}\n{key}".encode()).hexdigest()
