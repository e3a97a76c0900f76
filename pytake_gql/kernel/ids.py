"""Identities: UUIDv7 inside, the type's name and 32 hex digits outside (contract.graphql)."""

import re
from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["global_id", "id_of", "parse_global_id", "uuid7"]

_GLOBAL_ID = re.compile(r"([A-Z][A-Za-z]{0,63})_([0-9a-f]{32})", re.ASCII)


def global_id(type_name: str, id_: UUID) -> str:
    return f"{type_name}_{id_.hex}"


def parse_global_id(text: str) -> tuple[str, UUID] | None:
    """The type's name and the id, or None for a text that leads nowhere."""
    match = _GLOBAL_ID.fullmatch(text)
    return (match[1], UUID(match[2])) if match else None


def id_of(ours: str) -> UUID:
    """The id inside a global id that we made ourselves."""
    return UUID(ours.rpartition("_")[2])
