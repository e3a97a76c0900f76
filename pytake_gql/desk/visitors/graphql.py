"""The contact's side of a web chat, by a token that opens nothing else."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.desk.attachments import service as files
from pytake_gql.desk.attachments.graphql import Attachment
from pytake_gql.desk.conversations import messages, models, queries
from pytake_gql.desk.conversations.nodes import MessageOption, listed, load_attachments
from pytake_gql.desk.conversations.timeline import typing_topic
from pytake_gql.desk.routing import queries as routing
from pytake_gql.desk.routing.graphql import load_estimated_wait
from pytake_gql.desk.visitors import service
from pytake_gql.kernel.addresses import network
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, local_ids, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import field, input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.limiter import Rate
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import VisitorPrincipal
from pytake_gql.tenancy.members.graphql import load_member

VISITS = Rate(capacity=20, per_second=0.2)
"""Of one address: a household or an office behind one."""


@object_type
class VisitorMessage(Node):
    """A public message of the chat, as its visitor sees it."""

    row: strawberry.Private[models.Message]
    seq: int
    """Its place in the conversation; notes and other events leave gaps."""
    is_from_visitor: bool
    """Whether the visitor wrote it."""
    author_name: str | None
    """Who wrote it, where the company shows that."""
    text: str | None
    """What it says."""
    options: list[MessageOption]
    """Buttons or list entries offered with it."""
    status: models.MessageStatus
    """RECEIVED for what the visitor wrote."""
    created_at: datetime
    """When it was stored."""

    @classmethod
    def of(cls, row: models.Message) -> Self:
        return cls(
            id=strawberry.ID(global_id("VisitorMessage", row.id)),
            row=row,
            seq=row.seq,
            is_from_visitor=row.direction is models.MessageDirection.INBOUND,
            author_name=row.author_name,
            text=row.text,
            options=[MessageOption(**option) for option in row.options],
            status=row.status,
            created_at=row.created_at,
        )

    @field
    async def attachments(self, info: Info) -> list[Attachment]:
        """The files that came with it, in their order."""
        return await load_attachments(info, self.row)


@object_type
class VisitorChat(Node):
    """The visitor's open conversation, else the last one."""

    row: strawberry.Private[Any]
    status: models.ConversationStatus
    """Where it stands."""
    agent_name: str | None
    """Who answers."""
    rating: int | None
    """What the visitor gave."""
    last_seq: int
    """Pass it to visitorUpdates(after:) to resume."""

    @classmethod
    def of(cls, row: models.Conversation) -> Self:
        return cls(
            id=strawberry.ID(global_id("VisitorChat", row.id)),
            row=row,
            status=row.status,
            agent_name=row.assignee_name,
            rating=row.rating,
            last_seq=row.last_seq,
        )

    @field
    async def agent_avatar_url(self, info: Info) -> str | None:
        """A picture of who answers."""
        member = await load_member(info, self.row.assignee_id)
        return member.avatar_url if member else None

    @field
    async def queue_position(self, info: Info) -> int | None:
        """The place among those who wait, from 1; null when not waiting."""
        return await info.context.load(routing.positions, self.row.id)

    @field
    async def estimated_wait_seconds(self, info: Info) -> int | None:
        """From the queue's recent throughput; null when it cannot be told."""
        return await load_estimated_wait(info, self.row.id, self.row.queue_id)

    @field
    async def messages(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[VisitorMessage]:
        """What was said, in order; notes are not for visitors."""
        wanted = window(first, after, last, before)
        async with info.context.read() as session:
            listing = await queries.messages(session, self.row.id, wanted, is_public=True)
        found: Connection[VisitorMessage] = listed(info, listing, VisitorMessage.of)
        return found


@finds("VisitorChat", is_for_visitors=True)
async def find_visitor_chat(info: Info, id_: UUID) -> VisitorChat | None:
    """The chat, if it is the visitor's own."""
    if not isinstance(info.context.principal, VisitorPrincipal):
        return None
    found = await load_chat(info)
    return found if found and found.row.id == id_ else None


@finds("VisitorMessage", is_for_visitors=True)
async def find_visitor_message(info: Info, id_: UUID) -> VisitorMessage | None:
    """The message, if it is public and of the visitor's own chat."""
    chat = await load_chat(info) if isinstance(info.context.principal, VisitorPrincipal) else None
    async with info.context.read() as session:
        row = (await messages.by_ids(session, [id_])).get(id_)
    is_theirs = row is not None and chat is not None and row.conversation_id == chat.row.id and not row.is_note
    return VisitorMessage.of(row) if row and is_theirs else None


async def load_chat(info: Info) -> VisitorChat | None:
    async with info.context.read() as session:
        row = await service.chat(session, info.context.visitor)
    return VisitorChat.of(row) if row else None


@object_type
class Visit:
    """A visit that began, or goes on."""

    visitor_token: str
    """Opens the visitor fields and nothing else; connection_init takes it like an access token."""
    expires_at: datetime
    """Until when it does."""
    settings: JSON
    """The channel's: title, greeting, color, locale."""
    chat: VisitorChat | None
    """Null until the visitor's first message."""


@object_type
class VisitPayload:
    """The visit."""

    visit: Visit | None = None
    """Null when it was refused."""
    user_errors: list[UserError] = user_errors()


@object_type
class VisitorMessagePayload:
    """What was stored."""

    message: VisitorMessage | None = None
    """Null when nothing was stored."""
    chat: VisitorChat | None = None
    """As it stands now."""
    user_errors: list[UserError] = user_errors()


@object_type
class VisitorChatPayload:
    """The chat as it stands now."""

    chat: VisitorChat | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@input_type
class StartVisitInput:
    """Which chat, and what the page knows of its visitor."""

    channel_id: strawberry.ID
    """A WEB_CHAT channel."""
    visitor_token: str | None = None
    """Goes on with an earlier visit; EXPIRED when it cannot."""
    name: str | None = None
    """As the visitor wants to be called."""
    email: str | None = None
    """An e-mail address."""
    phone: str | None = None
    """A phone number."""
    attributes: JSON | None = None
    """Flat: key to text, number, true or false."""
    user_id: str | None = None
    """The site's own id of a signed-in user."""
    user_id_proof: str | None = None
    """The hex HMAC-SHA256 of it under the channel's identitySecret; refused without."""


@input_type
class SendVisitorMessageInput:
    """What the visitor says: a text, files, or a choice."""

    text: str | None = None
    """Any Unicode, at most 64 KiB; not needed with attachments."""
    attachment_ids: list[strawberry.ID] | None = None
    """Files that this visitor prepared and uploaded, at most 10; each belongs to one message."""
    option: str | None = None
    """The value of a MessageOption that was chosen."""
    idempotency_key: str | None = None
    """The same key sent twice makes one message."""


@input_type
class SetVisitorTypingInput:
    """Whether the visitor is writing now."""

    is_typing: bool
    """Say it again every few seconds while it lasts."""


@input_type
class MarkVisitorReadInput:
    """How far the visitor has read."""

    seq: int
    """Of the last message that was seen."""


@input_type
class RateVisitInput:
    """How it was."""

    rating: int
    """1 to 5, once the chat is CLOSED."""
    comment: str | None = None
    """In the visitor's words."""


@object_type
class VisitorQuery:
    @query(visitor=True)
    async def visitor_chat(self, info: Info) -> VisitorChat | None:
        """The chat that the visitor's token stands for."""
        return await load_chat(info)


@object_type
class VisitorMutation:
    @mutation(public=True)
    async def start_visit(self, info: Info, input: StartVisitInput) -> VisitPayload:
        """Begins a visit to a web chat; needs no token and gives one."""
        context = info.context
        await context.ports.limiter.take(f"visits:{network(context.ip_address)}", VISITS)
        channel_id = local_id("Channel", input.channel_id, "channel_id")
        told = service.Introduction(**{key: value for key, value in vars(input).items() if key != "channel_id"})
        visit = await service.start(context.uow, context.ports.tokens, channel_id, told, origin=context.origin)
        chat = await service.chat(context.uow.session, visit.principal)
        public = {key: value for key, value in visit.channel.settings.items() if key != "allowedOrigins"}
        begun = Visit(visitor_token=visit.token, expires_at=visit.expires_at, settings=JSON(public), chat=None)
        begun.chat = VisitorChat.of(chat) if chat else None
        context.principal = visit.principal
        return VisitPayload(visit=begun)

    @mutation(visitor=True)
    async def send_visitor_message(self, info: Info, input: SendVisitorMessageInput) -> VisitorMessagePayload:
        """Says something to the company."""
        context, enclosed = info.context, local_ids("Attachment", input.attachment_ids or [], "attachment_ids")
        await files.inspect(context.ports, context.visitor, enclosed)
        said = service.Saying(input.text, input.option, tuple(enclosed))
        conversation, message = await service.write(context.uow, context.visitor, said, key=input.idempotency_key)
        return VisitorMessagePayload(message=VisitorMessage.of(message), chat=VisitorChat.of(conversation))

    @mutation(visitor=True)
    async def set_visitor_typing(self, info: Info, input: SetVisitorTypingInput) -> VisitorChatPayload:
        """Tells the agent that the visitor is writing."""
        chat = await service.chat(info.context.uow.session, info.context.visitor)
        if chat is None:
            return VisitorChatPayload()
        info.context.uow.wake(typing_topic(chat.id), f"CONTACT::{int(input.is_typing)}")
        return VisitorChatPayload(chat=VisitorChat.of(chat))

    @mutation(visitor=True)
    async def mark_visitor_read(self, info: Info, input: MarkVisitorReadInput) -> VisitorChatPayload:
        """Tells how far the visitor has read: what was said up to there becomes READ."""
        row = await service.read_up_to(info.context.uow, info.context.visitor, input.seq)
        return VisitorChatPayload(chat=VisitorChat.of(row))

    @mutation(visitor=True)
    async def rate_visit(self, info: Info, input: RateVisitInput) -> VisitorChatPayload:
        """Rates a closed chat; a second rating replaces the first."""
        row = await service.rate(info.context.uow, info.context.visitor, input.rating, input.comment)
        return VisitorChatPayload(chat=VisitorChat.of(row))
