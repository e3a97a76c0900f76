from dataclasses import dataclass
from typing import ClassVar

from pytake_gql.kernel.events import Event


class FlowAutomationCreated(Event):
    entity: ClassVar[str] = "FlowAutomation"


class FlowAutomationUpdated(Event):
    entity: ClassVar[str] = "FlowAutomation"


class FlowAutomationDeleted(Event):
    entity: ClassVar[str] = "FlowAutomation"


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowAutomationPaused(Event):
    """By itself, for that reason, in the organization's language (S21)."""

    entity: ClassVar[str] = "FlowAutomation"

    reason: str
