from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization


class RoutingStrategy(StrEnum):
    """How a queue chooses the agent; MANUAL leaves it to pulls and assignments."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LOAD_BALANCE = "LOAD_BALANCE"
    SKILLS_BASED = "SKILLS_BASED"
    MANUAL = "MANUAL"


class QueueOrder(StrEnum):
    """Which conversation is first (D5)."""

    PRIORITY_FIRST = "PRIORITY_FIRST"
    DEADLINE_FIRST = "DEADLINE_FIRST"


class Queue(TenantModel, table=True):
    __tablename__ = "queues"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "slug"),
        sa.UniqueConstraint("organization_id", "name"),
        sa.Index("ix_queues_department", "organization_id", "department_id"),
        belongs_to("departments", "department_id"),
        belongs_to("queues", "overflow_queue_id"),
        within_organization(),
    )

    department_id: UUID
    name: str = Field(max_length=120)
    slug: str = Field(max_length=60)
    description: str | None = Field(default=None, max_length=2000)
    color: str = Field(default="#2563EB", max_length=7)
    icon: str | None = Field(default=None, max_length=60)
    is_active: bool = True
    priority: int = 50
    routing_strategy: RoutingStrategy = Field(default=RoutingStrategy.ROUND_ROBIN, sa_type=text_enum(RoutingStrategy))
    auto_assign: bool = True
    first_response_minutes: int | None = None
    next_response_minutes: int | None = None
    resolution_minutes: int | None = None
    opening_hours: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    relax_skills_after_seconds: int | None = None
    order: QueueOrder = Field(default=QueueOrder.PRIORITY_FIRST, sa_type=text_enum(QueueOrder))
    max_size: int | None = None
    overflow_queue_id: UUID | None = None
    reopen_within_hours: int = 72
    created_at: datetime = Field(sa_type=Instant)


class QueueSkill(TenantModel, table=True):
    """A skill that a queue asks of its agents: a mandatory one always, a preferred one while it does not relax."""

    __tablename__ = "queue_skills"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "queue_id", "skill_id"),
        sa.Index("ix_queue_skills_skill", "organization_id", "skill_id"),
        sa.CheckConstraint("min_level BETWEEN 1 AND 5", name="min_level"),
        belongs_to("queues", "queue_id", ondelete="CASCADE"),
        belongs_to("skills", "skill_id"),
        within_organization(),
    )

    queue_id: UUID
    skill_id: UUID
    min_level: int
    is_mandatory: bool


class QueueMember(TenantModel, table=True):
    """A member who serves a queue."""

    __tablename__ = "queue_members"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "queue_id", "member_id"),
        sa.Index("ix_queue_members_member", "organization_id", "member_id"),
        belongs_to("queues", "queue_id", ondelete="CASCADE"),
        belongs_to("members", "member_id", ondelete="CASCADE"),
        within_organization(),
    )

    queue_id: UUID
    member_id: UUID
    last_assigned_at: datetime | None = Field(default=None, sa_type=Instant)
    """The cursor of ROUND_ROBIN, written in the claiming transaction: it survives restarts (D12)."""
