from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from pytake_gql.automation.flows.kinds import FlowNodeKind, FlowRunStatus
from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization

LIVE = "status IN ('RUNNING', 'WAITING')"
LONGEST_ERROR = 1000


class FlowRun(TenantModel, table=True):
    """A flow that speaks, or spoke, in a conversation. It keeps the version that it began with (F5)."""

    __tablename__ = "flow_runs"
    __table_args__ = (
        sa.Index("uq_flow_runs_live", "organization_id", "conversation_id", unique=True, postgresql_where=LIVE),
        sa.Index("ix_flow_runs_conversation", "organization_id", "conversation_id", "id"),
        sa.Index("ix_flow_runs_flow", "organization_id", "flow_id", "id"),
        sa.Index("ix_flow_runs_wake", "wake_at", postgresql_where="wake_at IS NOT NULL"),
        belongs_to("flows", "flow_id"),
        belongs_to("flow_versions", "version_id"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        within_organization(),
    )

    flow_id: UUID
    version_id: UUID
    conversation_id: UUID
    status: FlowRunStatus = Field(sa_type=text_enum(FlowRunStatus))
    state: dict[str, Any] = Field(sa_type=JSONB)
    """The engine's: where it stands, its variables and its counters."""
    pinned: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    """The version of each flow that it may come to by a JUMP, by flow: those of the moment that it began (F5)."""
    path_length: int = 0
    """How many nodes it has entered: the position of its last step."""
    unheard: list[int] = Field(default_factory=list, sa_type=ARRAY(sa.Integer))
    """The seqs of what the contact wrote meanwhile: each waits its turn (F2)."""
    is_bulk: bool = False
    """Whether a campaign began it: what it says unasked never delays an agent's message (E11)."""
    wake_at: datetime | None = Field(default=None, sa_type=Instant)
    """When a worker is to take its next step: its timer, or at once. Null: something else has to happen first."""
    error: str | None = Field(default=None, max_length=LONGEST_ERROR)
    started_at: datetime = Field(sa_type=Instant)
    finished_at: datetime | None = Field(default=None, sa_type=Instant)


class FlowRunStep(TenantModel, table=True):
    """A node that a run passed, in order of `position`."""

    __tablename__ = "flow_run_steps"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "run_id", "position"),
        belongs_to("flow_runs", "run_id", ondelete="CASCADE"),
        within_organization(),
    )

    run_id: UUID
    position: int
    node_id: str = Field(max_length=120)
    kind: FlowNodeKind = Field(sa_type=text_enum(FlowNodeKind))
    entered_at: datetime = Field(sa_type=Instant)
    left_by: str | None = Field(default=None, max_length=120)
    error: str | None = Field(default=None, max_length=LONGEST_ERROR)


class FlowEffectKind(StrEnum):
    """What is asked of the outside world."""

    CALL_API = "CALL_API"
    ASK_AI = "ASK_AI"


class FlowEffect(TenantModel, table=True):
    """Something that a worker does for a run between two steps, once; gone when its outcome was taken."""

    __tablename__ = "flow_effects"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "run_id", "number"),
        sa.Index("ix_flow_effects_due", "due_at"),
        belongs_to("flow_runs", "run_id", ondelete="CASCADE"),
        within_organization(),
    )

    run_id: UUID
    number: int
    kind: FlowEffectKind = Field(sa_type=text_enum(FlowEffectKind))
    request: dict[str, Any] = Field(sa_type=JSONB)
    due_at: datetime = Field(sa_type=Instant)
    """When a worker is to do it, or may take it over: the end of the lease."""
    epoch: int = 0
    attempts: int = 0
