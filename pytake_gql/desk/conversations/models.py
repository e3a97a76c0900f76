from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization
from pytake_gql.kernel.search import UNREAD_WORDS, words_column


class ConversationStatus(StrEnum):
    """Where a conversation stands.

    BOT: a flow speaks. QUEUED: waits for an agent. ACTIVE: an agent has it. SNOOZED: put aside until snoozedUntil or
    the contact's next message.
    """

    BOT = "BOT"
    QUEUED = "QUEUED"
    ACTIVE = "ACTIVE"
    SNOOZED = "SNOOZED"
    CLOSED = "CLOSED"


class ConversationPriority(StrEnum):
    """How urgent a conversation is among those that wait. URGENT stays first; the others gain by waiting."""

    LOW = "LOW"
    NORMAL = "NORMAL"
    HIGH = "HIGH"
    URGENT = "URGENT"


class ConversationCounter(TenantModel, table=True):
    """The last number given; one row an organization, under the organization's own id."""

    __tablename__ = "conversation_counters"
    __table_args__ = (within_organization(),)

    last_number: int


class Conversation(TenantModel, table=True):
    """The row carries what a list shows, kept up in the statement that changes it (speed.md)."""

    __tablename__ = "conversations"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "number"),
        sa.Index(
            "uq_conversations_open",
            "organization_id",
            "channel_id",
            "contact_id",
            unique=True,
            postgresql_where="status <> 'CLOSED'",
        ),
        sa.Index("ix_conversations_activity", "organization_id", "last_activity_at", "id"),
        sa.Index("ix_conversations_contact", "organization_id", "contact_id", "id"),
        sa.Index("ix_conversations_assignee", "organization_id", "assignee_id", "last_activity_at", "id"),
        sa.Index("ix_conversations_queue", "organization_id", "queue_id", "status", "last_activity_at", "id"),
        sa.Index(
            "ix_conversations_waiting_rank",
            *("organization_id", "queue_id", "waiting_rank", "sla_due_at", "eligible_since", "id"),
            postgresql_where="status = 'QUEUED'",
        ),
        sa.Index(
            "ix_conversations_waiting_due",
            *("organization_id", "queue_id", "sla_due_at", "eligible_since", "id", "waiting_rank"),
            postgresql_where="status = 'QUEUED'",
        ),
        sa.Index("ix_conversations_snoozed", "snoozed_until", postgresql_where="status = 'SNOOZED'"),
        words_column("subject::text"),
        sa.Index("ix_conversations_words", "words", postgresql_using="gin", postgresql_where="words IS NOT NULL"),
        belongs_to("channels", "channel_id"),
        belongs_to("contacts", "contact_id"),
        belongs_to("members", "assignee_id"),
        sa.ForeignKeyConstraint(
            ["organization_id", "queue_id"],
            ["queues.organization_id", "queues.id"],
            ondelete="SET NULL (queue_id)",
        ),
        sa.CheckConstraint("(status = 'ACTIVE') <= (assignee_id IS NOT NULL)", name="active_has_assignee"),
        sa.CheckConstraint("status <> 'QUEUED' OR assignee_id IS NULL", name="queued_has_no_assignee"),
        within_organization(),
    )
    __mapper_args__: ClassVar[dict[str, Any]] = UNREAD_WORDS

    number: int
    status: ConversationStatus = Field(sa_type=text_enum(ConversationStatus))
    priority: ConversationPriority = Field(default=ConversationPriority.NORMAL, sa_type=text_enum(ConversationPriority))
    subject: str | None = Field(default=None, max_length=250)
    channel_id: UUID
    contact_id: UUID
    queue_id: UUID | None = None
    assignee_id: UUID | None = None
    contact_name: str | None = Field(default=None, max_length=120)
    assignee_name: str | None = Field(default=None, max_length=120)
    last_seq: int = 0
    """Raised in the transaction that adds the event: the timeline has no gaps (G7)."""
    last_message_id: UUID | None = None
    last_message_preview: str | None = Field(default=None, max_length=160)
    last_activity_at: datetime = Field(sa_type=Instant)
    unread_count: int = 0
    read_seq: int = 0
    """Up to where the assignee has read."""
    contact_read_seq: int = 0
    """Up to where the contact has read."""
    queued_at: datetime | None = Field(default=None, sa_type=Instant)
    eligible_since: datetime | None = Field(default=None, sa_type=Instant)
    """Since when it waits; survives a requeue that is not the customer's doing (D6)."""
    waiting_rank: int | None = None
    """`order.waiting_rank` of priority and eligible_since: the indexable part of D5."""
    has_sla: bool = False
    """Whether targets were applied to it; without any it has no clocks."""
    sla_due_at: datetime | None = Field(default=None, sa_type=Instant)
    """The earliest deadline of the clocks that run, also one that has passed."""
    is_sla_breached: bool = False
    """Whether a deadline ever passed."""
    assigned_at: datetime | None = Field(default=None, sa_type=Instant)
    snoozed_until: datetime | None = Field(default=None, sa_type=Instant)
    closed_at: datetime | None = Field(default=None, sa_type=Instant)
    last_assignee_id: UUID | None = None
    rating: int | None = None
    rating_comment: str | None = Field(default=None, max_length=2000)
    created_at: datetime = Field(sa_type=Instant)
    updated_at: datetime = Field(sa_type=Instant)


