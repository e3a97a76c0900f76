from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.desk.canned_responses import models, service
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role


@object_type
class CannedResponse(Node):
    """A text that members say often."""

    shortcut: str
    """One word, unique in the organization whatever its case."""
    text: str
    """What is said."""

    @classmethod
    def of(cls, row: models.CannedResponse) -> Self:
        id_ = strawberry.ID(global_id("CannedResponse", row.id))
        return cls(id=id_, shortcut=row.shortcut, text=row.text)


@finds("CannedResponse")
async def find_canned_response(info: Info, id_: UUID) -> CannedResponse | None:
    row = await info.context.load(service.by_ids, id_)
    return CannedResponse.of(row) if row else None


@input_type
class SaveCannedResponseInput:
    """The whole of it."""

    id: strawberry.ID | None = None
    """The one that changes; a new one is made without."""
    shortcut: str
    """One word, at most 60 characters."""
    text: str
    """What is said, at most 10,000 characters."""


@input_type
class DeleteCannedResponseInput:
    """What goes."""

    id: strawberry.ID
    """The canned response."""


@object_type
class CannedResponsePayload:
    """The canned response that changed."""

    canned_response: CannedResponse | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class CannedResponseQuery:
    @query(Role.VIEWER)
    async def canned_responses(self, info: Info, search: str | None = None) -> list[CannedResponse]:
        """All, or those that hold the text; by shortcut, those first whose shortcut begins so."""
        async with info.context.read() as session:
            return [CannedResponse.of(row) for row in await service.list_all(session, search)]


@object_type
class CannedResponseMutation:
    @mutation(Role.ORG_ADMIN)
    async def save_canned_response(self, info: Info, input: SaveCannedResponseInput) -> CannedResponsePayload:
        """Makes one, or changes the one named."""
        if input.id is None:
            row = await service.create(info.context.uow, input.shortcut, input.text)
        else:
            known = local_id("CannedResponse", input.id, "id")
            row = await service.update(info.context.uow, known, input.shortcut, input.text)
        return CannedResponsePayload(canned_response=CannedResponse.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_canned_response(self, info: Info, input: DeleteCannedResponseInput) -> CannedResponsePayload:
        """Deletes one."""
        row = await service.delete(info.context.uow, local_id("CannedResponse", input.id, "id"))
        return CannedResponsePayload(canned_response=CannedResponse.of(row))
