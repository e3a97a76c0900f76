from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pytake_gql.kernel.events import Event


class ContactCreated(Event):
    entity: ClassVar[str] = "Contact"


class ContactUpdated(Event):
    entity: ClassVar[str] = "Contact"


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactMerged(Event):
    """Announced while both are there, and locked: whoever holds something of the other one gives it to the kept."""

    entity: ClassVar[str] = "Contact"

    merged_id: UUID
    name: str | None
    """Of the kept one, from then on."""


class ContactErased(Event):
    """Announced while it is there, and locked: whoever knows anything of it forgets that."""

    entity: ClassVar[str] = "Contact"


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactsImported(Event):
    """Many at once; those that were made or changed are not told one by one."""

    entity: ClassVar[str] = "Organization"

    updated_ids: Sequence[UUID]
    """Those that were known before."""