class ConversationTag(TenantModel, table=True):
    __tablename__ = "conversation_tags"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "conversation_id", "tag_id"),
        sa.Index("ix_conversation_tags_tag", "organization_id", "tag_id", "conversation_id"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        belongs_to("tags", "tag_id", ondelete="CASCADE"),
        within_organization(),
    )

    conversation_id: UUID
    tag_id: UUID


class MessageDirection(StrEnum):
    """INBOUND: from the contact. OUTBOUND: to the contact."""

    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


class MessageStatus(StrEnum):
    """UNKNOWN: asked of the provider, but its answer was lost; never sent again by itself."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    READ = "READ"
    FAILED = "FAILED"
    RECEIVED = "RECEIVED"
    UNKNOWN = "UNKNOWN"


class AuthorKind(StrEnum):
    """Who wrote a message."""

    CONTACT = "CONTACT"
    MEMBER = "MEMBER"
    BOT = "BOT"
    SYSTEM = "SYSTEM"


class Message(TenantModel, table=True):
    __tablename__ = "messages"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "conversation_id", "seq"),
        sa.Index(
            "uq_messages_provider_id",
            "organization_id",
            "channel_id",
            "provider_message_id",
            unique=True,
            postgresql_where="provider_message_id IS NOT NULL",
        ),
        sa.Index("ix_messages_due", "due_at", postgresql_where="due_at IS NOT NULL"),
        words_column("text"),
        sa.Index("ix_messages_words", "words", postgresql_using="gin"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        belongs_to("channels", "channel_id"),
        belongs_to("members", "author_id"),
        within_organization(),
    )
    __mapper_args__: ClassVar[dict[str, Any]] = UNREAD_WORDS

    conversation_id: UUID
    channel_id: UUID
    seq: int
    direction: MessageDirection = Field(sa_type=text_enum(MessageDirection))
    author_kind: AuthorKind = Field(sa_type=text_enum(AuthorKind))
    author_id: UUID | None = None
    author_name: str | None = Field(default=None, max_length=120)
    text: str | None = None
    options: list[dict[str, str]] = Field(default_factory=list, sa_type=JSONB)
    has_attachments: bool = False
    """Whether there are any to look for."""
    chosen: str | None = Field(default=None, max_length=1000)
    """The value of the offered option that the contact chose; its title is the text."""
    template: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    """What the provider needs to send it as a template: the fields of `ports.TemplateMessage`."""
    is_note: bool = False
    status: MessageStatus = Field(sa_type=text_enum(MessageStatus))
    error: str | None = Field(default=None, max_length=1000)
    reply_to_id: UUID | None = None
    idempotency_key: str | None = Field(default=None, max_length=200)
    provider_message_id: str | None = Field(default=None, max_length=500)
    created_at: datetime = Field(sa_type=Instant)
    due_at: datetime | None = Field(default=None, sa_type=Instant)
    """When a worker is to send it, or may take it over: the end of the lease. Null: nothing is to be done (D27)."""
    epoch: int = 0
    """Raised by each claim; who writes the outcome must hold the last one (E4)."""
    attempts: int = 0
    parts_sent: int = 0
    """How many of the calls that its channel needs for it have passed; with the last one it is SENT."""


class TimelineKind(StrEnum):
    MESSAGE_ADDED = "MESSAGE_ADDED"
    MESSAGE_STATUS_CHANGED = "MESSAGE_STATUS_CHANGED"
    STATUS_CHANGED = "STATUS_CHANGED"
    ASSIGNED = "ASSIGNED"
    TRANSFERRED = "TRANSFERRED"
    CHANGED = "CHANGED"
    SLA_BREACHED = "SLA_BREACHED"
    FLOW_STEP_TAKEN = "FLOW_STEP_TAKEN"


class SlaTarget(StrEnum):
    """What is to happen in time.

    FIRST_RESPONSE: a member's first answer. NEXT_RESPONSE: an answer to what the contact wrote after that.
    RESOLUTION: the end of the conversation.
    """

    FIRST_RESPONSE = "FIRST_RESPONSE"
    NEXT_RESPONSE = "NEXT_RESPONSE"
    RESOLUTION = "RESOLUTION"


class MoveReason(StrEnum):
    """Why a conversation changed hands."""

    MEMBER = "MEMBER"
    PULL = "PULL"
    ROUTING = "ROUTING"
    FLOW = "FLOW"
    OVERFLOW = "OVERFLOW"
    AGENT_LOST = "AGENT_LOST"
    REOPENED = "REOPENED"
    WOKEN = "WOKEN"


class TimelineEntry(TenantModel, table=True):
    """One event of a conversation, at its seq: what subscribers replay."""

    __tablename__ = "timeline_entries"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "conversation_id", "seq"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        within_organization(),
    )

    conversation_id: UUID
    seq: int
    kind: TimelineKind = Field(sa_type=text_enum(TimelineKind))
    at: datetime = Field(sa_type=Instant)
    by_id: UUID | None = None
    """The member who did it."""
    message_id: UUID | None = None
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    """What the kind needs besides: ids as hex, enum values as text."""
