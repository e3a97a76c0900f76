"""Telling a provider what was read: claim, call outside the transaction, write the outcome (E4)."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.channels.ports import AnswerLost, ProviderFailed
from pytake_gql.desk.conversations import outgoing
from pytake_gql.desk.conversations.models import Message
from pytake_gql.desk.conversations.ports import Address
from pytake_gql.desk.receipts.models import DueReceipt
from pytake_gql.desk.receipts.ports import ReceiptsByKind, Seen
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork

LEASE = timedelta(seconds=60)
TIMEOUT_SECONDS = 40
MOST_ATTEMPTS = 8
"""Over some twenty minutes: later nobody cares when it was read."""
_FIRST_PAUSE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Claim:
    """A receipt under this worker's lease, and what its provider is told with."""

    receipt: DueReceipt
    seen: Seen


async def tell_read(ports: Ports, by_kind: ReceiptsByKind, organization_id: UUID, conversation_id: UUID) -> bool:
    """Tells the provider how far a conversation was read; says whether it did. Safe to run twice, as telling is."""
    async with ports.units.of_system(organization_id) as uow:
        claim = await _claim(uow, conversation_id)
    if claim is None:
        return False
    account = claim.seen.address.account
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await by_kind[account.kind].mark_read(claim.seen)
    except ProviderFailed as failure:
        await _fail(ports, claim, is_worth_another=failure.is_transient)
        if failure.is_access_at_fault:
            async with ports.units.of_system(organization_id) as uow:
                await channels.fail(uow, account.channel_id, failure.reason)
        return False
    except (AnswerLost, TimeoutError):
        await _fail(ports, claim, is_worth_another=True)
        return False
    await _end(ports, claim.receipt)
    return True


async def _claim(uow: UnitOfWork, conversation_id: UUID) -> Claim | None:
    """Takes the lease on what is due, or None: another worker has it, or there is nobody to tell any more."""
    statement = (
        select(DueReceipt, Message, Channel)
        .join(Message, col(Message.id) == DueReceipt.message_id)
        .join(Channel, col(Channel.id) == DueReceipt.channel_id)
        .where(DueReceipt.id == conversation_id, col(DueReceipt.due_at) <= uow.now())
        .with_for_update(of=DueReceipt, skip_locked=True)
    )
    found = (await uow.session.execute(statement)).one_or_none()
    if found is None:
        return None
    receipt, message, channel = found
    recipient = await outgoing.recipient(uow.session, message)
    if message.provider_message_id is None or recipient is None:
        await uow.session.delete(receipt)
        return None
    receipt.due_at = uow.now() + LEASE
    receipt.epoch, receipt.attempts = receipt.epoch + 1, receipt.attempts + 1
    account = await channels.account(uow.session, uow.settings, channel)
    return Claim(receipt, Seen(Address(account, recipient), message.provider_message_id))


async def _fail(ports: Ports, claim: Claim, *, is_worth_another: bool) -> None:
    receipt = claim.receipt
    if not is_worth_another or receipt.attempts >= MOST_ATTEMPTS:
        await _end(ports, receipt)
        return
    async with ports.units.of_system(receipt.organization_id) as uow:
        pause = _FIRST_PAUSE * 2 ** (receipt.attempts - 1)
        mine = sa.and_(col(DueReceipt.id) == receipt.id, col(DueReceipt.epoch) == receipt.epoch)
        await uow.session.execute(sa.update(DueReceipt).where(mine).values(due_at=uow.now() + pause))


async def _end(ports: Ports, receipt: DueReceipt) -> None:
    """Unless more was read meanwhile, or another worker has claimed it."""
    async with ports.units.of_system(receipt.organization_id) as uow:
        mine = sa.and_(col(DueReceipt.id) == receipt.id, col(DueReceipt.epoch) == receipt.epoch)
        await uow.session.execute(sa.delete(DueReceipt).where(mine))
