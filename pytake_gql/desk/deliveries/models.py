from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, within_organization


class DueMedium(TenantModel, table=True):
    """A file that the provider still holds for a message of a contact; gone once it was fetched, or given up.

    Its id is the message's: there is one at most.
    """

    __tablename__ = "due_media"
    __table_args__ = (
        sa.Index("ix_due_media_message", "organization_id", "message_id"),
        sa.Index("ix_due_media_conversation", "organization_id", "conversation_id"),
        sa.Index("ix_due_media_due", "due_at"),
        belongs_to("messages", "message_id", ondelete="CASCADE"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        belongs_to("channels", "channel_id", ondelete="CASCADE"),
        within_organization(),
    )

    message_id: UUID
    conversation_id: UUID
    channel_id: UUID
    reference: str
    """The provider's id of it, or its address there."""
    mime_type: str | None = Field(default=None, max_length=200)
    """As the provider told it with the message, where it did."""
    file_name: str | None = Field(default=None, max_length=1000)
    caption: str | None = None
    """What becomes the message's text once the file is there."""
    due_at: datetime = Field(sa_type=Instant)
    """When a worker is to fetch it, or may take it over: the end of the lease."""
    epoch: int = 0
    attempts: int = 0
