"""What clients say about conversations."""

from datetime import datetime
from uuid import UUID

import strawberry

from pytake_gql.desk.channels import templates
from pytake_gql.desk.conversations import messages, models, queries, starting
from pytake_gql.desk.tags.graphql import filtered_ids
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.mutation import local_id, local_ids, present
from pytake_gql.kernel.graphql.types import enum_type, input_type
from pytake_gql.kernel.ids import parse_global_id

enum_type(models.ConversationStatus)
enum_type(models.ConversationPriority)


@input_type
class ConversationFilter:
    """All that is given must hold; of a list, one of it. An id that leads nowhere matches nothing."""

    status: list[models.ConversationStatus] | None = None
    """In one of these states."""
    queue_ids: list[strawberry.ID] | None = None
    """In one of these queues."""
    department_ids: list[strawberry.ID] | None = None
    """In a queue of one of these departments."""
    channel_ids: list[strawberry.ID] | None = None
    """On one of these channels."""
    assignee_ids: list[strawberry.ID] | None = None
    """Assigned to one of these members."""
    is_unassigned: bool | None = None
    """Whether nobody has it."""
    contact_id: strawberry.ID | None = None
    """Of this contact."""
    tag_ids: list[strawberry.ID] | None = None
    """With one of these tags."""
    priority: list[models.ConversationPriority] | None = None
    """Of one of these priorities."""
    is_sla_breached: bool | None = None
    """Whether it ever missed a deadline."""
    search: str | None = None
    """In number, subject, message texts, and the contact's name, phone and e-mail.

    All words must be there, without regard to accents, case, endings in Portuguese and English, or their order; the
    first eight count. #12 is the number alone. Of words that very many messages hold, the newest are found.
    """
    created_after: datetime | None = None
    """Begun after this instant."""
    created_before: datetime | None = None
    """Begun before this instant."""

    def read(self) -> queries.Filter:
        return queries.Filter(
            status=self.status,
            queue_ids=_known("Queue", self.queue_ids),
            department_ids=_known("Department", self.department_ids),
            channel_ids=_known("Channel", self.channel_ids),
            assignee_ids=_known("Member", self.assignee_ids),
            is_unassigned=self.is_unassigned,
            contact_ids=_known("Contact", [self.contact_id] if self.contact_id else None),
            tag_ids=filtered_ids(self.tag_ids),
            priority=self.priority,
            is_sla_breached=self.is_sla_breached,
            search=self.search,
            created_after=self.created_after,
            created_before=self.created_before,
        )


@input_type
class TemplateMessageInput:
    """A template in place of a text."""

    template_id: strawberry.ID
    """An approved one of the conversation's channel."""
    variables: list[str] | None = None
    """One for each placeholder, in order."""

    def read(self, *path: str) -> templates.Choice:
        template_id = local_id("MessageTemplate", self.template_id, *path, "template_id")
        return templates.Choice(template_id, self.variables or [])


@input_type
class StartConversationInput:
    """Waits in the queue named; without one it is the caller's own.

    CONFLICT when the contact has an open one on this channel.
    """

    contact_id: strawberry.ID
    """Who is spoken to; on this channel before, and not blocked."""
    channel_id: strawberry.ID
    """Where."""
    queue_id: strawberry.ID | None = None
    """Where it waits; without one the caller has it, and a slot less."""
    text: str | None = None
    """The first message."""
    template: TemplateMessageInput | None = None
    """The first message, where the contact has not written of late: on WhatsApp only a template passes then."""
    subject: str | None = None
    """What it is about."""
    priority: models.ConversationPriority | None = None
    """NORMAL without one."""
    idempotency_key: str | None = None
    """The same key given twice starts one conversation."""

    def read(self) -> starting.Start:
        return starting.Start(
            contact_id=local_id("Contact", self.contact_id, "contact_id"),
            channel_id=local_id("Channel", self.channel_id, "channel_id"),
            queue_id=local_id("Queue", self.queue_id, "queue_id") if self.queue_id else None,
            text=self.text,
            template=self.template.read("template") if self.template else None,
            subject=self.subject,
            priority=self.priority or models.ConversationPriority.NORMAL,
        )


@input_type
class SendMessageInput:
    """What a member says."""

    conversation_id: strawberry.ID
    """Where."""
    text: str | None = None
    """Any Unicode, at most 64 KiB (4096 characters on WhatsApp, 1000 on Instagram); not needed with attachments."""
    attachment_ids: list[strawberry.ID] | None = None
    """Files that the caller prepared and uploaded, at most 10; each belongs to one message."""
    template: TemplateMessageInput | None = None
    """Instead of text; passes when the reply window is closed."""
    is_note: bool = False
    """Seen by members only, never sent."""
    reply_to_id: strawberry.ID | None = None
    """A message of the same conversation that this one answers."""
    idempotency_key: str | None = None
    """The same key sent twice makes one message."""
    expected_last_seq: int | None = None
    """Refused as STALE when newer messages have come since this seq."""

    def read(self) -> messages.Draft:
        return messages.Draft(
            text=self.text,
            is_note=self.is_note,
            reply_to_id=local_id("Message", self.reply_to_id, "reply_to_id") if self.reply_to_id else None,
            expected_last_seq=self.expected_last_seq,
            attachment_ids=tuple(local_ids("Attachment", self.attachment_ids or [], "attachment_ids")),
            template=self.template.read("template") if self.template else None,
        )


@input_type
class UpdateConversationInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The conversation."""
    subject: strawberry.Maybe[str | None]
    """What it is about."""
    priority: strawberry.Maybe[models.ConversationPriority | None]
    """How urgent it is among those that wait."""
    tag_ids: strawberry.Maybe[list[strawberry.ID] | None]
    """All tags from then on."""

    def given(self) -> Changes:
        """By the names of the row, without the conversation's own id."""
        given = present(self, "id")
        if given.get("tag_ids") is not None:
            given["tag_ids"] = local_ids("Tag", given["tag_ids"], "tag_ids")
        return given


@input_type
class CloseConversationInput:
    """What is done."""

    id: strawberry.ID
    """The conversation."""
    note: str | None = None
    """Left in the timeline for colleagues."""


@input_type
class SnoozeConversationInput:
    """What is put aside."""

    id: strawberry.ID
    """The conversation; somebody must have it."""
    until: datetime
    """When it comes back, at most a year ahead; it does before, when the contact writes."""


@input_type
class ReopenConversationInput:
    """What goes on."""

    id: strawberry.ID
    """Reopens a closed one, wakes a snoozed one."""


@input_type
class MarkConversationReadInput:
    """How far the assignee has read."""

    id: strawberry.ID
    """The conversation."""
    seq: int
    """The last event that was seen."""


@input_type
class SetTypingInput:
    """Whether the caller is writing now."""

    conversation_id: strawberry.ID
    """Where."""
    is_typing: bool
    """Say it again every few seconds while it lasts."""


def _known(type_name: str, ids: list[strawberry.ID] | None) -> list[UUID] | None:
    """The ids inside; what is malformed leads nowhere and matches nothing."""
    if ids is None:
        return None
    parsed = [parse_global_id(id_) for id_ in ids]
    return [found[1] for found in parsed if found and found[0] == type_name]
