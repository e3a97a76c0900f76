from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.insight.audit import models, service
from pytake_gql.insight.audit.service import Criteria
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import camel
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import enum_type, field, object_type
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.graphql import Member, load_member

enum_type(models.ActorKind)

_NOWHERE = UUID(int=0)


@object_type
class AuditEntry(Node):
    """Who did what. actor is null for all but a member of this organization; actorName tells who it was all the same.

    Entries are written together with what they tell, and never changed or deleted.
    """

    actor_row_id: strawberry.Private[UUID | None]
    at: datetime
    """When it happened."""
    actor_kind: models.ActorKind
    """Member, super admin from outside, API key, or PyTake itself."""
    actor_name: str
    """The name at that time."""
    action: str
    """What happened, such as `member.updated`."""
    entity_type: str
    """The GraphQL type that it happened to."""
    entity_id: strawberry.ID
    """Which one; `node` finds it while it is there."""
    changes: JSON
    """Field to {"from": …, "to": …}. Secrets and texts of messages are not told."""
    ip_address: str | None
    """Where it was asked from."""

    @field
    async def actor(self, info: Info) -> Member | None:
        """The member who did it, also one who has left since."""
        return await load_member(info, self.actor_row_id)

    @classmethod
    def of(cls, row: models.AuditEntry) -> Self:
        return cls(
            id=strawberry.ID(global_id("AuditEntry", row.id)),
            actor_row_id=row.actor_id,
            at=row.at,
            actor_kind=row.actor_kind,
            actor_name=row.actor_name,
            action=row.action,
            entity_type=row.entity_type,
            entity_id=strawberry.ID(global_id(row.entity_type, row.entity_id)),
            changes=JSON({camel(name): change for name, change in row.changes.items()}),
            ip_address=row.ip_address,
        )


@finds("AuditEntry", Role.ORG_ADMIN)
async def find_audit_entry(info: Info, id_: UUID) -> AuditEntry | None:
    row = await info.context.load(service.by_ids, id_)
    return AuditEntry.of(row) if row else None


@object_type
class AuditQuery:
    @query(Role.ORG_ADMIN)
    async def audit_log(
        self,
        info: Info,
        entity_type: str | None = None,
        entity_id: strawberry.ID | None = None,
        actor_id: strawberry.ID | None = None,
        since: Annotated[datetime | None, strawberry.argument(name="from")] = None,
        until: Annotated[datetime | None, strawberry.argument(name="to")] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[AuditEntry]:
        """Who did what in [from, to), the newest first; an id that leads nowhere has no entries."""
        wanted = window(first, after)
        criteria = Criteria(
            entity_type=entity_type,
            entity_id=_local(entity_id, entity_type),
            actor_id=_local(actor_id, "Member"),
            since=since,
            until=until,
        )

        async def count() -> int:
            async with info.context.read() as session:
                return await service.count(session, criteria)

        async with info.context.read() as session:
            page = await service.list_page(session, criteria, wanted)
        found: Connection[AuditEntry] = connection(page.map(AuditEntry.of), count)
        return found


def _local(id_: str | None, type_name: str | None) -> UUID | None:
    """None where none was given; a malformed one, or of another type than the one asked for, leads nowhere."""
    if id_ is None:
        return None
    parsed = parse_global_id(id_)
    return parsed[1] if parsed and parsed[0] == (type_name or parsed[0]) else _NOWHERE
