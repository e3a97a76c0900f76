from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlmodel import Field

from pytake_gql.automation.flow_automations.exceptions import ExceptionKind
from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization


class AutomationStatus(StrEnum):
    """DRAFT: never activated. COMPLETED: its schedule has no firing left. ARCHIVED: put away."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    ARCHIVED = "ARCHIVED"


class FlowAutomation(TenantModel, table=True):
    """A flow for an audience, by schedule or by hand. Deleted ones stay for their executions (S23)."""

    __tablename__ = "flow_automations"
    __table_args__ = (
        sa.Index("ix_flow_automations_firing", "next_firing_at", "id", postgresql_where="next_firing_at IS NOT NULL"),
        sa.Index(
            "ix_flow_automations_due",
            "organization_id",
            "next_firing_at",
            "id",
            postgresql_where="next_firing_at IS NOT NULL",
        ),
        sa.Index("ix_flow_automations_newest", "organization_id", "created_at", "id"),
        sa.Index("ix_flow_automations_flow", "organization_id", "flow_id"),
        sa.Index("ix_flow_automations_channel", "organization_id", "channel_id"),
        belongs_to("flows", "flow_id"),
        belongs_to("channels", "channel_id"),
        within_organization(),
    )

    name: str = Field(max_length=120)
    description: str | None = Field(default=None, max_length=1000)
    flow_id: UUID
    channel_id: UUID
    status: AutomationStatus = Field(default=AutomationStatus.DRAFT, sa_type=text_enum(AutomationStatus))
    status_reason: str | None = Field(default=None, max_length=1000)
    """Why it paused by itself (S21)."""
    schedule: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    """The rule in local times (S1), without its exceptions: those are rows."""
    anchored_at: datetime | None = Field(default=None, sa_type=Instant)
    """When it was first given a schedule: without a start, intervals and counts begin there (S7, S9)."""
    active_since: datetime | None = Field(default=None, sa_type=Instant)
    """When it was last activated: what was nominal before is not fired (S9, S20)."""
    audience: dict[str, Any] = Field(sa_type=JSONB)
    """In the shape of `AudienceInput`."""
    variables: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    max_concurrent: int
    rate_per_minute: int
    max_attempts: int
    pause_on_failure: bool = True
    failures: int = 0
    """Executions that failed in a row (S21)."""
    next_firing_at: datetime | None = Field(default=None, sa_type=Instant)
    """When the tick is to take it: the next instant that really fires. Null when nothing is to be fired (E1, S20)."""
    next_nominal_at: datetime | None = Field(default=None, sa_type=Instant)
    """The nominal instant of that firing (S19)."""
    last_nominal_at: datetime | None = Field(default=None, sa_type=Instant)
    """The last nominal that was dealt with."""
    last_fired_at: datetime | None = Field(default=None, sa_type=Instant)
    revision: int = 1
    created_at: datetime = Field(sa_type=Instant)
    updated_at: datetime = Field(sa_type=Instant)
    deleted_at: datetime | None = Field(default=None, sa_type=Instant)


class ScheduleException(TenantModel, table=True):
    """Days on which a schedule does otherwise; the ranges of one automation never overlap (S14)."""

    __tablename__ = "schedule_exceptions"
    __table_args__ = (
        sa.Index("ix_schedule_exceptions_automation", "organization_id", "automation_id", "starts_on"),
        sa.CheckConstraint("starts_on <= ends_on", name="in_order"),
        ExcludeConstraint(
            ("organization_id", "="),
            ("automation_id", "="),
            (sa.text("daterange(starts_on, ends_on, '[]')"), "&&"),
            name="ex_schedule_exceptions_apart",
        ),
        belongs_to("flow_automations", "automation_id", ondelete="CASCADE"),
        within_organization(),
    )

    automation_id: UUID
    kind: ExceptionKind = Field(sa_type=text_enum(ExceptionKind))
    starts_on: date
    ends_on: date
    """The last day, included."""
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    """What the kind needs besides: target, time, window, limits, and the reason."""
