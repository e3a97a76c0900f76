from typing import ClassVar

from pytake_gql.kernel.events import Event


class ContactCreated(Event):
    entity: ClassVar[str] = "Contact"


class ContactUpdated(Event):
    entity: ClassVar[str] = "Contact"
