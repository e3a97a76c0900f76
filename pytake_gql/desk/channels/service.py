from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.channels import kinds, rotation
from pytake_gql.desk.channels.events import (
    ChannelCreated,
    ChannelDeleted,
    ChannelFailed,
    ChannelFlowChosen,
    ChannelUpdated,
)
from pytake_gql.desk.channels.models import Channel, ChannelKind, ChannelStatus
from pytake_gql.desk.channels.ports import Account
from pytake_gql.desk.queues import service as queues
from pytake_gql.kernel import text, vault
from pytake_gql.kernel.errors import Problems, UserErrorCode, Verbatim, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.settings import Settings
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 500
SECRETS = "channels.sealed_secrets"
"""What the vault binds their ciphertext to."""
_SUBJECT = "channels"
_LONGEST_ERROR = 1000


async def create(uow: UnitOfWork, kind: ChannelKind, given: Changes) -> Channel:
    """`given` is as for `update`; the name is among it."""
    await one_at_a_time(uow, _SUBJECT)
    channel = Channel(kind=kind, name="", created_at=uow.now())
    values = await _checked(uow, {"settings": {}, **given}, channel)
    if await uow.session.scalar(select(func.count()).select_from(Channel)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    secrets = values.pop("secrets", {})
    changes = change(channel, values)
    uow.add(channel)
    changes |= await _keep_secrets(uow, channel, {}, secrets)
    _connect(channel, secrets)
    uow.emit(ChannelCreated(entity_id=channel.id, changes={"kind": {"from": None, "to": kind}, **changes}))
    return channel


async def update(uow: UnitOfWork, channel_id: UUID, changes: Changes) -> Channel:
    """`settings` replaces them all; `secrets` only those named, and null clears one, or all."""
    await one_at_a_time(uow, _SUBJECT)
    channel = await get(uow, channel_id)
    sealed = await secrets(uow.session, uow.settings, channel)
    before = rotation.named(sealed)
    values = await _checked(uow, changes, channel, before)
    kept = values.pop("secrets", before)
    changed = change(channel, values) | await _keep_secrets(uow, channel, sealed, kept)
    if {"secrets", "settings"} & changed.keys():
        _connect(channel, kept)
    if changed:
        uow.emit(ChannelUpdated(entity_id=channel_id, changes=changed))
    return channel


async def delete(uow: UnitOfWork, channel_id: UUID) -> Channel:
    """Deletes it with its identities; the event's listeners refuse while conversations exist on it."""
    channel = await get(uow, channel_id)
    changes = {"name": {"from": channel.name, "to": None}}
    await uow.announce(ChannelDeleted(entity_id=channel_id, changes=changes))
    await uow.session.delete(channel)
    return channel


async def get(uow: UnitOfWork, channel_id: UUID, *path: str) -> Channel:
    """The row, locked; or the refusal NOT_FOUND under that path (`id` by default)."""
    statement = select(Channel).where(Channel.id == channel_id).with_for_update()
    found = await uow.session.execute(statement, execution_options={"populate_existing": True})
    channel = found.scalar_one_or_none()
    if channel is None:
        raise not_found(*(path or ("id",)))
    return channel


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Channel]:
    rows = await session.execute(select(Channel).where(col(Channel.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def by_addresses(session: AsyncSession, kind: ChannelKind, addresses: Collection[str]) -> Sequence[Channel]:
    """Those that have one of these numbers or accounts at the provider."""
    name = kinds.KINDS[kind].address
    if name is None:
        return []
    theirs = col(Channel.settings)[name].astext.in_(addresses)
    return (await session.execute(select(Channel).where(Channel.kind == kind, theirs))).scalars().all()


async def list_all(session: AsyncSession) -> Sequence[Channel]:
    """In alphabetical order."""
    statement = select(Channel).order_by(func.lower(Channel.name), col(Channel.id))
    return (await session.execute(statement)).scalars().all()


async def secrets(session: AsyncSession, settings: Settings, channel: Channel) -> dict[str, str]:
    """The channel's secrets by their names of `channelSchema`, for those who call or verify; never for answers.

    Beside them stands what `rotation` keeps.
    """
    if channel.sealed_secrets is None:
        return {}
    return await vault.unseal(session, settings.master_keys, channel.organization_id, SECRETS, channel.sealed_secrets)


async def account(session: AsyncSession, settings: Settings, channel: Channel) -> Account:
    """What the channel's adapter works with."""
    known = await secrets(session, settings, channel)
    return Account(channel.id, channel.kind, channel.settings, rotation.named(known))


def webhook_url(settings: Settings, kind: ChannelKind, channel_id: UUID) -> str:
    """The address that the channel's provider calls; for web chat the widget's, which speaks GraphQL."""
    if not kinds.KINDS[kind].has_provider:
        return f"{settings.public_url}/graphql"
    return f"{settings.public_url}/webhooks/{global_id('Channel', channel_id)}"


async def fail(uow: UnitOfWork, channel_id: UUID, reason: str) -> None:
    """The provider lets nothing pass any more: an ERROR until a message passes, or secrets or settings change."""
    channel = await get(uow, channel_id)
    changes = change(channel, {"status": ChannelStatus.ERROR, "last_error": reason[:_LONGEST_ERROR]})
    if "status" in changes:
        uow.emit(ChannelFailed(entity_id=channel_id, changes=changes))


async def recover(uow: UnitOfWork, channel_id: UUID) -> None:
    """A message passed."""
    channel = await get(uow, channel_id)
    if channel.status is ChannelStatus.ERROR:
        channel.status, channel.last_error = ChannelStatus.CONNECTED, None


def _connect(channel: Channel, known: dict[str, str]) -> None:
    """What the provider complained about may be mended; whether all secrets are there is told at once."""
    is_complete = kinds.KINDS[channel.kind].needed_secrets <= known.keys()
    channel.status = ChannelStatus.CONNECTED if is_complete else ChannelStatus.DISCONNECTED
    channel.last_error = None


async def _keep_secrets(uow: UnitOfWork, channel: Channel, sealed: dict[str, str], kept: dict[str, str]) -> Changes:
    """Seals them; tells their names only."""
    before = rotation.named(sealed)
    if kept == before:
        return {}
    values = rotation.kept(sealed, kept, uow.now())
    channel.sealed_secrets = await vault.seal(uow, SECRETS, values) if values else None
    return {"secrets": {"from": sorted(before), "to": sorted(kept)}}


async def _checked(
    uow: UnitOfWork, changes: Changes, channel: Channel, before: dict[str, str] | None = None
) -> Changes:
    """The values as they are stored, all secrets among them if one was named; or a refusal that names all."""
    problems, values = Problems(), dict(changes)
    if "name" in changes:
        with problems.gather():
            values["name"] = text.line(changes["name"], "name")
            await _refuse_taken(uow, values["name"], channel.id)
    if changes.get("queue_id") is not None:
        with problems.gather():
            await queues.get(uow, changes["queue_id"], "queue_id")
    if changes.get("flow_id") is not None:
        with problems.gather():
            await uow.announce(ChannelFlowChosen(entity_id=channel.id, flow_id=changes["flow_id"]))
    if "settings" in changes:
        with problems.gather():
            values["settings"] = _settings(uow, channel.kind, changes["settings"])
            await _refuse_used(uow, values["settings"], channel)
    if "secrets" in changes:
        with problems.gather():
            values["secrets"] = _secrets(channel.kind, before or {}, changes["secrets"])
    problems.raise_if_any()
    return values


def _settings(uow: UnitOfWork, kind: ChannelKind, given: Any) -> dict[str, Any]:
    if given is None:
        refuse(UserErrorCode.REQUIRED, "This is required.", "settings")
    values = kinds.checked(kinds.KINDS[kind].settings, given, "settings")
    api_url = values.get("apiUrl")
    if api_url and uow.settings.is_production and not kinds.is_providers(kind, api_url):
        refuse(UserErrorCode.INVALID, "Only the provider's own address can be called.", "settings", "api_url")
    return values


def _secrets(kind: ChannelKind, before: dict[str, str], given: Any) -> dict[str, str]:
    """What is kept when these are named: the others stay, null clears."""
    if given is None:
        return {}
    merged = {**before, **given} if isinstance(given, dict) else given
    return kinds.checked(kinds.KINDS[kind].secrets, merged, "secrets")


async def _refuse_used(uow: UnitOfWork, values: dict[str, Any], channel: Channel) -> None:
    """Two channels of one number would both get what is delivered for it."""
    name = kinds.KINDS[channel.kind].address
    if name is None:
        return
    same = await by_addresses(uow.session, channel.kind, [values[name]])
    if any(other.id != channel.id for other in same):
        refuse(UserErrorCode.TAKEN, "Another channel has this one.", "settings", Verbatim(name))


async def _refuse_taken(uow: UnitOfWork, name: str, besides: UUID) -> None:
    same = select(Channel.id).where(Channel.name == name, Channel.id != besides)
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "Another one has this name.", "name")
