from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, within_organization


class DueReceipt(TenantModel, table=True):
    """A conversation whose provider is still to be told how far it was read; gone once it was told, or given up.

    Its id is the conversation's: there is one at most, of the newest message that was read.
    """

    __tablename__ = "due_receipts"
    __table_args__ = (
        sa.Index("ix_due_receipts_message", "organization_id", "message_id"),
        sa.Index("ix_due_receipts_due", "due_at"),
        belongs_to("messages", "message_id", ondelete="CASCADE"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        belongs_to("channels", "channel_id", ondelete="CASCADE"),
        within_organization(),
    )

    message_id: UUID
    conversation_id: UUID
    channel_id: UUID
    due_at: datetime = Field(sa_type=Instant)
    """When a worker is to tell it, or may take it over: the end of the lease."""
    epoch: int = 0
    attempts: int = 0
