"""Attachments and their discarded files; canned responses.

Revision ID: attachments
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from migrations.row_security import API_ROLE, ENGINE_ROLE, create_engine_function, open_to_engine, protect

revision = "attachments"
down_revision = "0002"
branch_labels = None
depends_on = None

UNSENT = "engine_unsent_attachments(until timestamptz, at_most integer)"


def upgrade() -> None:
    op.add_column("messages", sa.Column("has_attachments", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("messages", "has_attachments", server_default=None)
    op.create_table(
        "attachments",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("uploaded_by", sa.String(length=300), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=True),
        sa.Column("mime_type", sa.String(length=120), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("storage_key", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("message_id IS NULL OR storage_key IS NOT NULL", name="sent_is_uploaded"),
        sa.CheckConstraint("(message_id IS NULL) = (conversation_id IS NULL)", name="sent_somewhere"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["organization_id", "conversation_id"],
            ["conversations.organization_id", "conversations.id"],
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "message_id"], ["messages.organization_id", "messages.id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("ix_attachments_message", "attachments", ["organization_id", "message_id", "position"])
    op.create_index("ix_attachments_conversation", "attachments", ["organization_id", "conversation_id"])
    op.create_index(
        "ix_attachments_uploader",
        "attachments",
        ["organization_id", "uploaded_by"],
        postgresql_where=sa.text("message_id IS NULL"),
    )
    op.create_index(
        "ix_attachments_unsent", "attachments", ["expires_at"], postgresql_where=sa.text("message_id IS NULL")
    )
    op.create_table(
        "discarded_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("attachment_id", sa.Uuid(), nullable=False),
        sa.Column("storage_key", sa.String(length=200), nullable=True),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_discarded_files_discarded_at", "discarded_files", ["discarded_at"])
    op.create_table(
        "canned_responses",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("shortcut", sa.String(length=60), nullable=False),
        sa.Column("shortcut_key", sa.String(length=120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sa.UniqueConstraint("organization_id", "shortcut_key"),
    )
    protect("attachments")
    protect("canned_responses")
    open_to_engine("attachments", "organization_id", "message_id", "expires_at")
    create_engine_function(
        UNSENT,
        "SETOF uuid",
        """SELECT DISTINCT a.organization_id FROM attachments a
        WHERE a.message_id IS NULL AND a.expires_at <= until LIMIT at_most""",
    )
    _discard_files_of_deleted_rows()


def _discard_files_of_deleted_rows() -> None:
    """Whatever deletes an attachment (a sweep, a conversation, the organization) leaves a note to delete its file."""
    op.execute(f"GRANT SELECT, DELETE ON discarded_files TO {API_ROLE}")
    op.execute(f"GRANT INSERT ON discarded_files TO {ENGINE_ROLE}")
    op.execute(
        """CREATE FUNCTION engine_discard_file() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public, pg_temp AS $body$ BEGIN
        INSERT INTO discarded_files (id, organization_id, attachment_id, storage_key, discarded_at)
        VALUES (gen_random_uuid(), OLD.organization_id, OLD.id, OLD.storage_key, now());
        RETURN NULL;
        END $body$"""
    )
    op.execute(f"GRANT CREATE ON SCHEMA public TO {ENGINE_ROLE}")
    op.execute(f"ALTER FUNCTION engine_discard_file() OWNER TO {ENGINE_ROLE}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {ENGINE_ROLE}")
    op.execute("REVOKE ALL ON FUNCTION engine_discard_file() FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION engine_discard_file() TO {API_ROLE}")
    op.execute(
        "CREATE TRIGGER discard_file AFTER DELETE ON attachments FOR EACH ROW EXECUTE FUNCTION engine_discard_file()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER discard_file ON attachments")
    op.execute("DROP FUNCTION engine_discard_file()")
    op.execute(f"DROP FUNCTION {UNSENT}")
    op.drop_table("canned_responses")
    op.drop_table("discarded_files")
    op.drop_table("attachments")
    op.drop_column("messages", "has_attachments")
