"""Sending what members wrote: claim, call outside the transaction, write the outcome (D27, E4, E8)."""

import asyncio
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.conversations import messages
from pytake_gql.desk.conversations.models import Message, MessageStatus
from pytake_gql.desk.conversations.ports import Channels, DeliveryFailed, Outgoing
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork

LEASE = timedelta(seconds=60)
TIMEOUT_SECONDS = 30
MOST_ATTEMPTS = 8
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(hours=1)


async def deliver_message(ports: Ports, channels: Channels, organization_id: UUID, message_id: UUID) -> bool:
    """Sends one message, at most once at a time; says whether it did. Safe to run twice.

    A worker that dies between the call and its answer leaves a lease that runs out: the next claim finds an
    attempt without an outcome, and unless the channel is idempotent the message becomes UNKNOWN instead of being
    sent again.
    """
    async with ports.units.of_system(organization_id) as uow:
        claimed = await _claim(uow, message_id)
        if claimed is None:
            return False
        message, kind = claimed
        if message.attempts > 1 and message.error is None and not channels[kind].is_idempotent:
            await messages.settle(uow, message_id, MessageStatus.UNKNOWN, error="The answer of the channel was lost.")
            return False
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            provider_id = await channels[kind].send(Outgoing(organization_id, message_id, message.text or ""))
    except TimeoutError:
        await _finish(ports, message, MessageStatus.UNKNOWN, error="The channel did not answer.")
        return False
    except DeliveryFailed as failure:
        if failure.is_transient and message.attempts < MOST_ATTEMPTS:
            await _try_later(ports, message, failure.reason)
        else:
            await _finish(ports, message, MessageStatus.FAILED, error=failure.reason)
        return False
    await _finish(ports, message, MessageStatus.SENT, provider_id=provider_id)
    return True


async def _claim(uow: UnitOfWork, message_id: UUID) -> tuple[Message, ChannelKind] | None:
    """Takes the lease on a message that is due, or None: another worker has it, or it is done."""
    statement = (
        sa.update(Message)
        .where(
            col(Message.id) == message_id,
            col(Message.status) == MessageStatus.QUEUED,
            col(Message.due_at) <= uow.now(),
        )
        .values(due_at=uow.now() + LEASE, epoch=Message.epoch + 1, attempts=Message.attempts + 1)
        .returning(Message)
    )
    message = (await uow.session.execute(statement)).scalar_one_or_none()
    if message is None:
        return None
    kind = (await uow.session.execute(select(Channel.kind).where(Channel.id == message.channel_id))).scalar_one()
    return message, ChannelKind(kind)


async def _finish(
    ports: Ports, message: Message, status: MessageStatus, *, error: str | None = None, provider_id: str | None = None
) -> None:
    async with ports.units.of_system(message.organization_id) as uow:
        await messages.settle(uow, message.id, status, error=error, provider_id=provider_id, epoch=message.epoch)


async def _try_later(ports: Ports, message: Message, reason: str) -> None:
    async with ports.units.of_system(message.organization_id) as uow:
        pause = min(_FIRST_PAUSE * 2**message.attempts, _LONGEST_PAUSE)
        statement = sa.update(Message).where(col(Message.id) == message.id, col(Message.epoch) == message.epoch)
        await uow.session.execute(statement.values(due_at=uow.now() + pause, error=reason))
