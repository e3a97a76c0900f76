"""What is still to be told to providers: one row a conversation, written with the reading itself (house.md §4)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.conversations.events import ConversationRead
from pytake_gql.desk.conversations.models import Message, MessageDirection
from pytake_gql.desk.receipts.models import DueReceipt
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def on_conversation_read(uow: UnitOfWork, event: ConversationRead) -> None:
    """A worker is to tell the provider, where there is one, of the newest message that was not read before."""
    newest = (
        select(Message.id, Message.channel_id, Channel.kind)
        .join(Channel, col(Channel.id) == Message.channel_id)
        .where(
            Message.conversation_id == event.entity_id,
            Message.direction == MessageDirection.INBOUND,
            Message.seq > event.after_seq,
            Message.seq <= event.seq,
            col(Message.provider_message_id).is_not(None),
        )
        .order_by(col(Message.seq).desc())
        .limit(1)
    )
    found = (await uow.session.execute(newest)).one_or_none()
    if found is None or not kinds.KINDS[found.kind].has_provider:
        return
    now = {"message_id": found.id, "channel_id": found.channel_id, "due_at": uow.now(), "attempts": 0}
    row = {"id": event.entity_id, "conversation_id": event.entity_id, "epoch": 0, **now}
    due = uow.insert(DueReceipt, row).on_conflict_do_update(
        index_elements=["organization_id", "id"], set_={**now, "epoch": DueReceipt.epoch + 1}
    )
    await uow.session.execute(due)
    uow.enqueue(Job("tell_read", (str(uow.organization_id), str(event.entity_id))))


async def due(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, conversation) of what is to be told, across organizations."""
    found = await session.execute(
        sa.text("SELECT organization_id, conversation_id FROM engine_due_receipts(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.conversation_id) for row in found]
