from typing import ClassVar

from pytake_gql.kernel.events import Event


class FlowAutomationCreated(Event):
    entity: ClassVar[str] = "FlowAutomation"


class FlowAutomationUpdated(Event):
    entity: ClassVar[str] = "FlowAutomation"


class FlowAutomationDeleted(Event):
    entity: ClassVar[str] = "FlowAutomation"


class FlowAutomationPaused(Event):
    """By itself, for a reason that its row tells (S21)."""

    entity: ClassVar[str] = "FlowAutomation"
