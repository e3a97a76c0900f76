from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization


class ExecutionTrigger(StrEnum):
    """What started an execution: its time, a person, or a person for a time that has passed."""

    SCHEDULE = "SCHEDULE"
    MANUAL = "MANUAL"
    BACKFILL = "BACKFILL"


class ExecutionStatus(StrEnum):
    """How an execution stands.

    WAITING_WINDOW: goes on when its window opens. SKIPPED: on purpose. MISSED: nobody was there to run it. EXPIRED: it
    could not be finished within 72 hours.
    """

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    WAITING_WINDOW = "WAITING_WINDOW"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    MISSED = "MISSED"
    EXPIRED = "EXPIRED"


class RecipientStatus(StrEnum):
    """How a recipient stands.

    UNKNOWN: the worker died between asking the provider to send and hearing back; settled by the provider's status,
    never sent again by itself.
    """

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    READ = "READ"
    REPLIED = "REPLIED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    EXPIRED = "EXPIRED"


class FlowExecution(TenantModel, table=True):
    """One run of an automation for its audience, with what it was to do when it was fired (S22)."""

    __tablename__ = "flow_executions"
    __table_args__ = (
        sa.Index(
            "uq_flow_executions_nominal",
            "organization_id",
            "automation_id",
            "scheduled_for",
            "trigger",
            unique=True,
            postgresql_where="trigger <> 'MANUAL'",
        ),
        sa.UniqueConstraint("organization_id", "automation_id", "client_key"),
        sa.Index("ix_flow_executions_automation", "organization_id", "automation_id", "scheduled_for", "id"),
        sa.Index("ix_flow_executions_due", "due_at", postgresql_where="due_at IS NOT NULL"),
        sa.Index("ix_flow_executions_channel", "organization_id", "channel_id"),
        belongs_to("flow_automations", "automation_id", ondelete="CASCADE"),
        belongs_to("flow_versions", "version_id"),
        belongs_to("channels", "channel_id"),
        belongs_to("members", "triggered_by_id"),
        within_organization(),
    )

    automation_id: UUID
    trigger: ExecutionTrigger = Field(sa_type=text_enum(ExecutionTrigger))
    scheduled_for: datetime = Field(sa_type=Instant)
    """The nominal instant, before deferral, reschedule and jitter (S19)."""
    client_key: str | None = Field(default=None, max_length=200)
    """The caller's idempotency key of a manual one."""
    status: ExecutionStatus = Field(sa_type=text_enum(ExecutionStatus))
    reason: str | None = Field(default=None, max_length=1000)
    is_dry_run: bool = False
    triggered_by_id: UUID | None = None
    version_id: UUID | None = None
    channel_id: UUID | None = None
    snapshot: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    """`snapshots.Snapshot`: audience, variables, limits and window as they were at firing."""
    is_paused: bool = False
    """Its automation was paused: no recipient begins until it goes on (E5)."""
    due_at: datetime | None = Field(default=None, sa_type=Instant)
    """When a worker is to look at it, should nobody have until then (E9). Null: when something else happens."""
    started_at: datetime | None = Field(default=None, sa_type=Instant)
    finished_at: datetime | None = Field(default=None, sa_type=Instant)
    created_at: datetime = Field(sa_type=Instant)


class ExecutionRecipient(TenantModel, table=True):
    """One contact in one execution."""

    __tablename__ = "execution_recipients"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "execution_id", "contact_id"),
        sa.Index("ix_execution_recipients_status", "organization_id", "execution_id", "status", "id"),
        sa.Index(
            "ix_execution_recipients_due",
            *("organization_id", "execution_id", "due_at", "id"),
            postgresql_where="due_at IS NOT NULL",
        ),
        sa.Index("ix_execution_recipients_contact", "organization_id", "contact_id"),
        sa.Index(
            "ix_execution_recipients_conversation",
            *("organization_id", "conversation_id"),
            postgresql_where="conversation_id IS NOT NULL",
        ),
        sa.Index(
            "ix_execution_recipients_run", "organization_id", "flow_run_id", postgresql_where="flow_run_id IS NOT NULL"
        ),
        belongs_to("flow_executions", "execution_id", ondelete="CASCADE"),
        belongs_to("contacts", "contact_id"),
        within_organization(),
    )

    execution_id: UUID
    contact_id: UUID
    status: RecipientStatus = Field(sa_type=text_enum(RecipientStatus))
    reason: str | None = Field(default=None, max_length=1000)
    attempts: int = 0
    conversation_id: UUID | None = None
    message_id: UUID | None = None
    """The first one that it was sent: what becomes of it becomes of the recipient."""
    flow_run_id: UUID | None = None
    variables: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    due_at: datetime | None = Field(default=None, sa_type=Instant)
    """When it is to begin, be tried again, or may be taken over: the end of the lease. Null: nothing is to be done."""
    epoch: int = 0
    """Raised by each claim; whoever writes what came of one must hold the last one (E4)."""
    updated_at: datetime = Field(sa_type=Instant)
