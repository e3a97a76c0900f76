"""Words by which texts are searched, the functions that search them, and notifications.

Revision ID: search_and_notifications
Revises: attachments
"""

import sqlalchemy as sa
from alembic import op

from migrations.row_security import create_engine_function, open_to_engine, protect

revision = "search_and_notifications"
down_revision = "attachments"
branch_labels = None
depends_on = None

# ------------------------------------------------------------------------------ words: see pytake_gql.kernel.search
KEY = "'o' || right(organization_id::text, 8) || left(id::text, 4)"
MARKS = r"[\u0300-\u036f]+"
BETWEEN = r"[\u0001-/:-@[-`{-\u00bf\u02b0-\u02ff\u2000-\u2bff\u3000-\u303f\ufe00-\ufe0f\U0001f000-\U0001faff]+"


def words(text: str, besides: str = "") -> str:
    plain = f"regexp_replace(normalize({text}, NFD), '{MARKS}', '', 'g')"
    document = f"({KEY}) || regexp_replace({plain}, '{BETWEEN}', ' ' || ({KEY}), 'g'){besides}"
    return f"strip(to_tsvector('simple'::regconfig, {document}))"


DIGITS = "coalesce(substring(phone::text, 2), '')"
WITHOUT_NINTH = rf"regexp_replace({DIGITS}, '^55(\d\d)9(\d{{8}})$', '55\1\2')"
PHONE = [f"right({DIGITS}, {length})" for length in range(4, 16)] + [WITHOUT_NINTH, f"right({WITHOUT_NINTH}, 10)"]
WORDS = {
    "messages": words("text"),
    "conversations": words("subject::text"),
    "contacts": words(
        "coalesce(name, '')::text || ' ' || coalesce(email, '')::text",
        "".join(f" || ' ' || ({KEY}) || {ending}" for ending in PHONE),
    ),
}

# ------------------------------------------------------------------------------------------------------- searching
# What a search reads is bounded, however much there is. It goes back in time by spans (the first four digits of a
# UUIDv7 are 49.7 days), one, then SPANS at once, until the words as they are were found MOST times; what begins
# with them or has their stem is taken along until that was found as often. The newest MOST rows are looked through
# first: what is FREQUENT there is not asked of the index, and older rows do not count. Of several words those that
# every tenth of the FEW newest rows has, COMMON ones, are not asked of the index either: all that begins with one of
# them would be gathered to find the few rows that have the other. They are looked for in the rows that have the rest.
MOST = 2_000
FREQUENT = 200
FEW = 200
COMMON = 20
SPANS = 2

# What the index is asked, with @ for the key: all words, each as it is; or else each as it is, as the beginning of
# one, or by the stem that Portuguese or English gives it. The fold before the Portuguese stem writes what lost its
# accents as the stemmer knows it: coes as ção. A short beginning or stem would fit anything: such words count as they
# are. A quote or a backslash, which the application never sends, cannot end a lexeme.
WANTED = r"""SELECT string_agg('(' || fitting || ')', ' & ') FROM (
    SELECT (
        SELECT string_agg('''@' || replace(replace(replace(form, '@', ''), '\', '\\'), '''', '''''') || ''''
            || CASE WHEN exactly OR length(form) < 3 THEN '' ELSE ':*' END, ' | ')
        FROM unnest(forms) AS form
        WHERE NOT EXISTS (SELECT FROM unnest(forms) AS shorter WHERE shorter <> form AND starts_with(form, shorter))
    ) AS fitting
    FROM unnest(wanted) AS word, LATERAL (SELECT array_agg(form) AS forms FROM (
        SELECT word AS form UNION SELECT translate(stem, 'çã', 'ca') FROM (VALUES
            ((ts_lexize('portuguese_stem',
                regexp_replace(regexp_replace(word, 'c(ao|oes)$', 'ção'), 'oes$', 'ao')))[1]),
            (rtrim((ts_lexize('english_stem', word))[1], 'i'))
        ) AS s (stem) WHERE NOT exactly AND length(stem) > 3
    ) AS f) AS derived
    WHERE word <> ''
) AS words"""


