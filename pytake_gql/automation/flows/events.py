from typing import ClassVar

from pytake_gql.kernel.events import Event


class FlowCreated(Event):
    entity: ClassVar[str] = "Flow"


class FlowUpdated(Event):
    """Of a draft only that it was saved is told."""

    entity: ClassVar[str] = "Flow"


class FlowPublished(Event):
    entity: ClassVar[str] = "Flow"


class FlowDeleted(Event):
    """Before it is done: who still needs it refuses."""

    entity: ClassVar[str] = "Flow"
