from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.automation.flow_automations.graphql import FlowAutomation, find_automation
from pytake_gql.desk.channels.graphql import Channel, find_channel
from pytake_gql.desk.conversations import queries
from pytake_gql.desk.conversations.nodes import Conversation
from pytake_gql.insight.notifications import models, service, texts
from pytake_gql.kernel.bus import around
from pytake_gql.kernel.graphql.access import query, subscription
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import enum_type, field, input_type, object_type
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role

POLL_SECONDS = 5.0
OVERLAP = timedelta(seconds=60)
"""Longer than any transaction takes from the instant that it writes until it is seen."""

_NOWHERE = UUID(int=0)

enum_type(models.NotificationKind)


@object_type
class Notification(Node):
    """Something that one member should know about; only that member sees it."""

    row: strawberry.Private[models.Notification]
    kind: models.NotificationKind
    """What happened."""
    title: str
    """One line, in the caller's language (Accept-Language: pt-BR or en)."""
    read_at: datetime | None
    """When the member marked it as read; it is kept for 30 days from then on."""
    created_at: datetime
    """When it happened."""

    @classmethod
    def of(cls, row: models.Notification, locale: str) -> Self:
        return cls(
            id=strawberry.ID(global_id("Notification", row.id)),
            row=row,
            kind=row.kind,
            title=texts.title(row, locale),
            read_at=row.read_at,
            created_at=row.created_at,
        )

    @field
    async def body(self, info: Info) -> str | None:
        """Who wrote last or waits, while the member may see the conversation; why something failed or paused."""
        if self.row.reason is not None:
            return self.row.reason
        seen = await self.conversation(info)
        contact = await seen.contact(info) if seen else None
        return contact.name if contact else None

    @field
    async def conversation(self, info: Info) -> Conversation | None:
        """What it is about; null where there is none, and while the member may not see it."""
        id_ = self.row.conversation_id
        seen = await info.context.load_as_caller(queries.visible, id_) if id_ else None
        return Conversation.of(seen) if seen else None

    @field
    async def channel(self, info: Info) -> Channel | None:
        """Which channel failed, under CHANNEL_FAILED."""
        found: Channel | None = await find_channel(info, self.row.channel_id) if self.row.channel_id else None
        return found

    @field
    async def flow_automation(self, info: Info) -> FlowAutomation | None:
        """Which automation paused or failed."""
        id_ = self.row.flow_automation_id
        return await find_automation(info, id_) if id_ else None


@finds("Notification")
async def find_notification(info: Info, id_: UUID) -> Notification | None:
    """The notification, if it is the caller's."""
    async with info.context.read() as session:
        row = (await service.own(session, info.context.member, [id_])).get(id_)
    return Notification.of(row, info.context.locale) if row else None


@input_type
class MarkNotificationsReadInput:
    """What the caller has read."""

    ids: list[strawberry.ID] | None = None
    """All, when absent."""


@object_type
class MarkNotificationsReadPayload:
    """How many became read."""

    count: int = 0
    """Those that were read before do not count."""
    user_errors: list[UserError] = user_errors()


@object_type
class NotificationQuery:
    @query(Role.VIEWER)
    async def notifications(
        self, info: Info, unread_only: bool = False, first: int | None = None, after: str | None = None
    ) -> Connection[Notification]:
        """The caller's own notifications, the newest first."""
        member, wanted, locale = info.context.member, window(first, after), info.context.locale

        async def count() -> int:
            async with info.context.read() as session:
                return await service.count(session, member, is_unread=unread_only)

        async with info.context.read() as session:
            page = await service.list_page(session, member, wanted, is_unread=unread_only)
        found: Connection[Notification] = connection(page.map(lambda row: Notification.of(row, locale)), count)
        return found


@object_type
class NotificationMutation:
    @mutation(Role.VIEWER)
    async def mark_notifications_read(
        self, info: Info, input: MarkNotificationsReadInput
    ) -> MarkNotificationsReadPayload:
        """Marks the caller's own notifications as read."""
        ids = None if input.ids is None else [_local(id_) for id_ in input.ids]
        count = await service.mark_read(info.context.uow, info.context.member, ids)
        return MarkNotificationsReadPayload(count=count)


@object_type
class NotificationSubscription:
    @subscription(Role.VIEWER)
    async def notifications(self, info: Info) -> AsyncGenerator[Notification, None]:
        """Each new notification of the caller, once; what came before, and while nobody listened, is in the list."""
        context, member = info.context, info.context.member
        async with context.ports.bus.subscribe(service.topic(member.member_id)) as wakes:
            looked_at = context.ports.clock.now()
            async with context.read() as session:
                known = {row.id for row in await service.since(session, member, looked_at - OVERLAP)}
            while await context.renew():
                context.forget()
                began = context.ports.clock.now()
                async with context.read() as session:
                    recent = await service.since(session, member, looked_at - OVERLAP)
                looked_at = began
                for row in recent:
                    if row.id not in known:
                        yield Notification.of(row, context.locale)
                known = {row.id for row in recent}
                await wakes.next(around(POLL_SECONDS))
                wakes.drain()


def _local(id_: str) -> UUID:
    """A malformed one, or of another type, leads nowhere."""
    parsed = parse_global_id(id_)
    return parsed[1] if parsed and parsed[0] == "Notification" else _NOWHERE
