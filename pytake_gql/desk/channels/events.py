from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pytake_gql.kernel.events import Event


class ChannelCreated(Event):
    entity: ClassVar[str] = "Channel"


class ChannelUpdated(Event):
    entity: ClassVar[str] = "Channel"


class ChannelDeleted(Event):
    """Its listeners refuse while conversations exist on it."""

    entity: ClassVar[str] = "Channel"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelFlowChosen(Event):
    """That flow is to greet there: whoever knows flows refuses one that cannot. The caller's path is `flow_id`."""

    entity: ClassVar[str] = "Channel"
    is_audited: ClassVar[bool] = False

    flow_id: UUID


class ChannelFailed(Event):
    """Its provider lets nothing pass any more."""

    entity: ClassVar[str] = "Channel"


class ChannelTemplatesSynced(Event):
    """Its templates were read from the provider again; the changes tell how many there are."""

    entity: ClassVar[str] = "Channel"
