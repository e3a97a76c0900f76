from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import enum_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.tenancy.members import models, service

enum_type(ConversationScope)
enum_type(models.Availability)


@object_type
class Member(Node):
    """A person inside one organization, with a role there."""

    email: str
    """The address that the person signs in with."""
    name: str
    """As colleagues and contacts see it."""
    avatar_url: str | None
    """A picture."""
    role: Role
    """What the member may do."""
    is_active: bool
    """Inactive members cannot sign in and are assigned nothing."""
    availability: models.Availability
    """What the member last chose, turned OFFLINE when no live connection has been seen for a minute."""
    conversation_scope: ConversationScope
    """Which conversations the member sees, in lists, searches, counts and subscriptions alike."""
    last_seen_at: datetime | None
    """When the member was last connected."""
    capacity: int
    """How many assigned conversations this member takes at once. Routing never exceeds it."""
    load: int
    """Assigned conversations that count against capacity now."""
    created_at: datetime
    """When the membership began."""

    @classmethod
    def of(cls, row: models.Member) -> Self:
        return cls(
            id=strawberry.ID(global_id("Member", row.id)),
            email=row.email,
            name=row.name,
            avatar_url=row.avatar_url,
            role=row.role,
            is_active=row.is_active,
            availability=row.availability,
            conversation_scope=row.conversation_scope,
            last_seen_at=row.last_seen_at,
            capacity=row.capacity,
            load=row.load,
            created_at=row.created_at,
        )


@finds("Member")
async def find_member(info: Info, id_: UUID) -> Member | None:
    row = await info.context.load(service.by_ids, id_)
    return Member.of(row) if row and row.removed_at is None else None


async def load_member(info: Info, id_: UUID | None) -> Member | None:
    """Whoever wrote or did something, also after leaving the organization."""
    row = await info.context.load(service.by_ids, id_) if id_ else None
    return Member.of(row) if row else None
