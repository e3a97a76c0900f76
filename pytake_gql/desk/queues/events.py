from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pytake_gql.kernel.events import Event


class QueueCreated(Event):
    entity: ClassVar[str] = "Queue"


class QueueUpdated(Event):
    entity: ClassVar[str] = "Queue"


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueDeleted(Event):
    """Announced before the row goes: listeners move what waits in it, or refuse."""

    entity: ClassVar[str] = "Queue"

    move_to_queue_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueMembersChanged(Event):
    """Others serve the queue from now on; the audit log has it with the queue's or the member's change."""

    entity: ClassVar[str] = "Queue"
    is_audited: ClassVar[bool] = False

    added: frozenset[UUID] = frozenset()
    removed: frozenset[UUID] = frozenset()
