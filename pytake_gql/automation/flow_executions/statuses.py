"""What may follow what, for executions and their recipients. Pure: the one place that says it."""

from collections.abc import Mapping

from pytake_gql.automation.flow_executions.models import ExecutionStatus, RecipientStatus
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.desk.conversations.models import MessageStatus

UNDER_WAY = frozenset({ExecutionStatus.QUEUED, ExecutionStatus.RUNNING, ExecutionStatus.WAITING_WINDOW})
"""The others are ends; of these only what FAILED can be tried again."""
BEGUN = frozenset({ExecutionStatus.RUNNING, ExecutionStatus.WAITING_WINDOW})
RETRIABLE = frozenset({ExecutionStatus.COMPLETED, ExecutionStatus.COMPLETED_WITH_ERRORS, ExecutionStatus.FAILED})
OPEN = frozenset({RecipientStatus.PENDING, RecipientStatus.SENDING})
"""While a recipient is one of these its execution is not done: the message to it is still to leave."""
ERRORS = frozenset({RecipientStatus.FAILED, RecipientStatus.UNKNOWN})
HEARD_NOTHING = frozenset(
    {
        RecipientStatus.SENDING,
        RecipientStatus.UNKNOWN,
        RecipientStatus.SENT,
        RecipientStatus.DELIVERED,
        RecipientStatus.READ,
    }
)
"""Those whose reply is news."""

_FUNNEL = (
    RecipientStatus.PENDING,
    RecipientStatus.SENDING,
    RecipientStatus.UNKNOWN,
    RecipientStatus.SENT,
    RecipientStatus.DELIVERED,
    RecipientStatus.READ,
    RecipientStatus.REPLIED,
    RecipientStatus.COMPLETED,
)
_RANK = {status: rank for rank, status in enumerate(_FUNNEL)}
_ENDS = {
    FlowRunStatus.COMPLETED: RecipientStatus.COMPLETED,
    FlowRunStatus.HANDED_OFF: RecipientStatus.COMPLETED,
    FlowRunStatus.FAILED: RecipientStatus.FAILED,
    FlowRunStatus.CANCELLED: RecipientStatus.CANCELLED,
    FlowRunStatus.EXPIRED: RecipientStatus.EXPIRED,
}
_LEFT = {
    MessageStatus.QUEUED: RecipientStatus.SENDING,
    MessageStatus.UNKNOWN: RecipientStatus.UNKNOWN,
    MessageStatus.SENT: RecipientStatus.SENT,
    MessageStatus.FAILED: RecipientStatus.FAILED,
    MessageStatus.DELIVERED: RecipientStatus.DELIVERED,
    MessageStatus.READ: RecipientStatus.READ,
}


def standing(message: MessageStatus | None, run: FlowRunStatus | None) -> RecipientStatus:
    """How a recipient stands by the message that reached out to it and by its run (F10).

    A run that ends ends it, but not before it is known that the message left; one that says nothing at first counts
    as sent, for nothing is to leave.
    """
    left = _LEFT[message] if message is not None else RecipientStatus.SENT
    if left in {RecipientStatus.SENDING, RecipientStatus.UNKNOWN, RecipientStatus.FAILED}:
        return left
    return _ENDS.get(run, left) if run is not None else left


def moves(now: RecipientStatus, then: RecipientStatus) -> bool:
    """Whether a recipient that stands there goes on to that: only forward, whoever tells it and in whatever order.

    Ends stay, but for a message that the provider had taken and fails later: whoever was thought to be through the flow
    has not got it.
    """
    if now is RecipientStatus.COMPLETED:
        return then is RecipientStatus.FAILED
    if now not in _RANK or now is then:
        return False
    return then not in _RANK or _RANK[then] > _RANK[now]


def outcome(counts: Mapping[RecipientStatus, int]) -> ExecutionStatus:
    """How an execution with nothing open ends: FAILED where nobody was reached and somebody should have been."""
    errors = sum(counts.get(status, 0) for status in ERRORS)
    if not errors:
        return ExecutionStatus.COMPLETED
    aside = errors + counts.get(RecipientStatus.SKIPPED, 0) + counts.get(RecipientStatus.CANCELLED, 0)
    is_nobody_reached = aside == sum(counts.values()) and not counts.get(RecipientStatus.UNKNOWN, 0)
    return ExecutionStatus.FAILED if is_nobody_reached else ExecutionStatus.COMPLETED_WITH_ERRORS
