"""Lends a PostgreSQL and a Redis to whoever develops without servers of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytake_gql import embedded

_CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Lent:
    """`environment` holds both addresses; `is_ours` says that a server stands in `state` for want of one."""

    environment: Mapping[str, str]
    state: Path
    is_ours: bool


def state_directory(environment: Mapping[str, str]) -> Path:
    """Where this checkout's embedded servers keep their data."""
    home, state_home = environment.get("HOME"), environment.get("XDG_STATE_HOME")
    return embedded.default_state_directory(
        _CHECKOUT,
        home=Path(home) if home else None,
        state_home=Path(state_home) if state_home else None,
    )


def lend(environment: Mapping[str, str], state: Path | None = None) -> Lent:
    """Adds the address of an embedded server for each one that development does not name.

    Each address is decided alone, and one that is named is taken as it is, good or bad. Production gets nothing.
    """
    state = state or state_directory(environment)
    if environment.get("PYTAKE_ENV", "development") != "development":
        return Lent(environment, state, is_ours=False)
    lent: dict[str, str] = {}
    if not environment.get("DATABASE_URL"):
        lent["DATABASE_URL"] = embedded.ensure_postgres(state).url
    if not environment.get("REDIS_URL"):
        lent["REDIS_URL"] = embedded.ensure_valkey(state).url
    return Lent({**environment, **lent}, state, is_ours=bool(lent))
