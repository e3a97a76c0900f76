"""What is due in conversations.

Sending what members wrote: claim, call outside the transaction, write the outcome (D27, E4, E8). Waking what was put
aside (D4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel, ChannelStatus
from pytake_gql.desk.conversations import attempts, outcomes, outgoing, pace, service, turns
from pytake_gql.desk.conversations.models import Message, MessageStatus
from pytake_gql.desk.conversations.ports import ChannelPort, Channels, Outgoing
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 8
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(hours=1)
_TURN_PAUSE = timedelta(seconds=1)
_LONGEST_ERROR = 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """A message under this worker's lease."""

    message: Message
    channel: Channel
    outgoing: Outgoing | None
    """None when the contact is nobody on the channel."""
    is_answer_lost: bool
    """Whether the attempt before it ended without an outcome."""
    error_before: str | None


async def deliver_message(ports: Ports, by_kind: Channels, organization_id: UUID, message_id: UUID) -> bool:
    """Sends one message, at most once at a time; says whether it did. Safe to run twice.

    A worker that dies between the call and its answer leaves a lease that runs out: the next claim finds an
    attempt without an outcome, and unless the channel is idempotent the message becomes UNKNOWN instead of being
    sent again.
    """
    async with ports.units.of_system(organization_id) as uow:
        claim = await _claim(uow, ports.files, message_id)
    if claim is None:
        return False
    channel = by_kind[claim.channel.kind]
    if claim.is_answer_lost and not channel.is_idempotent:
        await _finish(ports, claim, MessageStatus.UNKNOWN, error="The answer of the channel was lost.")
    elif claim.outgoing is None:
        await _finish(ports, claim, MessageStatus.FAILED, error="The contact is not on this channel.")
    elif claim.outgoing.address and (seconds := await pace.wait(ports.limiter, claim.outgoing.address)):
        await _give_back(ports, claim, seconds)
    else:
        return await _send(ports, channel, claim, claim.outgoing)
    return False


async def _send(ports: Ports, channel: ChannelPort, claim: Claim, message: Outgoing) -> bool:
    """Sends the next part of it, once: the last makes it SENT, after another one the next is due.

    A part that is refused or whose answer is lost ends the message there, with how far it got: nothing that passed
    is sent again, and nothing is sent behind what is missing.
    """
    tried = await attempts.attempt(channel, message, claim.message.parts_sent)
    if tried.may_pass_later and claim.message.attempts < MOST_ATTEMPTS:
        await _try_later(ports, claim.message, tried.reason or "")
    elif tried.is_part:
        await _go_on(ports, claim.message)
    else:
        await _finish(ports, claim, tried.status, error=tried.error, provider_id=tried.provider_id)
    if tried.is_access_at_fault:
        async with ports.units.of_system(claim.message.organization_id) as uow:
            await channels.fail(uow, claim.channel.id, tried.reason or "")
    return tried.has_passed


async def wake_conversation(ports: Ports, organization_id: UUID, conversation_id: UUID) -> bool:
    """Hands a snoozed conversation back, if its time has come; says whether it did. Safe to run twice."""
    async with ports.units.of_system(organization_id) as uow:
        return await service.wake(uow, conversation_id)


async def _claim(uow: UnitOfWork, files: Files, message_id: UUID) -> Claim | None:
    """Takes the lease on a message that is due, or None: another worker has it, it is done, or not its turn.

    The reason of a failure stands in the row until the next attempt begins: an earlier attempt that left none has
    lost its answer.
    """
    statement = (
        select(Message, Channel)
        .join(Channel, col(Channel.id) == Message.channel_id)
        .where(Message.id == message_id, Message.status == MessageStatus.QUEUED, col(Message.due_at) <= uow.now())
        .with_for_update(of=Message, skip_locked=True)
    )
    found = (await uow.session.execute(statement)).one_or_none()
    if found is None:
        return None
    message, channel = found
    if kinds.KINDS[channel.kind].has_provider and await turns.waits_for_another(uow, message):
        message.due_at = uow.now() + _TURN_PAUSE
        return None
    is_answer_lost, error_before = message.attempts > 0 and message.error is None, message.error
    message.due_at, message.error = uow.now() + LEASE, None
    message.epoch, message.attempts = message.epoch + 1, message.attempts + 1
    composed = await outgoing.compose(uow, message, channel, files)
    return Claim(message, channel, composed, is_answer_lost, error_before)


async def _finish(
    ports: Ports, claim: Claim, status: MessageStatus, *, error: str | None = None, provider_id: str | None = None
) -> None:
    """Writes the outcome; through a provider the conversation's next message goes once this one is done."""
    message, cut = claim.message, error[:_LONGEST_ERROR] if error else None
    async with ports.units.of_system(message.organization_id) as uow:
        await outcomes.settle(uow, message.id, status, error=cut, provider_id=provider_id, epoch=message.epoch)
        if kinds.KINDS[claim.channel.kind].has_provider:
            await turns.wake_next(uow, message)
    if status is MessageStatus.SENT and claim.channel.status is ChannelStatus.ERROR:
        async with ports.units.of_system(message.organization_id) as uow:
            await channels.recover(uow, claim.channel.id)


async def _give_back(ports: Ports, claim: Claim, seconds: float) -> None:
    """The provider takes no more just now: the message is as it was before the claim, and due a little later."""
    async with ports.units.of_system(claim.message.organization_id) as uow:
        values = {"due_at": uow.now() + timedelta(seconds=seconds), "error": claim.error_before}
        await _change_claimed(uow, claim.message, {**values, "attempts": claim.message.attempts - 1})


async def _go_on(ports: Ports, message: Message) -> None:
    """A part has passed: the next one is due, with attempts of its own."""
    async with ports.units.of_system(message.organization_id) as uow:
        values = {"due_at": uow.now(), "attempts": 0, "error": None, "parts_sent": message.parts_sent + 1}
        await _change_claimed(uow, message, values)
        uow.enqueue(Job("deliver_message", (str(uow.organization_id), str(message.id))))


async def _try_later(ports: Ports, message: Message, reason: str) -> None:
    async with ports.units.of_system(message.organization_id) as uow:
        pause = min(_FIRST_PAUSE * 2 ** (message.attempts - 1), _LONGEST_PAUSE)
        await _change_claimed(uow, message, {"due_at": uow.now() + pause, "error": reason[:_LONGEST_ERROR]})


async def _change_claimed(uow: UnitOfWork, message: Message, values: Mapping[str, Any]) -> None:
    """Only while this worker's claim is the last one, and nobody has told the outcome."""
    statement = sa.update(Message).where(
        col(Message.id) == message.id,
        col(Message.epoch) == message.epoch,
        col(Message.status) == MessageStatus.QUEUED,
    )
    await uow.session.execute(statement.values(**values))
