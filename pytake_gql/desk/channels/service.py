from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels.events import ChannelCreated, ChannelDeleted, ChannelUpdated
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.queues import service as queues
from pytake_gql.kernel import text, vault
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.settings import Settings
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 500
SECRETS = "channels.sealed_secrets"
"""What the vault binds their ciphertext to."""
_SUBJECT = "channels"


async def create(uow: UnitOfWork, kind: ChannelKind, given: Changes) -> Channel:
    """`given` is as for `update`; the name is among it."""
    if kind not in kinds.KINDS:
        refuse(UserErrorCode.INVALID, "This kind of channel is not available yet.", "kind")
    await one_at_a_time(uow, _SUBJECT)
    channel = Channel(kind=kind, name="", created_at=uow.now())
    values = await _checked(uow, {"settings": {}, **given}, channel)
    if await uow.session.scalar(select(func.count()).select_from(Channel)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    secrets = values.pop("secrets", {})
    changes = change(channel, values)
    uow.add(channel)
    changes |= await _keep_secrets(uow, channel, {}, secrets)
    uow.emit(ChannelCreated(entity_id=channel.id, changes={"kind": {"from": None, "to": kind}, **changes}))
    return channel


async def update(uow: UnitOfWork, channel_id: UUID, changes: Changes) -> Channel:
    """`settings` replaces them all; `secrets` only those named, and null clears one, or all."""
    await one_at_a_time(uow, _SUBJECT)
    channel = await get(uow, channel_id)
    before = await secrets(uow.session, uow.settings, channel)
    values = await _checked(uow, changes, channel, before)
    kept = values.pop("secrets", before)
    changed = change(channel, values) | await _keep_secrets(uow, channel, before, kept)
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


async def list_all(session: AsyncSession) -> Sequence[Channel]:
    """In alphabetical order."""
    statement = select(Channel).order_by(func.lower(Channel.name), col(Channel.id))
    return (await session.execute(statement)).scalars().all()


async def secrets(session: AsyncSession, settings: Settings, channel: Channel) -> dict[str, str]:
    """The channel's secrets by their names of `channelSchema`, for those who call or verify; never for answers."""
    if channel.sealed_secrets is None:
        return {}
    return await vault.unseal(session, settings.master_keys, channel.organization_id, SECRETS, channel.sealed_secrets)


def webhook_url(settings: Settings) -> str:
    """The address that the channel's provider calls; for web chat the widget's, which speaks GraphQL."""
    return f"{settings.public_url}/graphql"


async def _keep_secrets(uow: UnitOfWork, channel: Channel, before: dict[str, str], kept: dict[str, str]) -> Changes:
    """Seals them; tells their names only."""
    if kept == before:
        return {}
    channel.sealed_secrets = await vault.seal(uow, SECRETS, kept) if kept else None
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
    if "settings" in changes:
        with problems.gather():
            values["settings"] = _settings(channel.kind, changes["settings"])
    if "secrets" in changes:
        with problems.gather():
            values["secrets"] = _secrets(channel.kind, before or {}, changes["secrets"])
    problems.raise_if_any()
    return values


def _settings(kind: ChannelKind, given: Any) -> dict[str, Any]:
    if given is None:
        refuse(UserErrorCode.REQUIRED, "This is required.", "settings")
    return kinds.checked(kinds.KINDS[kind].settings, given, "settings")


def _secrets(kind: ChannelKind, before: dict[str, str], given: Any) -> dict[str, str]:
    """What is kept when these are named: the others stay, null clears."""
    if given is None:
        return {}
    merged = {**before, **given} if isinstance(given, dict) else given
    return kinds.checked(kinds.KINDS[kind].secrets, merged, "secrets")


async def _refuse_taken(uow: UnitOfWork, name: str, besides: UUID) -> None:
    same = select(Channel.id).where(Channel.name == name, Channel.id != besides)
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "Another one has this name.", "name")
