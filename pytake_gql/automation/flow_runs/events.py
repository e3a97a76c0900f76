from dataclasses import dataclass
from typing import ClassVar

from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.kernel.events import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowRunEnded(Event):
    """It takes no more steps: what becomes of its conversation is told there."""

    entity: ClassVar[str] = "FlowRun"
    is_audited: ClassVar[bool] = False

    status: FlowRunStatus
