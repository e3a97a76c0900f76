"""Alembic's entry: a connection is handed over by `pytake_gql.migration`."""

from alembic import context
from sqlmodel import SQLModel

import pytake_gql.models

assert pytake_gql.models  # noqa: S101 - the import fills the metadata


def run() -> None:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=SQLModel.metadata,
        compare_type=True,
        compare_server_default=False,
        user_module_prefix="db.",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
