"""How conversations reach agents by somebody's word: assigned, transferred (D11, D15, D22)."""

from collections.abc import Sequence
from uuid import UUID

from pytake_gql.desk.conversations import messages, overflow, service, states
from pytake_gql.desk.conversations.locks import lock
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, MoveReason
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues import turns
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.desk.skills import service as skills
from pytake_gql.kernel.errors import UserErrorCode, not_found, refuse
from pytake_gql.kernel.principal import MemberPrincipal, Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members import slots
from pytake_gql.tenancy.members.models import Member


async def assign(uow: UnitOfWork, conversation_id: UUID, member_id: UUID | None, *, force: bool) -> Conversation:
    """Gives it to a member, or (None) back to its queue with its place kept (D6, D15).

    A member who may not have it is refused with the reason. `force` may exceed the capacity; org admins only.
    """
    conversation = await lock(uow, conversation_id, besides=member_id)
    if member_id is None:
        states.require(conversation.status, ConversationStatus.QUEUED)
        await service.release(uow, conversation)
        await service.enqueue(uow, conversation, conversation.queue_id, keeps_place=True)
        return conversation
    if conversation.status is not ConversationStatus.ACTIVE or conversation.assignee_id != member_id:
        await hand_to(uow, conversation, member_id, force=force)
    return conversation


async def transfer(
    uow: UnitOfWork, conversation_id: UUID, *, queue_id: UUID | None, member_id: UUID | None, note: str | None
) -> Conversation:
    """Sends it to a queue, where it waits anew (D6), or to a member, and leaves the note in its timeline (D22).

    A queue that is full or closed overflows (D9); a member who may not have it is refused with the reason.
    """
    if queue_id is None and member_id is None:
        refuse(UserErrorCode.REQUIRED, "Say to which queue or to which member.", "queue_id")
    if queue_id is not None and member_id is not None:
        refuse(UserErrorCode.INVALID, "To a queue or to a member, not to both.", "member_id")
    conversation = await lock(uow, conversation_id, besides=member_id)
    if conversation.status is ConversationStatus.CLOSED:
        refuse(UserErrorCode.WRONG_STATE, "A closed conversation is not transferred: reopen it first.", "id")
    if queue_id is not None:
        await _require_other(uow, conversation, queue_id)
        await service.transfer(uow, conversation, queue_id, note=note or None)
    elif member_id is not None:
        if conversation.status is ConversationStatus.ACTIVE and conversation.assignee_id == member_id:
            template = "{name} has this conversation already."
            refuse(UserErrorCode.WRONG_STATE, template, "member_id", name=conversation.assignee_name)
        await hand_to(uow, conversation, member_id, force=False)
    if note:
        await messages.note(uow, conversation, note)
    return conversation


async def _require_other(uow: UnitOfWork, conversation: Conversation, queue_id: UUID) -> None:
    """The queue is there and active, and not the one in which it waits."""
    queue = await overflow.find(uow, queue_id)
    if queue is None:
        raise not_found("queue_id")
    if not queue.is_active:
        refuse(UserErrorCode.WRONG_STATE, "{name} is not active.", "queue_id", name=queue.name)
    if conversation.status is ConversationStatus.QUEUED and conversation.queue_id == queue_id:
        template = "The conversation waits in {name} already."
        refuse(UserErrorCode.WRONG_STATE, template, "queue_id", name=queue.name)


async def hand_to(
    uow: UnitOfWork,
    conversation: Conversation,
    member_id: UUID,
    *,
    force: bool,
    reason: MoveReason = MoveReason.MEMBER,
) -> None:
    """Gives it to the member, from whoever has it; refuses with the reason who may not have it."""
    member = await _assignable(uow, conversation, member_id, force=force)
    if conversation.status is not ConversationStatus.ACTIVE:
        states.require(conversation.status, ConversationStatus.ACTIVE)
    await service.release(uow, conversation)
    taken = await slots.take_slot(uow, member.id, force=force)
    if taken is None:
        refuse(UserErrorCode.LIMIT_REACHED, "{name} is at capacity.", "member_id", name=member.name)
    await turns.remember(uow, conversation.queue_id, taken.id, uow.now())
    service.give(uow, conversation, taken, reason=reason)


async def _lacking(uow: UnitOfWork, member_id: UUID, queue_ids: Sequence[UUID]) -> dict[UUID, Requirement]:
    """Of each queue that asks for more than the member has, the first mandatory skill that is missed."""
    asked = await queues.requirements_of(uow.session, queue_ids)
    if not any(asked.values()):
        return {}
    levels = (await skills.levels_of(uow.session, [member_id])).get(member_id, {})
    missed = {
        queue_id: [it for it in wanted if it.is_mandatory and levels.get(it.skill_id, 0) < it.min_level]
        for queue_id, wanted in asked.items()
    }
    return {queue_id: wanted[0] for queue_id, wanted in missed.items() if wanted}


async def _assignable(uow: UnitOfWork, conversation: Conversation, member_id: UUID, *, force: bool) -> Member:
    """The member, if the conversation may be given to them; presence aside, for somebody says so (D15)."""
    member = (await members.by_ids(uow.session, [member_id])).get(member_id)
    if member is None or member.removed_at is not None:
        refuse(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", "member_id")
    caller = uow.principal
    if force and not (isinstance(caller, MemberPrincipal) and caller.role.serves(Role.ORG_ADMIN)):
        refuse(UserErrorCode.FORBIDDEN, "Only organization admins may exceed a member's capacity.", "force")
    if not member.is_active:
        refuse(UserErrorCode.WRONG_STATE, "{name} is not active.", "member_id", name=member.name)
    if member.role not in {Role.AGENT, Role.ORG_ADMIN}:
        refuse(UserErrorCode.WRONG_STATE, "{name} answers no conversations.", "member_id", name=member.name)
    serves = await queues.queue_ids_of(uow.session, member_id)
    if conversation.queue_id is not None and conversation.queue_id not in serves:
        refuse(UserErrorCode.WRONG_STATE, "{name} does not serve this queue.", "member_id", name=member.name)
    if conversation.queue_id is not None:
        lacking = (await _lacking(uow, member_id, [conversation.queue_id])).get(conversation.queue_id)
        if lacking is not None:
            template = "{name} lacks skill '{skill}' (level {level})."
            told = {"name": member.name, "skill": lacking.name, "level": lacking.min_level}
            refuse(UserErrorCode.WRONG_STATE, template, "member_id", **told)
    return member
