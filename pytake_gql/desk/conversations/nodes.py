"""Conversations and messages as GraphQL types."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

import strawberry

from pytake_gql.desk.attachments import service as files
from pytake_gql.desk.attachments.graphql import Attachment
from pytake_gql.desk.channels.graphql import Channel, find_channel
from pytake_gql.desk.contacts.graphql import Contact, load_contact
from pytake_gql.desk.conversations import enclosures, messages, models, news, queries, window
from pytake_gql.desk.departments.graphql import Department, find_department
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.graphql import Queue, find_queue
from pytake_gql.desk.tags.graphql import Tag
from pytake_gql.kernel import pagination
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import enum_type, extend, field, object_type
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.tenancy.members.graphql import Member, load_member

for kind in (
    models.ConversationStatus,
    models.ConversationPriority,
    models.MessageDirection,
    models.MessageStatus,
    models.AuthorKind,
    queries.ConversationOrder,
):
    enum_type(kind)


@object_type
class MessageOption:
    """A button or list entry offered with a message."""

    value: str
    """What choosing it answers."""
    title: str
    """What it says."""


@object_type
class ReplyWindow:
    """Whether the channel lets a member write freely now."""

    is_open: bool
    """Always true in web chat."""
    closes_at: datetime | None
    """Until when; null for no limit, and where the contact never wrote."""


@object_type
class Message(Node):
    """Something that was said in a conversation, or noted beside it."""

    row: strawberry.Private[models.Message | news.Said]
    seq: int
    """That of its MessageAdded in the conversation's timeline."""
    direction: models.MessageDirection
    """From the contact, or to the contact."""
    author_kind: models.AuthorKind
    """Who wrote it."""
    text: str | None
    """What it says: any Unicode, at most 64 KiB."""
    options: list[MessageOption]
    """Buttons or list entries offered with it."""
    is_note: bool
    """Seen by members only, never sent."""
    status: models.MessageStatus
    """RECEIVED for an inbound message, SENT for a note."""
    error: str | None
    """Why the channel did not take it; null while it is still tried."""
    reply_to_id: strawberry.ID | None
    """The message that it answers."""
    created_at: datetime
    """When it was stored."""

    @classmethod
    def of(cls, row: models.Message | news.Said) -> Self:
        return cls(
            id=strawberry.ID(global_id("Message", row.id)),
            row=row,
            seq=row.seq,
            direction=row.direction,
            author_kind=row.author_kind,
            text=row.text,
            options=[MessageOption(**option) for option in row.options],
            is_note=row.is_note,
            status=row.status,
            error=None if row.status is models.MessageStatus.QUEUED else row.error,
            reply_to_id=strawberry.ID(global_id("Message", row.reply_to_id)) if row.reply_to_id else None,
            created_at=row.created_at,
        )

    @field
    async def author(self, info: Info) -> Member | None:
        """The member who wrote it, when authorKind is MEMBER."""
        return await load_member(info, self.row.author_id)

    @field
    async def attachments(self, info: Info) -> list[Attachment]:
        """The files that came with it, in their order."""
        return await load_attachments(info, self.row)

    @field
    async def reply_to(self, info: Info) -> "Message | None":
        """The message that it answers."""
        row = await info.context.load(messages.by_ids, self.row.reply_to_id) if self.row.reply_to_id else None
        return Message.of(row) if row else None

    @field
    async def idempotency_key(self, info: Info) -> str | None:
        """To its author only: finds the bubble that the client drew before the answer came."""
        is_author = self.row.author_id is not None and self.row.author_id == info.context.member.member_id
        return self.row.idempotency_key if is_author else None


