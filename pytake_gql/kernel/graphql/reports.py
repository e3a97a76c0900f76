"""One line in the log and one count for each operation, whatever became of it (G26)."""

import logging
import time
from types import TracebackType
from typing import Any, Self

from pytake_gql.kernel import metrics
from pytake_gql.kernel.graphql.context import Context

log = logging.getLogger("pytake.operations")

_LONGEST_NAME = 80


class Report:
    """Around an operation; a subscription is reported at its end. No documents and no variables."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._outcome = "OK"
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def answered(self, result: Any) -> None:
        errors = getattr(result, "errors", None)
        self._outcome = str((errors[0].extensions or {}).get("code")) if errors else "OK"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._started
        operation = self._context.operation
        operation_kind = operation.kind.value if operation else "none"
        if kind is not None and not issubclass(kind, GeneratorExit):
            self._outcome = "CANCELLED"
        metrics.operations.labels(operation_kind, self._outcome).inc()
        if operation_kind in {"query", "mutation"}:
            metrics.operation_seconds.labels(operation_kind).observe(seconds)
        log.info(
            "operation",
            extra={
                "request_id": self._context.request_id,
                "organization_id": self._context.principal.organization_id,
                "kind": operation_kind,
                "operation": operation.name[:_LONGEST_NAME] if operation and operation.name else None,
                "outcome": self._outcome,
                "duration_ms": round(seconds * 1000, 1),
            },
        )
