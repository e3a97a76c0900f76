"""How a flow hands a conversation over to people: to a queue, a department or a member (D1, D6, D22)."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.desk.conversations import bots, events, overflow
from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.models import Conversation, ConversationPriority, MoveReason
from pytake_gql.desk.queues import hours
from pytake_gql.desk.queues.models import Queue
from pytake_gql.desk.routing import service
from pytake_gql.kernel.errors import Refusal, UserErrorCode, refuse
from pytake_gql.kernel.events import change
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.organizations import service as organizations


@dataclass(frozen=True, slots=True)
class Destination:
    """One of them; with none it is where the channel leads."""

    queue_id: UUID | None = None
    department_id: UUID | None = None
    member_id: UUID | None = None


async def hand_over(
    uow: UnitOfWork,
    conversation: Conversation,
    to: Destination,
    *,
    priority: ConversationPriority | None = None,
    note: str | None = None,
) -> None:
    """From now on people have it; it is locked, after the member named (D11).

    Nobody is there to be refused: what cannot be done as it was meant goes where the channel leads, and for a member
    a note says why.
    """
    if changed := change(conversation, {"priority": priority} if priority else {}):
        uow.emit(events.ConversationChanged(entity_id=conversation.id, changes=changed))
    why_not = await _to_member(uow, conversation, to.member_id) if to.member_id else None
    if to.member_id is None or why_not:
        queue_id = await _queue(uow, conversation, to)
        await conversations.transfer(uow, conversation, queue_id, note=note, reason=MoveReason.FLOW)
    for told in (note, why_not):
        if told:
            await bots.note(uow, conversation, told)


async def _to_member(uow: UnitOfWork, conversation: Conversation, member_id: UUID) -> str | None:
    """Gives it to the member, or says why not: only who answers now has it from a flow."""
    try:
        await _require_presence(uow, member_id)
        await service.hand_to(uow, conversation, member_id, force=False, reason=MoveReason.FLOW)
    except Refusal as refusal:
        locale = (await organizations.current(uow.session, uow.organization_id)).locale
        return refusal.problems[0].message(locale)
    return None


async def _require_presence(uow: UnitOfWork, member_id: UUID) -> None:
    member = (await members.by_ids(uow.session, [member_id])).get(member_id)
    if member is not None and not await conversations.is_routable(uow, member_id):
        refuse(UserErrorCode.WRONG_STATE, "{name} does not answer now.", "member_id", name=member.name)


async def _queue(uow: UnitOfWork, conversation: Conversation, to: Destination) -> UUID | None:
    """The queue that is meant, if it is there; else that of the channel."""
    meant = to.queue_id
    if to.department_id is not None:
        meant = await _queue_of(uow, to.department_id)
    if meant is not None and await overflow.find(uow, meant) is not None:
        return meant
    return conversation.queue_id


async def _queue_of(uow: UnitOfWork, department_id: UUID) -> UUID | None:
    """Its active queue of the highest priority, of those that are open now if any is."""
    statement = (
        select(Queue)
        .where(Queue.department_id == department_id, col(Queue.is_active))
        .order_by(col(Queue.priority).desc(), col(Queue.id))
    )
    found = (await uow.session.execute(statement)).scalars().all()
    are_open = await hours.open_among(uow.session, found, uow.now())
    return next((queue.id for queue in (*(it for it in found if it.id in are_open), *found)), None)
