from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization


class SlaPolicy(TenantModel, table=True):
    """What a conversation's clocks go by, under the conversation's own id: its queue as it stood then (D25)."""

    __tablename__ = "sla_policies"
    __table_args__ = (belongs_to("conversations", "id", ondelete="CASCADE"), within_organization())

    first_response_minutes: int | None = None
    next_response_minutes: int | None = None
    resolution_minutes: int | None = None
    opening_hours: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    timezone: str = Field(max_length=60)
    holiday_region: str | None = Field(default=None, max_length=10)
    responded_at: datetime | None = Field(default=None, sa_type=Instant)
    """When a member first said something to the contact."""
    next_cycles: int = 0
    """How many NEXT_RESPONSE clocks it has had."""
    applied_at: datetime = Field(sa_type=Instant)


class SlaClock(TenantModel, table=True):
    """One target of one conversation; NEXT_RESPONSE has a new one for each time that the contact waits again.

    It runs while `running_since` is set, and then is due at `due_at`, if it is due within the calendar's horizon.
    """

    __tablename__ = "sla_clocks"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "conversation_id", "target", "cycle"),
        sa.Index("ix_sla_clocks_due", "due_at", postgresql_where="running_since IS NOT NULL AND breached_at IS NULL"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        within_organization(),
    )

    conversation_id: UUID
    target: SlaTarget = Field(sa_type=text_enum(SlaTarget))
    cycle: int = 1
    target_seconds: int
    used_seconds: float = 0
    """Opening time that had passed when it last stood still."""
    started_at: datetime = Field(sa_type=Instant)
    running_since: datetime | None = Field(default=None, sa_type=Instant)
    due_at: datetime | None = Field(default=None, sa_type=Instant)
    """Null while it is paused; stays when it is met."""
    met_at: datetime | None = Field(default=None, sa_type=Instant)
    paused_at: datetime | None = Field(default=None, sa_type=Instant)
    breached_at: datetime | None = Field(default=None, sa_type=Instant)
    """The deadline that passed while it ran, whenever that was recorded (D25)."""
