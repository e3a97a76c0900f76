"""WhatsApp and Instagram: message templates, chosen options, and when a contact last wrote.

Revision ID: meta
Revises: contacts
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import protect

revision = "meta"
down_revision = "contacts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact_identities", sa.Column("last_wrote_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("chosen", sa.String(1000), nullable=True))
    op.add_column("messages", sa.Column("template", JSONB(), nullable=True))
    op.alter_column("messages", "provider_message_id", type_=sa.String(500))
    op.create_table(
        "message_templates",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("language", sa.String(40), nullable=False),
        sa.Column("category", sa.String(40), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("placeholders", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "channel_id"],
            ["channels.organization_id", "channels.id"],
            name=op.f("fk_message_templates_organization_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_message_templates_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_message_templates")),
        sa.UniqueConstraint(
            *("organization_id", "channel_id", "name", "language"),
            name=op.f("uq_message_templates_organization_id_channel_id_name_language"),
        ),
    )
    protect("message_templates")


def downgrade() -> None:
    op.drop_table("message_templates")
    op.execute("UPDATE messages SET provider_message_id = NULL WHERE length(provider_message_id) > 200")
    op.alter_column("messages", "provider_message_id", type_=sa.String(200))
    op.drop_column("messages", "template")
    op.drop_column("messages", "chosen")
    op.drop_column("contact_identities", "last_wrote_at")
