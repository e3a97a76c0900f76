"""Fetching files for messages: claim, ask who holds them outside the transaction, write the outcome (D26, E4)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.channels.ports import Account, AnswerLost, ProviderFailed
from pytake_gql.desk.conversations.models import Message, MessageDirection
from pytake_gql.desk.deliveries import media
from pytake_gql.desk.deliveries.models import DueMedium
from pytake_gql.desk.deliveries.ports import AddressSource, MediaSource, MediaSources, MediumTooLarge
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations

LEASE = timedelta(seconds=90)
TIMEOUT_SECONDS = 50
MOST_ATTEMPTS = 12
"""Over some three hours: the provider keeps a file for days, and a token that expired can be mended meanwhile."""
MOST_ATTEMPTS_OF_OURS = 4
"""What we say ourselves waits for its file, and all that follows waits for it."""
_FIRST_PAUSE = timedelta(seconds=5)
_UNTYPED = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Claim:
    """A file under this worker's lease, and what its provider is asked with."""

    medium: DueMedium
    account: Account
    locale: str
    is_ours: bool
    """Whether the message is to the contact: then the reference is an address."""


async def fetch_medium(ports: Ports, sources: MediaSources, organization_id: UUID, medium_id: UUID) -> bool:
    """Fetches one file and gives it to its message; says whether it did. Safe to run twice.

    A worker that dies leaves a lease that runs out, and at most a file that is no message's: it is swept with the
    unsent ones.
    """
    async with ports.units.of_system(organization_id) as uow:
        claim = await _claim(uow, medium_id)
    if claim is None:
        return False
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await _fetch(ports, sources, claim)
    except MediumTooLarge as large:
        note = translate("(The file is larger than {most} MB.)", claim.locale, most=attachments.MOST_BYTES >> 20)
        await _give_up(ports, claim, note, str(large))
    except Refusal as refusal:
        note = translate("(Files of this type are not taken.)", claim.locale)
        await _give_up(ports, claim, note, refusal.problems[0].message("en"))
    except ProviderFailed as failure:
        if failure.is_access_at_fault:
            async with ports.units.of_system(organization_id) as uow:
                await channels.fail(uow, claim.account.channel_id, failure.reason)
        is_worth_another = failure.is_transient or failure.is_access_at_fault
        await _fail(ports, claim, failure.reason, is_worth_another=is_worth_another)
    except (AnswerLost, OSError) as lost:
        await _fail(ports, claim, f"{type(lost).__name__}: {lost}", is_worth_another=True)
    return False


async def due(session: AsyncSession, until: datetime, at_most: int) -> Sequence[tuple[UUID, UUID]]:
    """(organization, medium) of what is to be fetched, across organizations."""
    found = await session.execute(
        sa.text("SELECT organization_id, medium_id FROM engine_due_media(:until, :at_most)"),
        {"until": until, "at_most": at_most},
    )
    return [(row.organization_id, row.medium_id) for row in found]


async def _claim(uow: UnitOfWork, medium_id: UUID) -> Claim | None:
    """Takes the lease on a file that is due, or None: another worker has it, or it is done."""
    statement = (
        select(DueMedium, Channel, Message.direction)
        .join(Channel, col(Channel.id) == DueMedium.channel_id)
        .join(Message, col(Message.id) == DueMedium.message_id)
        .where(DueMedium.id == medium_id, col(DueMedium.due_at) <= uow.now())
        .with_for_update(of=DueMedium, skip_locked=True)
    )
    found = (await uow.session.execute(statement)).one_or_none()
    if found is None:
        return None
    medium, channel, direction = found
    medium.due_at = uow.now() + LEASE
    medium.epoch, medium.attempts = medium.epoch + 1, medium.attempts + 1
    locale = (await organizations.current(uow.session, uow.organization_id)).locale
    account = await channels.account(uow.session, uow.settings, channel)
    return Claim(medium, account, locale, is_ours=direction is MessageDirection.OUTBOUND)


async def _fetch(ports: Ports, sources: MediaSources, claim: Claim) -> bool:
    medium = claim.medium
    source: MediaSource = ports.adapters[AddressSource] if claim.is_ours else sources[claim.account.kind]
    fetched = await source.fetch(claim.account, medium.reference, most_bytes=attachments.MOST_BYTES)
    file_id = await attachments.store(
        ports,
        medium.organization_id,
        name=medium.file_name,
        mime_type=fetched.mime_type or medium.mime_type or _UNTYPED,
        data=fetched.data,
    )
    async with ports.units.of_system(medium.organization_id) as uow:
        return await media.arrive(uow, medium, file_id)


async def _fail(ports: Ports, claim: Claim, reason: str, *, is_worth_another: bool) -> None:
    most = MOST_ATTEMPTS_OF_OURS if claim.is_ours else MOST_ATTEMPTS
    if not is_worth_another or claim.medium.attempts >= most:
        note = translate("(The file could not be loaded.)", claim.locale)
        await _give_up(ports, claim, note, reason)
        return
    async with ports.units.of_system(claim.medium.organization_id) as uow:
        pause = _FIRST_PAUSE * 2 ** (claim.medium.attempts - 1)
        mine = sa.and_(col(DueMedium.id) == claim.medium.id, col(DueMedium.epoch) == claim.medium.epoch)
        await uow.session.execute(sa.update(DueMedium).where(mine).values(due_at=uow.now() + pause))


async def _give_up(ports: Ports, claim: Claim, note: str, error: str) -> None:
    async with ports.units.of_system(claim.medium.organization_id) as uow:
        await media.give_up(uow, claim.medium, note=note, error=error)
