"""Executions of automations and their recipients.

Revision ID: flow_executions
Revises: flow_automations
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import create_engine_function, open_to_engine, protect

revision = "flow_executions"
down_revision = "flow_automations"
branch_labels = None
depends_on = None

DUE = "engine_due_executions(until timestamptz, at_most integer)"


def upgrade() -> None:
    op.create_table(
        "flow_executions",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("trigger", sa.String(40), nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client_key", sa.String(200), nullable=True),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=True),
        sa.Column("is_dry_run", sa.Boolean(), nullable=False),
        sa.Column("triggered_by_id", sa.Uuid(), nullable=True),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("channel_id", sa.Uuid(), nullable=True),
        sa.Column("snapshot", postgresql.JSONB(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "automation_id"],
            ["flow_automations.organization_id", "flow_automations.id"],
            name=op.f("fk_flow_executions_organization_id_automation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "channel_id"],
            ["channels.organization_id", "channels.id"],
            name=op.f("fk_flow_executions_organization_id_channel_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "triggered_by_id"],
            ["members.organization_id", "members.id"],
            name=op.f("fk_flow_executions_organization_id_triggered_by_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "version_id"],
            ["flow_versions.organization_id", "flow_versions.id"],
            name=op.f("fk_flow_executions_organization_id_version_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_flow_executions_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_flow_executions")),
        sa.UniqueConstraint(
            "organization_id",
            "automation_id",
            "client_key",
            name=op.f("uq_flow_executions_organization_id_automation_id_client_key"),
        ),
    )
    op.create_index(
        "ix_flow_executions_automation", "flow_executions", ["organization_id", "automation_id", "scheduled_for", "id"]
    )
    op.create_index("ix_flow_executions_channel", "flow_executions", ["organization_id", "channel_id"])
    op.create_index("ix_flow_executions_due", "flow_executions", ["due_at"], postgresql_where="due_at IS NOT NULL")
    op.create_index(
        "uq_flow_executions_nominal",
        "flow_executions",
        ["organization_id", "automation_id", "scheduled_for", "trigger"],
        unique=True,
        postgresql_where="trigger <> 'MANUAL'",
    )
    protect("flow_executions")
    open_to_engine("flow_executions", "organization_id", "id", "due_at")
    create_engine_function(
        DUE,
        "TABLE (organization_id uuid, execution_id uuid)",
        "SELECT e.organization_id, e.id FROM flow_executions e WHERE e.due_at <= until ORDER BY e.due_at LIMIT at_most",
    )
    op.create_table(
        "execution_recipients",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("execution_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("variables", postgresql.JSONB(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "contact_id"],
            ["contacts.organization_id", "contacts.id"],
            name=op.f("fk_execution_recipients_organization_id_contact_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "execution_id"],
            ["flow_executions.organization_id", "flow_executions.id"],
            name=op.f("fk_execution_recipients_organization_id_execution_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_execution_recipients_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_execution_recipients")),
        sa.UniqueConstraint(
            "organization_id",
            "execution_id",
            "contact_id",
            name=op.f("uq_execution_recipients_organization_id_execution_id_contact_id"),
        ),
    )
    op.create_index(
        "ix_execution_recipients_due",
        "execution_recipients",
        ["organization_id", "execution_id", "due_at", "id"],
        postgresql_where="due_at IS NOT NULL",
    )
    op.create_index("ix_execution_recipients_contact", "execution_recipients", ["organization_id", "contact_id"])
    op.create_index(
        "ix_execution_recipients_conversation",
        "execution_recipients",
        ["organization_id", "conversation_id"],
        postgresql_where="conversation_id IS NOT NULL",
    )
    op.create_index(
        "ix_execution_recipients_run",
        "execution_recipients",
        ["organization_id", "flow_run_id"],
        postgresql_where="flow_run_id IS NOT NULL",
    )
    op.create_index(
        "ix_execution_recipients_status", "execution_recipients", ["organization_id", "execution_id", "status", "id"]
    )
    protect("execution_recipients")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {DUE}")
    op.drop_table("execution_recipients")
    op.drop_table("flow_executions")