@object_type
class Conversation(Node):
    """What one contact and the organization say to each other on one channel, until it is closed."""

    row: strawberry.Private[Any]
    number: int
    """Counts from 1 inside the organization."""
    status: models.ConversationStatus
    """Where it stands."""
    priority: models.ConversationPriority
    """How urgent it is among those that wait."""
    subject: str | None
    """What it is about."""
    last_activity_at: datetime
    """When either side last wrote."""
    unread_count: int
    """Inbound messages since the assignee last read."""
    last_seq: int
    """The seq of the newest event; pass it to conversationEvents(after:) to resume without a gap.

    A timeline read with it may hold later ones already: drop doubles by seq.
    """
    queued_at: datetime | None
    """When it was last put into its queue."""
    assigned_at: datetime | None
    """When it was last assigned."""
    snoozed_until: datetime | None
    """When it wakes."""
    closed_at: datetime | None
    """When it was closed."""
    rating: int | None
    """1 to 5, given by the contact after closing."""
    rating_comment: str | None
    """What the contact said with the rating."""
    created_at: datetime
    """When it began."""
    updated_at: datetime
    """When anything last happened to it."""

    @classmethod
    def of(cls, row: Any) -> Self:
        """From a table's row, or from a row of `queries.SHOWN`."""
        return cls(
            id=strawberry.ID(global_id("Conversation", row.id)),
            row=row,
            number=row.number,
            status=row.status,
            priority=row.priority,
            subject=row.subject,
            last_activity_at=row.last_activity_at,
            unread_count=row.unread_count,
            last_seq=row.last_seq,
            queued_at=row.queued_at,
            assigned_at=row.assigned_at,
            snoozed_until=row.snoozed_until,
            closed_at=row.closed_at,
            rating=row.rating,
            rating_comment=row.rating_comment,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    @field
    async def channel(self, info: Info) -> Channel:
        """Where it takes place."""
        found: Channel = await find_channel(info, self.row.channel_id)
        return found

    @field
    async def contact(self, info: Info) -> Contact:
        """Who writes."""
        return await load_contact(info, self.row.contact_id)

    @field
    async def tags(self, info: Info) -> list[Tag]:
        """In alphabetical order."""
        return [Tag.of(row) for row in await info.context.load(queries.tags_of, self.row.id) or []]

    @field
    async def queue(self, info: Info) -> Queue | None:
        """Where it waits, or waited last."""
        return await find_queue(info, self.row.queue_id) if self.row.queue_id else None

    @field
    async def department(self, info: Info) -> Department | None:
        """The department of its queue."""
        queue = await info.context.load(queues.by_ids, self.row.queue_id) if self.row.queue_id else None
        return await find_department(info, queue.department_id) if queue else None

    @field
    async def assignee(self, info: Info) -> Member | None:
        """Who has it."""
        return await load_member(info, self.row.assignee_id)

    @field
    async def last_message(self, info: Info) -> Message | None:
        """The newest message or note."""
        row = await info.context.load(messages.by_ids, self.row.last_message_id) if self.row.last_message_id else None
        return Message.of(row) if row else None

    @field
    async def messages(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Message]:
        """What was said, in order of seq."""
        wanted = pagination.window(first, after, last, before)
        async with info.context.read() as session:
            listing = await queries.messages(session, self.row.id, wanted)
        found: Connection[Message] = listed(info, listing, Message.of)
        return found

    @field
    async def reply_window(self, info: Info) -> ReplyWindow:
        """Whether the channel lets a member write freely now, and until when.

        WhatsApp and Instagram: 24 hours after the contact's last message.
        """
        channel = await find_channel(info, self.row.channel_id)
        last_wrote_at = await info.context.load(window.last_words, (self.row.channel_id, self.row.contact_id))
        found = window.of(channel.kind, last_wrote_at, info.context.ports.clock.now())
        return ReplyWindow(is_open=found.is_open, closes_at=found.closes_at)


async def load_attachments(info: Info, row: models.Message | news.Said) -> list[Attachment]:
    """Of all the messages that this operation shows, at once; of one that has none, without looking."""
    found = await info.context.load(files.of_messages, row.id) if row.has_attachments else None
    return [Attachment.of(info, file) for file in found or []]


def listed(info: Info, listing: queries.Listing, wrap: Any) -> Any:
    """The connection of a listing; the count opens a session of its own, when it is selected."""

    async def count() -> int:
        async with info.context.read() as session:
            return int(await listing.count(session))

    return connection(listing.page.map(wrap), count)


@finds("Conversation")
async def find_conversation(info: Info, id_: UUID) -> Conversation | None:
    """The conversation, if the caller may see it."""
    async with info.context.read() as session:
        row = (await queries.visible(session, info.context.principal, [id_])).get(id_)
    return Conversation.of(row) if row else None


@finds("Message")
async def find_message(info: Info, id_: UUID) -> Message | None:
    """The message, if the caller may see its conversation."""
    async with info.context.read() as session:
        row = (await messages.by_ids(session, [id_])).get(id_)
        seen = row and await queries.visible(session, info.context.principal, [row.conversation_id])
    return Message.of(row) if row and seen else None


@finds("Attachment", is_for_visitors=True)
async def find_attachment(info: Info, id_: UUID) -> Attachment | None:
    """The attachment, if the caller may see its message."""
    async with info.context.read() as session:
        row = (await enclosures.visible(session, info.context.principal, [id_])).get(id_)
    return Attachment.of(info, row) if row else None


@extend(Contact)
async def conversations(
    self: Contact, info: Info, first: int | None = None, after: str | None = None
) -> Connection[Conversation]:
    """The contact's conversations that the caller may see, newest activity first."""
    wanted, of_contact = pagination.window(first, after), queries.Filter(contact_ids=[id_of(self.id)])
    async with info.context.read() as session:
        newest = queries.ConversationOrder.NEWEST_ACTIVITY
        listing = await queries.page(session, info.context.principal, of_contact, newest, wanted)
    return listed(info, listing, Conversation.of)  # type: ignore[no-any-return]
