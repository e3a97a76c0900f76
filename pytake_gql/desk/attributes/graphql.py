from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.desk.attributes import models, service
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import enum_type, input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role

enum_type(models.ContactAttributeKind)


@object_type
class ContactAttribute(Node):
    """A custom field of contacts: how forms and filters show a key of Contact.attributes.

    key and kind stay as they were made.
    """

    key: str
    """Of Contact.attributes; unique in the organization."""
    name: str
    """As forms call it."""
    kind: models.ContactAttributeKind
    """What its values are."""
    choices: list[str]
    """Of a CHOICE; empty for the others."""

    @classmethod
    def of(cls, row: models.ContactAttribute) -> Self:
        return cls(
            id=strawberry.ID(global_id("ContactAttribute", row.id)),
            key=row.key,
            name=row.name,
            kind=row.kind,
            choices=row.choices,
        )


@finds("ContactAttribute")
async def find_contact_attribute(info: Info, id_: UUID) -> ContactAttribute | None:
    row = await info.context.load(service.by_ids, id_)
    return ContactAttribute.of(row) if row else None


@input_type
class SaveContactAttributeInput:
    """A new custom field, or with an id what one becomes."""

    id: strawberry.ID | None = None
    """The custom field; none for a new one."""
    key: str
    """Of Contact.attributes; unique in the organization, and the same ever after."""
    name: str
    """As forms call it."""
    kind: models.ContactAttributeKind
    """What its values are; the same ever after."""
    choices: list[str] | None = None
    """What a CHOICE may be, at most 100; for the others none."""


@input_type
class DeleteContactAttributeInput:
    """The custom field to delete; contacts keep their values, which nobody checks any more."""

    id: strawberry.ID
    """The custom field."""


@object_type
class ContactAttributePayload:
    """The custom field that changed."""

    contact_attribute: ContactAttribute | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class ContactAttributeQuery:
    @query(Role.VIEWER)
    async def contact_attributes(self, info: Info) -> list[ContactAttribute]:
        """All custom fields of contacts, in alphabetical order."""
        async with info.context.read() as session:
            return [ContactAttribute.of(row) for row in await service.list_all(session)]


@object_type
class ContactAttributeMutation:
    @mutation(Role.ORG_ADMIN)
    async def save_contact_attribute(self, info: Info, input: SaveContactAttributeInput) -> ContactAttributePayload:
        """Makes a custom field, or changes the one whose id is given."""
        uow, given = info.context.uow, {name: value for name, value in vars(input).items() if name != "id"}
        if input.id is None:
            row = await service.create(uow, **given)
        else:
            row = await service.update(uow, local_id("ContactAttribute", input.id, "id"), **given)
        return ContactAttributePayload(contact_attribute=ContactAttribute.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_contact_attribute(self, info: Info, input: DeleteContactAttributeInput) -> ContactAttributePayload:
        """Deletes a custom field; contacts keep their values, which nobody checks any more."""
        row = await service.delete(info.context.uow, local_id("ContactAttribute", input.id, "id"))
        return ContactAttributePayload(contact_attribute=ContactAttribute.of(row))
