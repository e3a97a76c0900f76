from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.desk.channels import models, service
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.graphql import Contact
from pytake_gql.desk.queues.graphql import Queue, find_queue
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.node import Node, find, finds, inner_id
from pytake_gql.kernel.graphql.types import enum_type, extend, field, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role

enum_type(models.ChannelKind)
enum_type(models.ChannelStatus)


@object_type
class Channel(Node):
    """A way by which contacts write: a web chat on a site, a phone number, an account."""

    kind: models.ChannelKind
    """What it is made of; it stays as it was made."""
    name: str
    """Unique in the organization."""
    status: models.ChannelStatus
    """Whether messages pass."""
    last_error: str | None
    """What the provider last complained about."""
    settings: JSON
    """The provider's public settings; `channelSchema` tells their shape. Secrets are written, never read back."""
    created_at: datetime
    """When it was made."""
    queue_id: strawberry.Private[UUID | None]

    @field
    async def queue(self, info: Info) -> Queue | None:
        """Where a new conversation goes when no flow takes it."""
        return await find_queue(info, self.queue_id) if self.queue_id else None

    @field
    async def webhook_url(self, info: Info) -> str:
        """What the provider (or the web chat widget) calls."""
        return service.webhook_url(info.context.ports.settings)

    @classmethod
    def of(cls, row: models.Channel) -> Self:
        return cls(
            id=strawberry.ID(global_id("Channel", row.id)),
            kind=row.kind,
            name=row.name,
            status=row.status,
            last_error=row.last_error,
            settings=JSON(row.settings),
            created_at=row.created_at,
            queue_id=row.queue_id,
        )


@finds("Channel")
async def find_channel(info: Info, id_: UUID) -> Channel | None:
    row = await info.context.load(service.by_ids, id_)
    return Channel.of(row) if row else None


@object_type
class ContactIdentity:
    """Who a contact is on one channel."""

    external_id: str
    """The phone on WhatsApp, the user's id on Instagram, the site's own user id in web chat."""
    display_name: str | None
    """As the contact is called there."""
    channel_id: strawberry.Private[UUID]

    @field
    async def channel(self, info: Info) -> Channel:
        """The channel."""
        found: Channel = await find_channel(info, self.channel_id)  # by its foreign key
        return found


@extend(Contact)
async def identities(self: strawberry.Parent[Contact], info: Info) -> list[ContactIdentity]:
    """Who the contact is on each channel."""
    rows = await info.context.load(contacts.identities_of, inner_id(self))
    return [
        ContactIdentity(external_id=row.external_id, display_name=row.display_name, channel_id=row.channel_id)
        for row in rows or []
    ]


@object_type
class ChannelQuery:
    @query(Role.VIEWER)
    async def channels(self, info: Info) -> list[Channel]:
        """All channels, in alphabetical order."""
        async with info.context.read() as session:
            return [Channel.of(row) for row in await service.list_all(session)]

    @query(Role.VIEWER)
    async def channel(self, info: Info, id: strawberry.ID) -> Channel | None:
        """One channel, or null."""
        found: Channel | None = await find(info, "Channel", id)
        return found
