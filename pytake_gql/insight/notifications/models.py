from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization


class NotificationKind(StrEnum):
    """What happened. ASSIGNED: given to the member. TRANSFERRED: given to the member by who had it.

    REPLIED: the contact wrote. SLA_BREACHED: a deadline passed. UNROUTABLE: nobody in the queue has the mandatory
    skills. AUTOMATION_PAUSED: by itself. EXECUTION_FAILED: nobody was sent anything. CHANNEL_FAILED: its provider lets
    nothing pass. LIMIT_NEAR: of the plan.
    """

    ASSIGNED = "ASSIGNED"
    TRANSFERRED = "TRANSFERRED"
    REPLIED = "REPLIED"
    SLA_BREACHED = "SLA_BREACHED"
    UNROUTABLE = "UNROUTABLE"
    AUTOMATION_PAUSED = "AUTOMATION_PAUSED"
    EXECUTION_FAILED = "EXECUTION_FAILED"
    CHANNEL_FAILED = "CHANNEL_FAILED"
    AI_FAILED = "AI_FAILED"
    LIMIT_NEAR = "LIMIT_NEAR"


class Notification(TenantModel, table=True):
    """What one member is told.

    It carries ids and numbers, no names and no words of contacts: those are read with it, as far as the member may
    see them then.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        sa.Index("ix_notifications_newest", "organization_id", "member_id", "created_at", "id"),
        sa.Index(
            "ix_notifications_unread",
            *("organization_id", "member_id", "created_at", "id"),
            postgresql_where="read_at IS NULL",
        ),
        sa.Index("ix_notifications_conversation", "organization_id", "conversation_id"),
        sa.Index("ix_notifications_read_at", "read_at", postgresql_where="read_at IS NOT NULL"),
        belongs_to("members", "member_id"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        belongs_to("channels", "channel_id", ondelete="CASCADE"),
        belongs_to("flow_automations", "flow_automation_id", ondelete="CASCADE"),
        within_organization(),
    )

    member_id: UUID
    kind: NotificationKind = Field(sa_type=text_enum(NotificationKind))
    conversation_id: UUID | None = None
    channel_id: UUID | None = None
    flow_automation_id: UUID | None = None
    reason: str | None = Field(default=None, max_length=1000)
    """Why it failed or paused, as it was told then: it stays when the channel or the automation works again."""
    number: int | None = None
    """The conversation's."""
    target: SlaTarget | None = Field(default=None, sa_type=text_enum(SlaTarget))
    """What had not happened in time."""
    created_at: datetime = Field(sa_type=Instant)
    read_at: datetime | None = Field(default=None, sa_type=Instant)
