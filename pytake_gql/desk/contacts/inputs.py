"""What clients say about contacts."""

import strawberry
from strawberry.scalars import JSON

from pytake_gql.desk.contacts import service
from pytake_gql.desk.tags.graphql import filtered_ids
from pytake_gql.kernel.errors import BadUserInput
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.mutation import local_ids, present
from pytake_gql.kernel.graphql.types import input_type


@input_type
class ContactFilter:
    """Which contacts are wanted: those that fit everything given."""

    search: str | None = None
    """In name, phone and e-mail."""
    tag_ids: list[strawberry.ID] | None = None
    """With all of these."""
    attributes: JSON | None = None
    """Equal in every key given."""
    is_blocked: bool | None = None
    """Only those that are blocked, or only those that are not."""
    opted_out: bool | None = None
    """Only those that asked for no more proactive messages, or only those that did not."""

    def criteria(self) -> service.Criteria:
        if not isinstance(self.attributes, dict | None):
            raise BadUserInput("attributes is an object of keys and values.")
        return service.Criteria(
            search=self.search,
            tag_ids=filtered_ids(self.tag_ids),
            attributes=self.attributes,
            is_blocked=self.is_blocked,
            opted_out=self.opted_out,
        )


@input_type
class CreateContactInput:
    """A contact that the team knows before it writes."""

    name: str | None = None
    """As the contact is called."""
    phone: str | None = None
    """A phone number; without a country code one of the organization's country. No other contact has it."""
    email: str | None = None
    """An e-mail address."""
    attributes: JSON | None = None
    """Flat: key to text, number, true or false; at most 100 keys."""
    tag_ids: list[strawberry.ID] | None = None
    """The tags that it has."""


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
    tag_ids: strawberry.Maybe[list[strawberry.ID] | None]
    """All tags from then on."""
    is_blocked: strawberry.Maybe[bool | None]
    """Whether what the contact writes is kept out."""
    opted_out: strawberry.Maybe[bool | None]
    """Whether the contact wants no more proactive messages."""

    def given(self) -> Changes:
        """By the names of the row, without the contact's own id."""
        given = present(self, "id")
        if given.get("tag_ids") is not None:
            given["tag_ids"] = local_ids("Tag", given["tag_ids"], "tag_ids")
        return given


@input_type
class MergeContactsInput:
    """Two contacts that are one person."""

    keep_id: strawberry.ID
    """The contact that stays, with what it has; what it lacks it gets from the other one."""
    merge_id: strawberry.ID
    """The contact that goes; from then on this id leads to the one kept."""


@input_type
class DeleteContactInput:
    """The contact to erase, and with it its conversations' content."""

    id: strawberry.ID
    """The contact."""


@input_type
class ImportContactsInput:
    """Contacts of another system."""

    csv: str
    """CSV text with a header row: name, phone, email, tags; other columns become attributes.

    Separated by commas, semicolons or tabs, several tags in one cell too. Up to the size of a request, and 5,000 rows:
    a larger file is sent in parts.
    """
