from typing import ClassVar

from pytake_gql.kernel.events import Event


class TagCreated(Event):
    entity: ClassVar[str] = "Tag"


class TagUpdated(Event):
    entity: ClassVar[str] = "Tag"


class TagDeleted(Event):
    """It is taken off everything that had it."""

    entity: ClassVar[str] = "Tag"
