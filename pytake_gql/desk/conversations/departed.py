"""Conversations whose agent went away: back to their queue, at once or when the contact writes next (D20)."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.conversations import service
from pytake_gql.desk.conversations.models import AuthorKind, Conversation, ConversationStatus, Message, MoveReason
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.models import Availability, Member


async def waits_for_its_agent(session: AsyncSession, conversation_id: UUID) -> bool:
    """Whether the contact spoke last; notes, and what flows and the system say, are no answers."""
    last = (
        select(Message.author_kind)
        .where(
            Message.conversation_id == conversation_id,
            sa.not_(col(Message.is_note)),
            col(Message.author_kind).in_([AuthorKind.CONTACT, AuthorKind.MEMBER]),
        )
        .order_by(col(Message.seq).desc())
        .limit(1)
    )
    return await session.scalar(last) is AuthorKind.CONTACT


async def has_lost_its_agent(session: AsyncSession, conversation: Conversation) -> bool:
    """Whether the agent of an ACTIVE one is removed, inactive, or went OFFLINE while having it.

    Who took it while being OFFLINE, by a pull or by somebody's word, has not gone: nobody was routed there (D15).
    """
    if conversation.status is not ConversationStatus.ACTIVE:
        return False
    gone = sa.or_(
        col(Member.removed_at).is_not(None),
        sa.not_(col(Member.is_active)),
        sa.and_(
            col(Member.availability) == Availability.OFFLINE,
            col(Member.offline_since) >= conversation.assigned_at,
        ),
    )
    found = await session.execute(select(Member.id).where(Member.id == conversation.assignee_id, gone))
    return found.first() is not None


async def send_back(uow: UnitOfWork, conversation: Conversation) -> None:
    """To its queue with its place kept (D6); its agent's row was locked before it (D11)."""
    await service.release(uow, conversation)
    await service.enqueue(uow, conversation, conversation.queue_id, keeps_place=True, reason=MoveReason.AGENT_LOST)
