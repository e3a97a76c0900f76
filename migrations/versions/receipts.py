"""What providers are still to be told: how far conversations were read. And what failed and why, for admins.

Revision ID: receipts
Revises: flow_executions
"""

import sqlalchemy as sa
from alembic import op

from migrations.row_security import create_engine_function, open_to_engine, protect

revision = "receipts"
down_revision = "flow_executions"
branch_labels = None
depends_on = None

DUE = "engine_due_receipts(until timestamptz, at_most integer)"


def upgrade() -> None:
    op.add_column("notifications", sa.Column("reason", sa.String(1000), nullable=True))
    op.add_column("notifications", sa.Column("flow_automation_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_notifications_organization_id_flow_automation_id"),
        "notifications",
        "flow_automations",
        ["organization_id", "flow_automation_id"],
        ["organization_id", "id"],
        ondelete="CASCADE",
    )
    op.create_table(
        "due_receipts",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                ["organization_id", f"{parent}_id"],
                [f"{parent}s.organization_id", f"{parent}s.id"],
                name=op.f(f"fk_due_receipts_organization_id_{parent}_id"),
                ondelete="CASCADE",
            )
            for parent in ("message", "conversation", "channel")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_due_receipts_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_due_receipts")),
    )
    op.create_index("ix_due_receipts_due", "due_receipts", ["due_at"])
    op.create_index("ix_due_receipts_message", "due_receipts", ["organization_id", "message_id"])
    protect("due_receipts")
    open_to_engine("due_receipts", "organization_id", "id", "due_at")
    create_engine_function(
        DUE,
        "TABLE (organization_id uuid, conversation_id uuid)",
        "SELECT d.organization_id, d.id FROM due_receipts d WHERE d.due_at <= until ORDER BY d.due_at LIMIT at_most",
    )


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {DUE}")
    op.drop_table("due_receipts")
    op.drop_column("notifications", "flow_automation_id")
    op.drop_column("notifications", "reason")
