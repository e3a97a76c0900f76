"""What is due in conversations.

Sending what members wrote: claim, call outside the transaction, write the outcome (D27, E4, E8). Waking what was put
aside (D4).
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.conversations import enclosures, messages, service
from pytake_gql.desk.conversations.models import Message, MessageStatus
from pytake_gql.desk.conversations.ports import Channels, DeliveryFailed, Outgoing, OutgoingFile
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork

LEASE = timedelta(seconds=60)
TIMEOUT_SECONDS = 30
MOST_ATTEMPTS = 8
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """A message under this worker's lease."""

    message: Message
    kind: ChannelKind
    files: tuple[OutgoingFile, ...]
    is_answer_lost: bool
    """Whether the attempt before it ended without an outcome."""


async def deliver_message(ports: Ports, channels: Channels, organization_id: UUID, message_id: UUID) -> bool:
    """Sends one message, at most once at a time; says whether it did. Safe to run twice.

    A worker that dies between the call and its answer leaves a lease that runs out: the next claim finds an
    attempt without an outcome, and unless the channel is idempotent the message becomes UNKNOWN instead of being
    sent again.
    """
    async with ports.units.of_system(organization_id) as uow:
        claim = await _claim(uow, ports.files, message_id)
    if claim is None:
        return False
    message, channel = claim.message, channels[claim.kind]
    if claim.is_answer_lost and not channel.is_idempotent:
        await _finish(ports, message, MessageStatus.UNKNOWN, error="The answer of the channel was lost.")
        return False
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            outgoing = Outgoing(organization_id, message_id, message.text or "", claim.files)
            provider_id = await channel.send(outgoing)
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


async def wake_conversation(ports: Ports, organization_id: UUID, conversation_id: UUID) -> bool:
    """Hands a snoozed conversation back, if its time has come; says whether it did. Safe to run twice."""
    async with ports.units.of_system(organization_id) as uow:
        return await service.wake(uow, conversation_id)


async def _claim(uow: UnitOfWork, files: Files, message_id: UUID) -> Claim | None:
    """Takes the lease on a message that is due, or None: another worker has it, or it is done.

    The reason of a failure stands in the row until the next attempt begins: an earlier attempt that left none has
    lost its answer.
    """
    statement = (
        select(Message, Channel.kind)
        .join(Channel, col(Channel.id) == Message.channel_id)
        .where(Message.id == message_id, Message.status == MessageStatus.QUEUED, col(Message.due_at) <= uow.now())
        .with_for_update(of=Message, skip_locked=True)
    )
    found = (await uow.session.execute(statement)).one_or_none()
    if found is None:
        return None
    message, kind = found
    is_answer_lost = message.attempts > 0 and message.error is None
    message.due_at, message.error = uow.now() + LEASE, None
    message.epoch, message.attempts = message.epoch + 1, message.attempts + 1
    enclosed = await enclosures.outgoing(uow.session, files, message, uow.now())
    return Claim(message, ChannelKind(kind), enclosed, is_answer_lost)


async def _finish(
    ports: Ports, message: Message, status: MessageStatus, *, error: str | None = None, provider_id: str | None = None
) -> None:
    async with ports.units.of_system(message.organization_id) as uow:
        await messages.settle(uow, message.id, status, error=error, provider_id=provider_id, epoch=message.epoch)


async def _try_later(ports: Ports, message: Message, reason: str) -> None:
    async with ports.units.of_system(message.organization_id) as uow:
        pause = min(_FIRST_PAUSE * 2 ** (message.attempts - 1), _LONGEST_PAUSE)
        statement = sa.update(Message).where(
            col(Message.id) == message.id,
            col(Message.epoch) == message.epoch,
            col(Message.status) == MessageStatus.QUEUED,
        )
        await uow.session.execute(statement.values(due_at=uow.now() + pause, error=reason))
