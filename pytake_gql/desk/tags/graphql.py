from collections.abc import Sequence
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.desk.tags import models, service
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, present, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import input_type, object_type
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.principal import Role

NOWHERE = UUID(int=0)


@object_type
class Tag(Node):
    """A coloured word that hangs on contacts and conversations."""

    name: str
    """Unique in the organization; case does not count."""
    color: str
    """As #RRGGBB."""

    @classmethod
    def of(cls, row: models.Tag) -> Self:
        return cls(id=strawberry.ID(global_id("Tag", row.id)), name=row.name, color=row.color)


@finds("Tag")
async def find_tag(info: Info, id_: UUID) -> Tag | None:
    row = await info.context.load(service.by_ids, id_)
    return Tag.of(row) if row else None


def filtered_ids(ids: Sequence[str] | None) -> list[UUID] | None:
    """The ids inside a filter; one that is malformed leads nowhere, like one that is unknown."""
    if ids is None:
        return None
    parsed = [parse_global_id(id_) for id_ in ids]
    return [found[1] if found and found[0] == "Tag" else NOWHERE for found in parsed]


@input_type
class SaveTagInput:
    """A new tag, or with an id what a tag becomes."""

    id: strawberry.ID | None = None
    """The tag; none for a new one."""
    name: str
    """Unique in the organization; case does not count."""
    color: strawberry.Maybe[str | None]
    """As #RRGGBB; grey by default."""


@input_type
class DeleteTagInput:
    """The tag to delete; it is taken off everything that has it."""

    id: strawberry.ID
    """The tag."""


@object_type
class TagPayload:
    """The tag that changed."""

    tag: Tag | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class TagQuery:
    @query(Role.VIEWER)
    async def tags(self, info: Info) -> list[Tag]:
        """All tags, in alphabetical order."""
        async with info.context.read() as session:
            return [Tag.of(row) for row in await service.list_all(session)]


@object_type
class TagMutation:
    @mutation(Role.ORG_ADMIN)
    async def save_tag(self, info: Info, input: SaveTagInput) -> TagPayload:
        """Makes a tag, or changes the one whose id is given."""
        uow, given = info.context.uow, present(input)
        if input.id is None:
            row = await service.create(uow, name=input.name, color=given.get("color"))
        else:
            row = await service.update(uow, local_id("Tag", input.id, "id"), {"name": input.name, **given})
        return TagPayload(tag=Tag.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_tag(self, info: Info, input: DeleteTagInput) -> TagPayload:
        """Deletes a tag, and takes it off everything that has it."""
        return TagPayload(tag=Tag.of(await service.delete(info.context.uow, local_id("Tag", input.id, "id"))))
