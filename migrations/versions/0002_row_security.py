"""Roles, policies, and the functions that work across organizations.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

from migrations.row_security import (
    API_ROLE,
    ENGINE_ROLE,
    create_engine_function,
    open_to_engine,
    protect,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "channels",
    "contact_identities",
    "contacts",
    "conversation_counters",
    "conversations",
    "data_keys",
    "departments",
    "frontends",
    "idempotency_keys",
    "invitations",
    "member_skills",
    "members",
    "messages",
    "queue_members",
    "queue_skills",
    "queues",
    "routing_decisions",
    "skills",
    "sla_clocks",
    "sla_policies",
    "timeline_entries",
)
# Of accounts and mails, which belong to persons, not to organizations.
GLOBAL_TABLES = ("accounts", "mails", "password_resets", "refresh_tokens", "sessions")

FUNCTIONS = (
    (
        # In which somebody waits while somebody who is at work has a slot free: what routing may change (D16).
        "engine_routable_queues(present_since timestamptz, at_most integer)",
        "TABLE (organization_id uuid, queue_id uuid)",
        """SELECT q.organization_id, q.id FROM queues q
        WHERE q.auto_assign AND q.routing_strategy <> 'MANUAL'
          AND EXISTS (SELECT FROM conversations c WHERE c.organization_id = q.organization_id AND c.queue_id = q.id
                      AND c.status = 'QUEUED')
          AND EXISTS (SELECT FROM queue_members s JOIN members m ON m.organization_id = s.organization_id
                      AND m.id = s.member_id WHERE s.organization_id = q.organization_id AND s.queue_id = q.id
                      AND m.is_active AND m.removed_at IS NULL AND m.availability = 'ONLINE' AND m.load < m.capacity
                      AND m.last_seen_at > present_since)
        ORDER BY q.organization_id, q.priority DESC LIMIT at_most""",
    ),
    (
        "engine_memberships(of_account uuid)",
        "TABLE (organization_id uuid, member_id uuid)",
        """SELECT m.organization_id, m.id FROM members m JOIN organizations o ON o.id = m.organization_id
        WHERE m.account_id = of_account AND m.is_active AND m.removed_at IS NULL AND o.is_active
        ORDER BY m.organization_id""",
    ),
    (
        "engine_authority(of_session uuid)",
        """TABLE (account_id uuid, organization_id uuid, home_organization_id uuid, member_id uuid, role text,
        scope text, name text, locale text)""",
        """SELECT s.account_id, s.organization_id, s.home_organization_id, s.member_id, m.role::text,
               m.conversation_scope::text, m.name::text, o.locale::text
        FROM sessions s
        JOIN members m ON m.organization_id = s.home_organization_id AND m.id = s.member_id
        JOIN organizations h ON h.id = s.home_organization_id
        JOIN organizations o ON o.id = s.organization_id
        WHERE s.id = of_session AND s.ended_at IS NULL AND m.is_active AND m.removed_at IS NULL AND h.is_active
          AND (s.organization_id = s.home_organization_id OR m.role = 'SUPER_ADMIN')""",
    ),
    (
        "engine_channel_organization(of_channel uuid)",
        "uuid",
        """SELECT c.organization_id FROM channels c JOIN organizations o ON o.id = c.organization_id
        WHERE c.id = of_channel AND o.is_active""",
    ),
    (
        "engine_invitation(of_token bytea)",
        "TABLE (organization_id uuid, invitation_id uuid)",
        """SELECT i.organization_id, i.id FROM invitations i JOIN organizations o ON o.id = i.organization_id
        WHERE i.token_hash = of_token AND o.is_active""",
    ),
    (
        "engine_origin_organizations(of_origin text)",
        "SETOF uuid",
        """SELECT f.organization_id FROM frontends f JOIN organizations o ON o.id = f.organization_id
        WHERE f.origin = of_origin AND f.is_active AND o.is_active""",
    ),
    (
        "engine_organizations(among uuid[])",
        """TABLE (id uuid, name text, slug text, logo_url text, timezone text, locale text, holiday_region text,
        opening_hours jsonb, is_active boolean, created_at timestamptz)""",
        """SELECT o.id, o.name::text, o.slug::text, o.logo_url::text, o.timezone::text, o.locale::text,
               o.holiday_region::text, o.opening_hours, o.is_active, o.created_at
        FROM organizations o WHERE among IS NULL OR o.id = ANY (among)""",
    ),
    (
        "engine_expired_idempotency_keys(before timestamptz, at_most integer)",
        "SETOF uuid",
        """SELECT DISTINCT k.organization_id FROM idempotency_keys k WHERE k.created_at < before LIMIT at_most""",
    ),
    (
        "engine_due_messages(until timestamptz, at_most integer)",
        "TABLE (organization_id uuid, message_id uuid)",
        """SELECT m.organization_id, m.id FROM messages m WHERE m.due_at <= until ORDER BY m.due_at LIMIT at_most""",
    ),
    (
        "engine_due_sla_clocks(until timestamptz, at_most integer)",
        "TABLE (organization_id uuid, conversation_id uuid)",
        """SELECT c.organization_id, c.conversation_id FROM sla_clocks c
        WHERE c.due_at < until AND c.running_since IS NOT NULL AND c.breached_at IS NULL
        ORDER BY c.due_at LIMIT at_most""",
    ),
    (
        "engine_due_snoozes(until timestamptz, at_most integer)",
        "TABLE (organization_id uuid, conversation_id uuid)",
        """SELECT c.organization_id, c.id FROM conversations c
        WHERE c.status = 'SNOOZED' AND c.snoozed_until <= until ORDER BY c.snoozed_until LIMIT at_most""",
    ),
    (
        "engine_lost_members(until timestamptz, at_most integer)",
        "TABLE (organization_id uuid, member_id uuid)",
        """SELECT m.organization_id, m.id FROM members m
        WHERE m.availability <> 'OFFLINE' AND m.lost_at <= until ORDER BY m.lost_at LIMIT at_most""",
    ),
)


def upgrade() -> None:
    for role in (API_ROLE, ENGINE_ROLE):
        op.execute(
            f"""DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END $$"""
        )
        op.execute(f"GRANT {role} TO CURRENT_USER")
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    for table in TENANT_TABLES:
        protect(table)
    protect("organizations", column="id")
    protect("audit_entries", privileges="SELECT, INSERT")
    for table in GLOBAL_TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {API_ROLE}")
    op.execute(f"GRANT SELECT ON alembic_version TO {API_ROLE}")

    open_to_engine(
        "organizations",
        *("id", "name", "slug", "logo_url", "timezone", "locale", "holiday_region", "opening_hours"),
        *("is_active", "created_at"),
    )
    open_to_engine(
        "members",
        *(
            "organization_id",
            "last_seen_at",
            "capacity",
            "load",
            "availability",
            "lost_at",
            "id",
            "account_id",
            "role",
            "is_active",
            "removed_at",
            "conversation_scope",
            "name",
        ),
    )
    op.execute(
        "GRANT SELECT (id, account_id, organization_id, home_organization_id, member_id, ended_at) "
        f"ON sessions TO {ENGINE_ROLE}"
    )
    open_to_engine("queues", "organization_id", "id", "auto_assign", "routing_strategy", "priority")
    open_to_engine("queue_members", "organization_id", "queue_id", "member_id")
    open_to_engine("conversations", "organization_id", "id", "queue_id", "status", "snoozed_until")
    open_to_engine("channels", "organization_id", "id")
    open_to_engine("invitations", "organization_id", "id", "token_hash")
    open_to_engine("frontends", "organization_id", "origin", "is_active")
    open_to_engine("messages", "organization_id", "id", "due_at")
    open_to_engine("sla_clocks", "organization_id", "conversation_id", "due_at", "running_since", "breached_at")
    open_to_engine("idempotency_keys", "organization_id", "created_at")
    for signature, returns, body in FUNCTIONS:
        create_engine_function(signature, returns, body)


def downgrade() -> None:
    for signature, _, _ in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
    for table in (*TENANT_TABLES, "organizations", "audit_entries"):
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"DROP POLICY IF EXISTS engine ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for role in (API_ROLE, ENGINE_ROLE):
        # Other databases of the server may know the role: only what it has here goes.
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
