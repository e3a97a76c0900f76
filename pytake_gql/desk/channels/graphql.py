import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.desk.channels import kinds, models, service, templates
from pytake_gql.desk.channels.ports import Account, AnswerLost, ProviderFailed, ProviderTemplate, TemplateSource
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.graphql import Contact
from pytake_gql.desk.queues.graphql import Queue, find_queue
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, present, user_errors
from pytake_gql.kernel.graphql.node import Node, find, finds
from pytake_gql.kernel.graphql.types import enum_type, extend, field, input_type, object_type
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.principal import Role

enum_type(models.ChannelKind)
enum_type(models.ChannelStatus)
enum_type(models.TemplateStatus)

SYNC_SECONDS = 30.0
"""A provider may be slow, and have many templates."""


@object_type
class MessageTemplate(Node):
    """A text that WhatsApp approved beforehand, as last read from the provider."""

    name: str
    """As it is called at the provider."""
    language: str
    """Such as pt_BR; the same name may exist in several."""
    category: str
    """What the provider takes it for, such as UTILITY or MARKETING."""
    status: models.TemplateStatus
    """Whether it can be sent."""
    body: str
    """What it says, with placeholders such as {{1}}."""
    variables: list[str]
    """Its placeholders, in order."""

    @classmethod
    def of(cls, row: models.MessageTemplate) -> Self:
        return cls(
            id=strawberry.ID(global_id("MessageTemplate", row.id)),
            name=row.name,
            language=row.language,
            category=row.category,
            status=row.status,
            body=row.body,
            variables=templates.variables(row),
        )


@finds("MessageTemplate")
async def find_template(info: Info, id_: UUID) -> MessageTemplate | None:
    row = await info.context.load(templates.by_ids, id_)
    return MessageTemplate.of(row) if row else None


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
    flow_id: strawberry.Private[UUID | None]

    @field
    async def queue(self, info: Info) -> Queue | None:
        """Where a new conversation goes when no flow takes it."""
        return await find_queue(info, self.queue_id) if self.queue_id else None

    @field
    async def webhook_url(self, info: Info) -> str:
        """What the provider (or the web chat widget) calls."""
        return service.webhook_url(info.context.ports.settings, self.kind, id_of(self.id))

    @field
    async def templates(self, info: Info) -> list[MessageTemplate]:
        """What may be sent when the reply window is closed; empty except on WhatsApp."""
        rows = await info.context.load(templates.of_channels, id_of(self.id))
        return [MessageTemplate.of(row) for row in rows or []]

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
            flow_id=row.flow_id,
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
async def identities(self: Contact, info: Info) -> list[ContactIdentity]:
    """Who the contact is on each channel."""
    rows = await info.context.load(contacts.identities_of, id_of(self.id))
    return [
        ContactIdentity(external_id=row.external_id, display_name=row.display_name, channel_id=row.channel_id)
        for row in rows or []
    ]


@input_type
class CreateChannelInput:
    """A new channel."""

    kind: models.ChannelKind
    """What it is made of."""
    name: str
    """Unique in the organization."""
    queue_id: strawberry.ID | None = None
    """Where a new conversation goes when no flow takes it."""
    flow_id: strawberry.ID | None = None
    """The published flow that greets a new conversation."""
    settings: JSON | None = None
    """The provider's public settings; `channelSchema` tells their shape."""
    secrets: JSON | None = None
    """Written, never read back; `channelSchema` tells their shape."""


@input_type
class UpdateChannelInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The channel."""
    name: strawberry.Maybe[str | None]
    """Unique in the organization."""
    queue_id: strawberry.Maybe[strawberry.ID | None]
    """Where a new conversation goes when no flow takes it."""
    flow_id: strawberry.Maybe[strawberry.ID | None]
    """The published flow that greets a new conversation."""
    settings: strawberry.Maybe[JSON | None]
    """All public settings from then on."""
    secrets: strawberry.Maybe[JSON | None]
    """The secrets that change: absent ones stay as they are, null clears one, or all."""


@input_type
class DeleteChannelInput:
    """The channel to delete; WRONG_STATE while conversations exist on it."""

    id: strawberry.ID
    """The channel."""


@input_type
class SyncTemplatesInput:
    """Reads the templates from the provider again."""

    channel_id: strawberry.ID
    """A WhatsApp channel."""


@object_type
class ChannelPayload:
    """The channel that changed."""

    channel: Channel | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


def _with_inner_ids(given: Changes) -> Changes:
    for name, type_name in (("queue_id", "Queue"), ("flow_id", "Flow")):
        if given.get(name) is not None:
            given[name] = local_id(type_name, given[name], name)
    return given


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

    @query(Role.VIEWER)
    async def channel_schema(self, kind: models.ChannelKind) -> JSON:
        """JSON Schemas of a kind's settings and secrets, under the keys `settings` and `secrets`."""
        return JSON(kinds.schema(kind))


@object_type
class ChannelMutation:
    @mutation(Role.ORG_ADMIN)
    async def create_channel(self, info: Info, input: CreateChannelInput) -> ChannelPayload:
        """Makes a channel; on WhatsApp and Instagram tell Meta its `webhookUrl` and the verify token afterwards."""
        given = {name: value for name, value in vars(input).items() if name != "kind" and value is not None}
        row = await service.create(info.context.uow, input.kind, _with_inner_ids(given))
        return ChannelPayload(channel=Channel.of(row))

    @mutation(Role.ORG_ADMIN)
    async def update_channel(self, info: Info, input: UpdateChannelInput) -> ChannelPayload:
        """Changes the fields that are present."""
        channel_id = local_id("Channel", input.id, "id")
        row = await service.update(info.context.uow, channel_id, _with_inner_ids(present(input)))
        return ChannelPayload(channel=Channel.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_channel(self, info: Info, input: DeleteChannelInput) -> ChannelPayload:
        """Deletes a channel that no conversation was held on."""
        row = await service.delete(info.context.uow, local_id("Channel", input.id, "id"))
        return ChannelPayload(channel=Channel.of(row))

    @mutation(Role.ORG_ADMIN, seconds=SYNC_SECONDS)
    async def sync_templates(self, info: Info, input: SyncTemplatesInput) -> ChannelPayload:
        """Reads the templates from the provider again; PROVIDER_FAILED when it gives none."""
        channel_id = local_id("Channel", input.channel_id, "channel_id")
        async with info.context.read() as session:
            account = await templates.to_read(session, info.context.ports.settings, channel_id)
        # The unit of work has asked the database nothing yet: no transaction is open while the provider is called.
        found = await _templates(info.context.ports.adapters[TemplateSource], account)
        row = await templates.replace(info.context.uow, channel_id, found)
        return ChannelPayload(channel=Channel.of(row))


async def _templates(source: TemplateSource, account: Account) -> Sequence[ProviderTemplate]:
    """What the provider tells, or the refusal PROVIDER_FAILED."""
    try:
        async with asyncio.timeout(SYNC_SECONDS - 5):
            return await source.templates(account)
    except (ProviderFailed, AnswerLost, TimeoutError) as failure:
        reason = str(failure) or "no answer"
        refuse(UserErrorCode.PROVIDER_FAILED, "The provider refused: {reason}", "channel_id", reason=reason)
