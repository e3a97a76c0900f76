"""Tags, custom fields, the canonical phone key, merged and erased contacts.

Revision ID: contacts
Revises: search_and_notifications
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import ENGINE_ROLE, create_engine_function, open_to_engine, protect

revision = "contacts"
down_revision = "search_and_notifications"
branch_labels = None
depends_on = None

TABLES = ("tags", "contact_attributes", "contact_tags", "conversation_tags", "contact_redirects")

FUNCTION = (
    # Of the current organization only. Containment is not leakproof: below a policy it would not use its index. Found
    # first and cut then, for a planner that sees the limit might rather walk the table.
    "engine_contacts_with(wanted jsonb, at_most integer)",
    "SETOF uuid",
    """WITH found AS MATERIALIZED (
        SELECT c.id FROM contacts c
        WHERE c.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
          AND c.attributes @> wanted)
    SELECT id FROM found LIMIT at_most""",
)

# Contacts that members made have no identity. Of several with one number the oldest keeps it.
PHONE_KEYS = """
WITH keyed AS (
    SELECT organization_id, id, created_at,
           regexp_replace(phone, '^\\+55([1-9]{2})([6-9][0-9]{7})$', '+55\\19\\2') AS phone_key
    FROM contacts c
    WHERE phone IS NOT NULL AND NOT EXISTS (
        SELECT FROM contact_identities i WHERE i.organization_id = c.organization_id AND i.contact_id = c.id)
), first AS (
    SELECT DISTINCT ON (organization_id, phone_key) organization_id, id, phone_key
    FROM keyed ORDER BY organization_id, phone_key, created_at, id
)
UPDATE contacts c SET phone_key = first.phone_key FROM first
WHERE c.organization_id = first.organization_id AND c.id = first.id
"""


def _table(name: str, *columns: sa.Column, unique: tuple[str, ...] = (), parents: dict[str, str] | None = None) -> None:
    keyed = ("organization_id", *unique)
    keys = [
        sa.ForeignKeyConstraint(
            ["organization_id", column],
            [f"{parent}.organization_id", f"{parent}.id"],
            name=op.f(f"fk_{name}_organization_id_{column}"),
            ondelete="CASCADE",
        )
        for column, parent in (parents or {}).items()
    ]
    op.create_table(
        name,
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        *columns,
        *keys,
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f(f"fk_{name}_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f(f"pk_{name}")),
        *([sa.UniqueConstraint(*keyed, name=op.f(f"uq_{name}_{'_'.join(keyed)}"))] if unique else ()),
    )


def _id(name: str) -> sa.Column:
    return sa.Column(name, sa.Uuid(), nullable=False)


def upgrade() -> None:
    _table(
        "tags",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("name_key", sa.String(length=600), nullable=False),
        sa.Column("color", sa.String(length=7), nullable=False),
        unique=("name_key",),
    )
    _table(
        "contact_attributes",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("choices", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        unique=("key",),
    )
    for owner in ("contact", "conversation"):
        _table(
            f"{owner}_tags",
            _id(f"{owner}_id"),
            _id("tag_id"),
            unique=(f"{owner}_id", "tag_id"),
            parents={f"{owner}_id": f"{owner}s", "tag_id": "tags"},
        )
        op.create_index(f"ix_{owner}_tags_tag", f"{owner}_tags", ["organization_id", "tag_id", f"{owner}_id"])
    _table("contact_redirects", _id("contact_id"), parents={"contact_id": "contacts"})
    op.create_index("ix_contact_redirects_contact", "contact_redirects", ["organization_id", "contact_id"])
    for table in TABLES:
        protect(table)

    op.add_column("contacts", sa.Column("phone_key", sa.String(length=32), nullable=True))
    op.add_column("contacts", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    # The owner, too, sees no row while the policies are forced.
    for force in ("NO FORCE", "FORCE"):
        for table in ("contacts", "contact_identities"):
            op.execute(f"ALTER TABLE {table} {force} ROW LEVEL SECURITY")
        if force == "NO FORCE":
            op.execute(PHONE_KEYS)
    op.create_index(
        "uq_contacts_phone_key",
        "contacts",
        ["organization_id", "phone_key"],
        unique=True,
        postgresql_where=sa.text("phone_key IS NOT NULL"),
    )
    op.create_index(
        "ix_contacts_email", "contacts", ["organization_id", "email"], postgresql_where=sa.text("email IS NOT NULL")
    )
    op.create_index(
        "ix_contacts_attributes",
        "contacts",
        ["attributes"],
        postgresql_using="gin",
        postgresql_ops={"attributes": "jsonb_path_ops"},
    )
    open_to_engine("contacts", "organization_id", "id", "attributes")
    create_engine_function(*FUNCTION)


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {FUNCTION[0]}")
    op.execute(f"REVOKE SELECT (attributes) ON contacts FROM {ENGINE_ROLE}")
    for index in ("ix_contacts_attributes", "ix_contacts_email", "uq_contacts_phone_key"):
        op.drop_index(index, table_name="contacts")
    op.drop_column("contacts", "erased_at")
    op.drop_column("contacts", "phone_key")
    for table in reversed(TABLES):
        op.drop_table(table)
