"""Automations and the exceptions of their schedules.

Revision ID: flow_automations
Revises: flow_runs
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import protect

revision = "flow_automations"
down_revision = "flow_runs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flow_automations",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.String(1000), nullable=True),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("status_reason", sa.String(1000), nullable=True),
        sa.Column("schedule", postgresql.JSONB(), nullable=True),
        sa.Column("audience", postgresql.JSONB(), nullable=False),
        sa.Column("variables", postgresql.JSONB(), nullable=False),
        sa.Column("max_concurrent", sa.Integer(), nullable=False),
        sa.Column("rate_per_minute", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("pause_on_failure", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_firing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_nominal_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_nominal_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_fired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id", "channel_id"],
            ["channels.organization_id", "channels.id"],
            name=op.f("fk_flow_automations_organization_id_channel_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "flow_id"],
            ["flows.organization_id", "flows.id"],
            name=op.f("fk_flow_automations_organization_id_flow_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_flow_automations_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_flow_automations")),
    )
    op.create_index("ix_flow_automations_channel", "flow_automations", ["organization_id", "channel_id"])
    op.create_index(
        "ix_flow_automations_firing",
        "flow_automations",
        ["next_firing_at", "id"],
        postgresql_where="next_firing_at IS NOT NULL",
    )
    op.create_index("ix_flow_automations_flow", "flow_automations", ["organization_id", "flow_id"])
    protect("flow_automations")
    op.create_table(
        "schedule_exceptions",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("starts_on <= ends_on", name=op.f("ck_schedule_exceptions_in_order")),
        sa.ForeignKeyConstraint(
            ["organization_id", "automation_id"],
            ["flow_automations.organization_id", "flow_automations.id"],
            name=op.f("fk_schedule_exceptions_organization_id_automation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_schedule_exceptions_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_schedule_exceptions")),
    )
    op.create_index(
        "ix_schedule_exceptions_automation", "schedule_exceptions", ["organization_id", "automation_id", "starts_on"]
    )
    protect("schedule_exceptions")


def downgrade() -> None:
    op.drop_table("schedule_exceptions")
    op.drop_table("flow_automations")
