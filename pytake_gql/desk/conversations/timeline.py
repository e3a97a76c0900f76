"""Writing the timeline: gap-free, in the transaction of what happened, and heard live after the commit (G7)."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from pytake_gql.desk.conversations.models import TimelineEntry, TimelineKind
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork


class Recorded(Protocol):
    """A conversation's row, of the session or plain."""

    organization_id: UUID
    id: UUID
    queue_id: UUID | None
    assignee_id: UUID | None
    last_seq: int
    updated_at: datetime


def conversation_topic(conversation_id: UUID) -> str:
    """Told with the newest seq."""
    return f"conversation:{conversation_id.hex}"


def typing_topic(conversation_id: UUID) -> str:
    """Told with who types: `CONTACT::1`, `MEMBER:<hex>:0`."""
    return f"typing:{conversation_id.hex}"


def queue_topic(queue_id: UUID) -> str:
    """Told with the conversation that came, changed or left."""
    return f"queue:{queue_id.hex}"


def inbox_topic(organization_id: UUID) -> str:
    """Told with the conversation, and the assignee and queue that it had before: `<hex>:<hex>:<hex>`."""
    return f"inbox:{organization_id.hex}"


def record(
    uow: UnitOfWork,
    conversation: Recorded,
    kind: TimelineKind,
    *,
    message_id: UUID | None = None,
    data: dict[str, Any] | None = None,
    before: tuple[UUID | None, UUID | None] | None = None,
) -> None:
    """Adds the next event; the conversation's row must be locked.

    `before` is the assignee and the queue that it had, where this event changed them.
    """
    conversation.last_seq += 1
    conversation.updated_at = uow.now()
    tell(uow, conversation, kind, message_id=message_id, data=data, before=before)


def tell(
    uow: UnitOfWork,
    conversation: Any,
    kind: TimelineKind,
    *,
    message_id: UUID | None = None,
    data: dict[str, Any] | None = None,
    before: tuple[UUID | None, UUID | None] | None = None,
) -> None:
    """Tells the event at the seq that the row has, for whoever raised it in the statement that changed the row."""
    entry = {
        "conversation_id": conversation.id,
        "seq": conversation.last_seq,
        "kind": kind,
        "at": uow.now(),
        "by_id": actor_id(uow),
        "message_id": message_id,
        "data": data or {},
    }
    uow.append(TimelineEntry, entry)
    assignee_id, queue_id = before or (conversation.assignee_id, conversation.queue_id)
    uow.wake(conversation_topic(conversation.id), conversation.last_seq)
    for touched in {queue_id, conversation.queue_id}:
        if touched is not None:
            uow.wake(queue_topic(touched), conversation.id.hex)
    past = ":".join(id_.hex if id_ else "" for id_ in (conversation.id, assignee_id, queue_id))
    uow.wake(inbox_topic(conversation.organization_id), past)


def actor_id(uow: UnitOfWork) -> UUID | None:
    """The member who acts; a visiting super admin is no member here, and the audit log names them."""
    principal = uow.principal
    if isinstance(principal, MemberPrincipal) and not principal.is_visiting:
        return principal.member_id
    return None