def searching(table: str, answered: str = "id") -> str:
    """The body of the function that searches a table: the organization is the session's, whoever asks."""
    theirs = "t.organization_id = organization"
    rows = f"(SELECT t.{answered} AS answered, t.organization_id, t.words FROM {table} t WHERE t.words IS NOT NULL"
    few = f"(SELECT t.words FROM {table} t WHERE {theirs} ORDER BY t.id DESC LIMIT {FEW})"
    key = "'o' || right(organization::text, 8)"
    return f"""
    DECLARE
        organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
        said text := engine_wanted(wanted, true);
        meant text := engine_wanted(wanted, false);
        newest text := (SELECT left(t.id::text, 4) FROM {table} t WHERE {theirs} ORDER BY t.id DESC LIMIT 1);
        oldest text := (SELECT left(t.id::text, 4) FROM {table} t WHERE {theirs} ORDER BY t.id LIMIT 1);
        upper_ integer := ('x' || newest)::bit(16)::integer;
        lower_ integer;
        spans integer := 1;
        is_known boolean := false;
        has_said integer := 0;
        has_meant integer := 0;
        exactly tsquery;
        loosely tsquery;
        rare text := meant;
        rarely tsquery;
        looked integer;
        hits uuid[];
        hits_exactly integer;
    BEGIN
        IF cardinality(wanted) > 1 THEN
            rare := coalesce((SELECT engine_wanted(array_agg(word), false)
                FROM (SELECT word, replace(engine_wanted(ARRAY[word], false), '@', {key} || newest)::tsquery AS sought
                    FROM unnest(wanted) AS word OFFSET 0) AS w
                WHERE {COMMON} > (SELECT count(*) FROM {few} AS f WHERE f.words @@ sought)), meant);
        END IF;
        WHILE said IS NOT NULL AND upper_ >= ('x' || oldest)::bit(16)::integer LOOP
            lower_ := greatest(upper_ - spans + 1, ('x' || oldest)::bit(16)::integer);
            SELECT string_agg('(' || replace(said, '@', key) || ')', ' | ')::tsquery,
                string_agg('(' || replace(meant, '@', key) || ')', ' | ')::tsquery,
                string_agg('(' || replace(rare, '@', key) || ')', ' | ')::tsquery INTO exactly, loosely, rarely
            FROM generate_series(lower_, upper_) AS span,
                LATERAL (SELECT {key} || lpad(to_hex(span), 4, '0') AS key) AS k;
            IF NOT is_known THEN
                SELECT count(*), array_agg(r.answered) FILTER (WHERE r.words @@ loosely),
                    count(*) FILTER (WHERE r.words @@ exactly) INTO looked, hits, hits_exactly
                FROM (SELECT t.{answered} AS answered, t.words FROM {table} t
                    WHERE {theirs} AND t.id >= rpad(lpad(to_hex(lower_), 4, '0'), 32, '0')::uuid
                    ORDER BY t.id DESC LIMIT {MOST}) AS r;
                is_known := looked = {MOST};
                RETURN QUERY SELECT unnest(hits);
                EXIT WHEN hits_exactly >= {FREQUENT};
                IF cardinality(hits) >= {FREQUENT} THEN has_meant := {MOST}; END IF;
            END IF;
            RETURN QUERY SELECT f.answered FROM {rows} AND t.words @@ exactly LIMIT {MOST}) AS f
                WHERE f.organization_id = organization;
            GET DIAGNOSTICS looked = ROW_COUNT;
            has_said := has_said + looked;
            EXIT WHEN has_said >= {MOST};
            IF has_meant < {MOST} THEN
                SELECT count(*), array_agg(f.answered) FILTER (
                    WHERE f.organization_id = organization AND (rare = meant OR f.words @@ loosely)) INTO looked, hits
                FROM {rows} AND t.words @@ rarely LIMIT {MOST}) AS f;
                RETURN QUERY SELECT unnest(hits);
                has_meant := has_meant + looked;
            END IF;
            upper_ := lower_ - 1;
            spans := least(spans * 2, {SPANS});
        END LOOP;
    END"""


