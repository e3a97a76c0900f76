"""One line in the log and one count for each operation, whatever became of it (G26)."""

import logging
import time
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from pytake_gql.kernel import metrics
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.operation import Operation

log = logging.getLogger("pytake.operations")

_LONGEST_NAME = 80


class Report:
    """Around an operation, without its document and variables; of a subscription it tells only the refusal."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._outcome = "OK"
        self._started = 0.0
        self._goes_on = False

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def answered(self, result: Any) -> None:
        errors = getattr(result, "errors", None)
        self._outcome = str((errors[0].extensions or {}).get("code")) if errors else "OK"

    def goes_on(self) -> None:
        """It is accepted and followed: whoever ends it tells of it."""
        self._goes_on = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        context, seconds = self._context, time.perf_counter() - self._started
        if kind is not None:
            self._outcome = "CANCELLED"
        if not self._goes_on:
            tell(context.request_id, context.principal.organization_id, context.operation, self._outcome, seconds)


def tell(
    request_id: str, organization_id: UUID | None, operation: Operation | None, outcome: str, seconds: float
) -> None:
    kind = operation.kind.value if operation else "none"
    metrics.operations.labels(kind, outcome).inc()
    if kind in {"query", "mutation"}:
        metrics.operation_seconds.labels(kind).observe(seconds)
    log.info(
        "operation",
        extra={
            "request_id": request_id,
            "organization_id": organization_id,
            "kind": kind,
            "operation": operation.name[:_LONGEST_NAME] if operation and operation.name else None,
            "outcome": outcome,
            "duration_ms": round(seconds * 1000, 1),
        },
    )
