from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pytake_gql.automation.flow_executions.models import ExecutionStatus
from pytake_gql.kernel.events import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowExecutionEvent(Event):
    entity: ClassVar[str] = "FlowExecution"

    automation_id: UUID


class FlowExecutionCreated(FlowExecutionEvent):
    """Somebody runs an automation by hand, or for a time that has passed; what a schedule fires is no news."""


class FlowExecutionCancelled(FlowExecutionEvent):
    """It sends nothing any more. `FlowExecutionEnded` follows."""


class FlowExecutionRetried(FlowExecutionEvent):
    """Those that failed are tried again. Announced while it is locked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowExecutionEnded(FlowExecutionEvent):
    """Nothing of it is to be sent any more, for the reason given where there is one."""

    is_audited: ClassVar[bool] = False

    status: ExecutionStatus
    reason: str | None = None