# In the number, the subject, the messages, or the contact.
FOUND_CONVERSATIONS = f"""SELECT engine_found_messages(wanted)
    UNION SELECT engine_found_subjects(wanted)
    UNION SELECT c.id FROM conversations c
        WHERE c.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND c.number = numbered
    UNION (SELECT c.id FROM engine_found_contacts(somebody) AS who
        JOIN conversations c ON c.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
            AND c.contact_id = who
        LIMIT {MOST})"""

SEARCHES = (
    ("engine_found_contacts(wanted text[])", searching("contacts"), "plpgsql"),
    ("engine_found_subjects(wanted text[])", searching("conversations"), "plpgsql"),
    ("engine_found_messages(wanted text[])", searching("messages", "conversation_id"), "plpgsql"),
    ("engine_found_conversations(wanted text[], somebody text[], numbered integer)", FOUND_CONVERSATIONS, "sql"),
)
WANTED_FUNCTION = "engine_wanted(wanted text[], exactly boolean)"
READ_NOTIFICATIONS = "engine_read_notifications(before timestamptz, at_most integer)"


def upgrade() -> None:
    for table, expression in WORDS.items():
        op.execute(f"ALTER TABLE {table} ADD COLUMN words tsvector GENERATED ALWAYS AS ({expression}) STORED")
        partial = " WHERE words IS NOT NULL" if table == "conversations" else ""
        op.execute(f"CREATE INDEX ix_{table}_words ON {table} USING gin (words){partial}")
    _create_notifications()
    protect("notifications")
    open_to_engine("notifications", "organization_id", "read_at")
    open_to_engine("messages", "organization_id", "id", "due_at", "conversation_id", "words")
    open_to_engine("contacts", "organization_id", "id", "words")
    op.execute("GRANT SELECT (contact_id, number, words) ON conversations TO pytake_engine")
    create_engine_function(
        READ_NOTIFICATIONS,
        "SETOF uuid",
        "SELECT DISTINCT n.organization_id FROM notifications n WHERE n.read_at < before LIMIT at_most",
    )
    create_engine_function(WANTED_FUNCTION, "text", WANTED)
    for signature, body, language in SEARCHES:
        create_engine_function(signature, "SETOF uuid", body, language=language)
        # No table of these is ever to be read whole, whatever the statistics say; nor is it worth compiling, or
        # planning anew for each word.
        planned = "SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan"
        op.execute(f"ALTER FUNCTION {signature} ROWS 100 {planned}")


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("channel_id", sa.Uuid(), nullable=True),
        sa.Column("target", sa.String(length=40), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id", "member_id"],
            ["members.organization_id", "members.id"],
            name=op.f("fk_notifications_organization_id_member_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "conversation_id"],
            ["conversations.organization_id", "conversations.id"],
            name=op.f("fk_notifications_organization_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "channel_id"],
            ["channels.organization_id", "channels.id"],
            name=op.f("fk_notifications_organization_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_notifications_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_notifications")),
    )
    newest = ["organization_id", "member_id", "created_at", "id"]
    op.create_index("ix_notifications_newest", "notifications", newest)
    op.create_index("ix_notifications_unread", "notifications", newest, postgresql_where="read_at IS NULL")
    op.create_index("ix_notifications_conversation", "notifications", ["organization_id", "conversation_id"])
    op.create_index("ix_notifications_read_at", "notifications", ["read_at"], postgresql_where="read_at IS NOT NULL")


def downgrade() -> None:
    for signature in (*(signature for signature, _, _ in reversed(SEARCHES)), WANTED_FUNCTION, READ_NOTIFICATIONS):
        op.execute(f"DROP FUNCTION {signature}")
    op.drop_table("notifications")
    op.execute("DROP POLICY engine ON contacts")
    op.execute("REVOKE SELECT (organization_id, id, words) ON contacts FROM pytake_engine")
    op.execute("REVOKE SELECT (conversation_id, words) ON messages FROM pytake_engine")
    op.execute("REVOKE SELECT (contact_id, number, words) ON conversations FROM pytake_engine")
    for table in WORDS:
        op.execute(f"ALTER TABLE {table} DROP COLUMN words")
