"""Media through providers: files that are still to be fetched, and how much of a message was sent.

Revision ID: media
Revises: meta
"""

import sqlalchemy as sa
from alembic import op

from migrations.row_security import create_engine_function, open_to_engine, protect

revision = "media"
down_revision = "meta"
branch_labels = None
depends_on = None

DUE = "engine_due_media(until timestamptz, at_most integer)"


def upgrade() -> None:
    op.add_column("messages", sa.Column("parts_sent", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("messages", "parts_sent", server_default=None)
    op.create_table(
        "due_media",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("mime_type", sa.String(200), nullable=True),
        sa.Column("file_name", sa.String(1000), nullable=True),
        sa.Column("caption", sa.String(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                ["organization_id", f"{parent}_id"],
                [f"{parent}s.organization_id", f"{parent}s.id"],
                name=op.f(f"fk_due_media_organization_id_{parent}_id"),
                ondelete="CASCADE",
            )
            for parent in ("message", "conversation", "channel")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_due_media_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_due_media")),
    )
    op.create_index("ix_due_media_due", "due_media", ["due_at"])
    op.create_index("ix_due_media_message", "due_media", ["organization_id", "message_id"])
    op.create_index("ix_due_media_conversation", "due_media", ["organization_id", "conversation_id"])
    protect("due_media")
    open_to_engine("due_media", "organization_id", "id", "due_at")
    create_engine_function(
        DUE,
        "TABLE (organization_id uuid, medium_id uuid)",
        "SELECT d.organization_id, d.id FROM due_media d WHERE d.due_at <= until ORDER BY d.due_at LIMIT at_most",
    )


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {DUE}")
    op.drop_table("due_media")
    op.drop_column("messages", "parts_sent")
