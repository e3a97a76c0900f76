from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.desk.contacts import models, service
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, present, user_errors
from pytake_gql.kernel.graphql.node import Node, find, finds
from pytake_gql.kernel.graphql.types import input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role


@object_type
class Contact(Node):
    """Somebody who writes to the company."""

    name: str | None
    """As the contact is called, by itself or by the team."""
    phone: str | None
    """In E.164, such as +5511987654321."""
    email: str | None
    """An e-mail address."""
    attributes: JSON
    """Flat: key to text, number, true or false."""
    is_blocked: bool
    """What a blocked contact writes is not taken in."""
    opted_out_at: datetime | None
    """When the contact asked for no more proactive messages; automations skip it from then on."""
    created_at: datetime
    """When the contact became known."""

    @classmethod
    def of(cls, row: models.Contact) -> Self:
        return cls(
            id=strawberry.ID(global_id("Contact", row.id)),
            name=row.name,
            phone=row.phone,
            email=row.email,
            attributes=JSON(row.attributes),
            is_blocked=row.is_blocked,
            opted_out_at=row.opted_out_at,
            created_at=row.created_at,
        )


@finds("Contact")
async def find_contact(info: Info, id_: UUID) -> Contact | None:
    row = await info.context.load(service.by_ids, id_)
    return Contact.of(row) if row else None


@input_type
class ContactFilter:
    """Which contacts are wanted: those that fit everything given."""

    search: str | None = None
    """In name, phone and e-mail.

    All words must be there or begin so, without regard to accents, case or order; a phone is found by any four digits
    in a row. Of what very many contacts hold, the newest are found.
    """
    is_blocked: bool | None = None
    """Only those that are blocked, or only those that are not."""
    opted_out: bool | None = None
    """Only those that asked for no more proactive messages, or only those that did not."""

    def criteria(self) -> service.Criteria:
        return service.Criteria(search=self.search, is_blocked=self.is_blocked, opted_out=self.opted_out)


@input_type
class CreateContactInput:
    """A contact that the team knows before it writes."""

    name: str | None = None
    """As the contact is called."""
    phone: str | None = None
    """A phone number; without a country code one of the organization's country."""
    email: str | None = None
    """An e-mail address."""
    attributes: JSON | None = None
    """Flat: key to text, number, true or false; at most 100 keys."""


@input_type
class UpdateContactInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The contact."""
    name: strawberry.Maybe[str | None]
    """As the contact is called."""
    phone: strawberry.Maybe[str | None]
    """A phone number; without a country code one of the organization's country."""
    email: strawberry.Maybe[str | None]
    """An e-mail address."""
    attributes: strawberry.Maybe[JSON | None]
    """All attributes from then on."""
    is_blocked: strawberry.Maybe[bool | None]
    """Whether what the contact writes is kept out."""
    opted_out: strawberry.Maybe[bool | None]
    """Whether the contact wants no more proactive messages."""


@object_type
class ContactPayload:
    """The contact that changed."""

    contact: Contact | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class ContactQuery:
    @query(Role.VIEWER)
    async def contacts(
        self,
        info: Info,
        filter: ContactFilter | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Contact]:
        """All contacts that fit, the newest first."""
        criteria = (filter or ContactFilter()).criteria()

        async def count() -> int:
            async with info.context.read() as session:
                return await service.count(session, criteria)

        async with info.context.read() as session:
            page = await service.list_page(session, criteria, window(first, after, last, before))
        found: Connection[Contact] = connection(page.map(Contact.of), count)
        return found

    @query(Role.VIEWER)
    async def contact(self, info: Info, id: strawberry.ID) -> Contact | None:
        """One contact, or null."""
        found: Contact | None = await find(info, "Contact", id)
        return found


@object_type
class ContactMutation:
    @mutation(Role.AGENT)
    async def create_contact(self, info: Info, input: CreateContactInput) -> ContactPayload:
        """Makes a contact."""
        row = await service.create(
            info.context.uow,
            name=input.name,
            phone=input.phone,
            email=input.email,
            attributes=input.attributes,
        )
        return ContactPayload(contact=Contact.of(row))

    @mutation(Role.AGENT)
    async def update_contact(self, info: Info, input: UpdateContactInput) -> ContactPayload:
        """Changes the fields that are present."""
        row = await service.update(info.context.uow, local_id("Contact", input.id, "id"), present(input))
        return ContactPayload(contact=Contact.of(row))
