"""A real PostgreSQL 18 and a real Valkey for development and tests, from the wheels of the extra [dev].

The servers outlive whoever starts them: the next one that asks for the same state directory gets the same
servers. Every function blocks, and raises EmbeddedServerError with a sentence that says what failed. Nothing
here reads the environment. Linux only.
"""

from dataclasses import dataclass
from pathlib import Path

from pytake_gql.embedded.directory import default_state_directory
from pytake_gql.embedded.errors import EmbeddedServerError
from pytake_gql.embedded.postgres import Postgres
from pytake_gql.embedded.supervisor import Server
from pytake_gql.embedded.valkey import Valkey

__all__ = [
    "EmbeddedServerError",
    "Running",
    "Server",
    "default_state_directory",
    "ensure_postgres",
    "ensure_valkey",
    "reset",
    "running",
    "stop",
]


@dataclass(frozen=True, slots=True)
class Running:
    """What answers now."""

    postgres: Server | None
    valkey: Server | None


def ensure_postgres(state: Path, *, durable: bool = True) -> Server:
    """Give the PostgreSQL of this state directory, with a database `pytake`, started unless it runs.

    Not durable, for tests: a kill -9 may lose the last commits, a crash of the machine everything.
    """
    return Postgres(state).ensure(durable=durable)


def ensure_valkey(state: Path, *, durable: bool = True) -> Server:
    """Give the Valkey of this state directory, started unless it runs.

    Not durable, for tests: it always starts empty.
    """
    return Valkey(state).ensure(durable=durable)


def running(state: Path) -> Running:
    """Start nothing and wait for nothing: a server that is just starting or stopping does not run."""
    return Running(Postgres(state).running(), Valkey(state).running())


def stop(state: Path) -> None:
    """Stop both. The data stay, and so do the ports and the passwords."""
    Postgres(state).stop()
    Valkey(state).stop()


def reset(state: Path) -> None:
    """Stop both and remove their data, passwords and logs."""
    Postgres(state).reset()
    Valkey(state).reset()
