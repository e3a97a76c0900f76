from typing import ClassVar

from pytake_gql.kernel.events import Event


class ContactAttributeCreated(Event):
    entity: ClassVar[str] = "ContactAttribute"


class ContactAttributeUpdated(Event):
    entity: ClassVar[str] = "ContactAttribute"


class ContactAttributeDeleted(Event):
    """Contacts keep what they have under its key: nobody checks it any more."""

    entity: ClassVar[str] = "ContactAttribute"
