from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from pytake_gql.desk.contacts import imports, merging, models, service
from pytake_gql.desk.contacts.inputs import (
    ContactFilter,
    CreateContactInput,
    DeleteContactInput,
    ImportContactsInput,
    MergeContactsInput,
    UpdateContactInput,
)
from pytake_gql.desk.contacts.sheets import Rejected
from pytake_gql.desk.tags.graphql import Tag
from pytake_gql.kernel.errors import NotFound
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, local_ids, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, find, finds
from pytake_gql.kernel.graphql.types import field, object_type
from pytake_gql.kernel.ids import global_id, id_of
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

    @field
    async def tags(self, info: Info) -> list[Tag]:
        """In alphabetical order."""
        return [Tag.of(row) for row in await info.context.load(service.tags_of, id_of(self.id)) or []]

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
    return Contact.of(row) if row and row.erased_at is None else None


async def load_contact(info: Info, id_: UUID) -> Contact:
    """The contact of something that it has, also one of which only that is left."""
    row = await info.context.load(service.by_ids, id_)
    if row is None:
        raise NotFound
    return Contact.of(row)


@object_type
class ContactPayload:
    """The contact that changed."""

    contact: Contact | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class RejectedRow:
    """A row that was left out."""

    line: int
    """Where it begins in the text; the header row is line 1."""
    reason: str
    """What is wrong with it, in the caller's language."""

    @classmethod
    def of(cls, rejected: Rejected, locale: str) -> Self:
        reasons = [": ".join((*problem.field[-1:], problem.message(locale))) for problem in rejected.problems]
        return cls(line=rejected.line, reason="; ".join(reasons))


@object_type
class ImportContactsPayload:
    """What became of the rows.

    Of a file that is sent in parts each answer tells how far it is. A part that is sent again, because its answer was
    lost, updates the contacts that it made; rows with neither phone nor e-mail address make new ones.
    """

    created: int = 0
    """How many contacts are new."""
    updated: int = 0
    """How many were known before, by their phone or e-mail address."""
    rejected: list[RejectedRow] = strawberry.field(default_factory=list, description="The others, by line.")
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
            tag_ids=local_ids("Tag", input.tag_ids or (), "tag_ids"),
        )
        return ContactPayload(contact=Contact.of(row))

    @mutation(Role.AGENT)
    async def update_contact(self, info: Info, input: UpdateContactInput) -> ContactPayload:
        """Changes the fields that are present."""
        row = await service.update(info.context.uow, local_id("Contact", input.id, "id"), input.given())
        return ContactPayload(contact=Contact.of(row))

    @mutation(Role.AGENT)
    async def merge_contacts(self, info: Info, input: MergeContactsInput) -> ContactPayload:
        """Makes one contact of two that are one person.

        Identities, conversations and tags go to the one kept, whose empty fields are filled. Where both had an open
        conversation on one channel, the older is closed with a note.
        """
        keep_id = local_id("Contact", input.keep_id, "keep_id")
        merge_id = local_id("Contact", input.merge_id, "merge_id")
        return ContactPayload(contact=Contact.of(await merging.merge(info.context.uow, keep_id, merge_id)))

    @mutation(Role.ORG_ADMIN)
    async def delete_contact(self, info: Info, input: DeleteContactInput) -> ContactPayload:
        """Erases the contact and, with it, its conversations' content; that they took place stays, for reports."""
        row = await merging.erase(info.context.uow, local_id("Contact", input.id, "id"))
        return ContactPayload(contact=Contact.of(row))

    @mutation(Role.ORG_ADMIN)
    async def import_contacts(self, info: Info, input: ImportContactsInput) -> ImportContactsPayload:
        """Makes contacts of a table, and updates those whose phone or e-mail address is known.

        What a row says replaces what was known, tags and attributes are added, and tags that are new are made; an
        empty cell changes nothing. Rows that cannot be read are left out, the others are taken.
        """
        done = await imports.import_csv(info.context.uow, input.csv)
        rejected = [RejectedRow.of(row, info.context.locale) for row in done.rejected]
        return ImportContactsPayload(created=done.created, updated=done.updated, rejected=rejected)
