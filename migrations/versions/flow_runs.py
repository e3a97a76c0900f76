"""Flows that run in conversations, their steps and effects; which flow greets on a channel.

Revision ID: flow_runs
Revises: flows
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import create_engine_function, open_to_engine, protect

revision = "flow_runs"
down_revision = "flows"
branch_labels = None
depends_on = None

DUE_RUNS = "engine_due_flow_runs(until timestamptz, at_most integer)"
DUE_EFFECTS = "engine_due_flow_effects(until timestamptz, at_most integer)"


def upgrade() -> None:
    op.create_table(
        "flow_runs",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("state", postgresql.JSONB(), nullable=False),
        sa.Column("pinned", postgresql.JSONB(), nullable=False),
        sa.Column("path_length", sa.Integer(), nullable=False),
        sa.Column("unheard", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("is_bulk", sa.Boolean(), nullable=False),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(1000), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id", "conversation_id"],
            ["conversations.organization_id", "conversations.id"],
            name=op.f("fk_flow_runs_organization_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "flow_id"],
            ["flows.organization_id", "flows.id"],
            name=op.f("fk_flow_runs_organization_id_flow_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "version_id"],
            ["flow_versions.organization_id", "flow_versions.id"],
            name=op.f("fk_flow_runs_organization_id_version_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_flow_runs_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_flow_runs")),
    )
    op.create_index("ix_flow_runs_conversation", "flow_runs", ["organization_id", "conversation_id", "id"])
    op.create_index("ix_flow_runs_flow", "flow_runs", ["organization_id", "flow_id", "id"])
    op.create_index("ix_flow_runs_wake", "flow_runs", ["wake_at"], postgresql_where="wake_at IS NOT NULL")
    op.create_index(
        "uq_flow_runs_live",
        "flow_runs",
        ["organization_id", "conversation_id"],
        unique=True,
        postgresql_where="status IN ('RUNNING', 'WAITING')",
    )
    protect("flow_runs")
    open_to_engine("flow_runs", "organization_id", "id", "wake_at")
    create_engine_function(
        DUE_RUNS,
        "TABLE (organization_id uuid, run_id uuid)",
        "SELECT r.organization_id, r.id FROM flow_runs r WHERE r.wake_at <= until ORDER BY r.wake_at LIMIT at_most",
    )
    op.create_table(
        "flow_run_steps",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_by", sa.String(120), nullable=True),
        sa.Column("error", sa.String(1000), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id", "run_id"],
            ["flow_runs.organization_id", "flow_runs.id"],
            name=op.f("fk_flow_run_steps_organization_id_run_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_flow_run_steps_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_flow_run_steps")),
        sa.UniqueConstraint(
            "organization_id", "run_id", "position", name=op.f("uq_flow_run_steps_organization_id_run_id_position")
        ),
    )
    protect("flow_run_steps")
    op.create_table(
        "flow_effects",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("request", postgresql.JSONB(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "run_id"],
            ["flow_runs.organization_id", "flow_runs.id"],
            name=op.f("fk_flow_effects_organization_id_run_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_flow_effects_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_flow_effects")),
        sa.UniqueConstraint(
            "organization_id", "run_id", "number", name=op.f("uq_flow_effects_organization_id_run_id_number")
        ),
    )
    op.create_index("ix_flow_effects_due", "flow_effects", ["due_at"])
    protect("flow_effects")
    open_to_engine("flow_effects", "organization_id", "id", "due_at")
    create_engine_function(
        DUE_EFFECTS,
        "TABLE (organization_id uuid, effect_id uuid)",
        "SELECT e.organization_id, e.id FROM flow_effects e WHERE e.due_at <= until ORDER BY e.due_at LIMIT at_most",
    )
    op.add_column("channels", sa.Column("flow_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_channels_organization_id_flow_id"),
        "channels",
        "flows",
        ["organization_id", "flow_id"],
        ["organization_id", "id"],
    )


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {DUE_EFFECTS}")
    op.execute(f"DROP FUNCTION {DUE_RUNS}")
    op.drop_column("channels", "flow_id")
    op.drop_table("flow_effects")
    op.drop_table("flow_run_steps")
    op.drop_table("flow_runs")
