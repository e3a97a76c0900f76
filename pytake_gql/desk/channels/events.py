from typing import ClassVar

from pytake_gql.kernel.events import Event


class ChannelCreated(Event):
    entity: ClassVar[str] = "Channel"


class ChannelUpdated(Event):
    entity: ClassVar[str] = "Channel"


class ChannelDeleted(Event):
    """Its listeners refuse while conversations exist on it."""

    entity: ClassVar[str] = "Channel"
