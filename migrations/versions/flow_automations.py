"""Automations and the exceptions of their schedules.

Revision ID: flow_automations
Revises: flow_runs
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import create_engine_function, open_to_engine, protect

revision = "flow_automations"
down_revision = "flow_runs"
branch_labels = None
depends_on = None


DUE = "engine_due_automations(until timestamptz, at_most integer)"
DUE_FAIRLY = "engine_due_automations_fairly(until timestamptz, of_each integer)"
NEXT = "engine_next_firing()"

_DUE = """
    SELECT a.organization_id, a.id FROM flow_automations a
    WHERE a.next_firing_at <= until ORDER BY a.next_firing_at, a.id LIMIT at_most
"""
# One step along the index for each organization, then the first few of each.
_DUE_FAIRLY = """
    WITH RECURSIVE of AS (
        (SELECT a.organization_id FROM flow_automations a WHERE a.next_firing_at IS NOT NULL
         ORDER BY a.organization_id LIMIT 1)
        UNION ALL
        SELECT (SELECT a.organization_id FROM flow_automations a
                WHERE a.next_firing_at IS NOT NULL AND a.organization_id > of.organization_id
                ORDER BY a.organization_id LIMIT 1)
        FROM of WHERE of.organization_id IS NOT NULL
    )
    SELECT of.organization_id, due.id FROM of CROSS JOIN LATERAL (
        SELECT a.id FROM flow_automations a
        WHERE a.organization_id = of.organization_id AND a.next_firing_at <= until
        ORDER BY a.next_firing_at, a.id LIMIT of_each
    ) due
"""


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
        sa.Column("anchored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active_since", sa.DateTime(timezone=True), nullable=True),
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
    op.create_index(
        "ix_flow_automations_due",
        "flow_automations",
        ["organization_id", "next_firing_at", "id"],
        postgresql_where="next_firing_at IS NOT NULL",
    )
    op.create_index("ix_flow_automations_newest", "flow_automations", ["organization_id", "created_at", "id"])
    op.create_index("ix_flow_automations_flow", "flow_automations", ["organization_id", "flow_id"])
    protect("flow_automations")
    open_to_engine("flow_automations", "organization_id", "id", "next_firing_at")
    create_engine_function(DUE, "TABLE (organization_id uuid, automation_id uuid)", _DUE)
    create_engine_function(DUE_FAIRLY, "TABLE (organization_id uuid, automation_id uuid)", _DUE_FAIRLY)
    create_engine_function(NEXT, "timestamptz", "SELECT min(next_firing_at) FROM flow_automations")
    for function in (DUE, DUE_FAIRLY):
        # With stale statistics and a long backlog the planner sorts all of it instead of walking the index (E2).
        op.execute(f"ALTER FUNCTION {function} SET enable_seqscan = off")
        op.execute(f"ALTER FUNCTION {function} SET enable_bitmapscan = off")
        op.execute(f"ALTER FUNCTION {function} SET enable_sort = off")
    # Apart from our own functions: it brings hundreds.
    op.execute("CREATE SCHEMA extensions")
    op.execute("CREATE EXTENSION btree_gist SCHEMA extensions")
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
        postgresql.ExcludeConstraint(
            (sa.column("organization_id"), "="),
            (sa.column("automation_id"), "="),
            (sa.text("daterange(starts_on, ends_on, '[]')"), "&&"),
            name="ex_schedule_exceptions_apart",
        ),
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
    op.execute("DROP EXTENSION btree_gist")
    op.execute("DROP SCHEMA extensions")
    for function in (DUE, DUE_FAIRLY, NEXT):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_table("flow_automations")
