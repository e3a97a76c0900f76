"""How far an assignee has read."""

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import select

from pytake_gql.desk.conversations import service
from pytake_gql.desk.conversations.events import ConversationRead
from pytake_gql.desk.conversations.models import Conversation, Message, MessageDirection, TimelineKind
from pytake_gql.desk.conversations.timeline import actor_id, record
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def mark_read(uow: UnitOfWork, conversation_id: UUID, seq: int) -> Conversation:
    """What the assignee has read no longer counts as unread; of others it changes nothing."""
    conversation = await service.get(uow, conversation_id)
    if seq < 0 or seq > conversation.last_seq:
        refuse(UserErrorCode.INVALID, "The conversation has no such event.", "seq")
    is_assignee = conversation.assignee_id is not None and conversation.assignee_id == actor_id(uow)
    if is_assignee and seq > conversation.read_seq:
        uow.emit(ConversationRead(entity_id=conversation.id, after_seq=conversation.read_seq, seq=seq))
        conversation.read_seq = seq
        conversation.unread_count = await _unread(uow, conversation)
        record(uow, conversation, TimelineKind.CHANGED)
    return conversation


async def _unread(uow: UnitOfWork, conversation: Conversation) -> int:
    statement = select(sa.func.count()).where(
        Message.conversation_id == conversation.id,
        Message.direction == MessageDirection.INBOUND,
        Message.seq > conversation.read_seq,
    )
    return int(await uow.session.scalar(statement) or 0)
