"""The third lock on a tenant table: forced row-level security (house.md §3). Each migration that adds one calls it."""

from alembic import op

API_ROLE = "pytake_api"
ENGINE_ROLE = "pytake_engine"

_CURRENT = "(SELECT nullif(current_setting('app.organization_id', true), '')::uuid)"


def protect(table: str, *, column: str = "organization_id", privileges: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Only the current organization's rows, for the owner too; the application's role gets the privileges."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} USING ({column} = {_CURRENT}) WITH CHECK ({column} = {_CURRENT})")
    op.execute(f"GRANT {privileges} ON {table} TO {API_ROLE}")


def open_to_engine(table: str, *columns: str) -> None:
    """Lets the engine's functions read these columns across organizations."""
    op.execute(f"GRANT SELECT ({', '.join(columns)}) ON {table} TO {ENGINE_ROLE}")
    op.execute(f"DROP POLICY IF EXISTS engine ON {table}")
    op.execute(f"CREATE POLICY engine ON {table} FOR SELECT TO {ENGINE_ROLE} USING (true)")


def create_engine_function(signature: str, returns: str, body: str, *, language: str = "sql") -> None:
    """A SECURITY DEFINER function of the narrow role that owns nothing else; the API's role may call it."""
    op.execute(
        f"CREATE FUNCTION {signature} RETURNS {returns} LANGUAGE {language} STABLE SECURITY DEFINER "
        f"SET search_path = public, pg_temp AS $body$ {body} $body$"
    )
    op.execute(f"GRANT CREATE ON SCHEMA public TO {ENGINE_ROLE}")
    op.execute(f"ALTER FUNCTION {signature} OWNER TO {ENGINE_ROLE}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {ENGINE_ROLE}")
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {API_ROLE}")
