from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, within_organization
from pytake_gql.kernel.ids import uuid7


class Attachment(TenantModel, table=True):
    """A file, announced, uploaded, and then of one message for good. Whatever deletes the row discards the file."""

    __tablename__ = "attachments"
    __table_args__ = (
        sa.Index("ix_attachments_message", "organization_id", "message_id", "position"),
        sa.Index("ix_attachments_conversation", "organization_id", "conversation_id"),
        sa.Index("ix_attachments_uploader", "organization_id", "uploaded_by", postgresql_where="message_id IS NULL"),
        sa.Index("ix_attachments_unsent", "expires_at", postgresql_where="message_id IS NULL"),
        belongs_to("messages", "message_id", ondelete="CASCADE"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        sa.CheckConstraint("message_id IS NULL OR storage_key IS NOT NULL", name="sent_is_uploaded"),
        sa.CheckConstraint("(message_id IS NULL) = (conversation_id IS NULL)", name="sent_somewhere"),
        within_organization(),
    )

    message_id: UUID | None = None
    conversation_id: UUID | None = None
    position: int = 0
    """Its place among those of its message."""
    uploaded_by: str = Field(max_length=300)
    """`service.uploader` of whoever may send it."""
    file_name: str | None = Field(default=None, max_length=200)
    mime_type: str = Field(max_length=120)
    size_bytes: int
    storage_key: str | None = Field(default=None, max_length=200)
    """Where its content lies; null until it was uploaded and looked at."""
    created_at: datetime = Field(sa_type=Instant)
    expires_at: datetime = Field(sa_type=Instant)
    """When it is swept, unless it was sent before."""


class DiscardedFile(SQLModel, table=True):
    """A file whose row is gone, also with its organization; a trigger writes it, the housekeeping deletes the file."""

    __tablename__ = "discarded_files"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    organization_id: UUID
    attachment_id: UUID
    storage_key: str | None = Field(default=None, max_length=200)
    discarded_at: datetime = Field(sa_type=Instant, index=True)
