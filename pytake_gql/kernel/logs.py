"""Structured logs: one JSON object a line in production, readable lines in development (G26).

Neither bodies nor variables nor tokens are ever logged: what a line may hold is the fields that its call names.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

FIELDS = ("request_id", "organization_id", "kind", "operation", "outcome", "duration_ms", "path", "status", "job_id")
"""What `extra=` may add to a line; others are dropped."""


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class ReadableLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        first, newline, trace = super().format(record).partition("\n")
        return f"{first} {extra}".rstrip() + newline + trace


def configure(*, is_production: bool) -> None:
    """Sends all loggers of the process to its standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if is_production else ReadableLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(noisy).handlers.clear()
        logging.getLogger(noisy).propagate = True
    # Each says at INFO what our own lines say, or what nobody asks at each look at /readyz.
    for chatty in ("uvicorn.error", "alembic.runtime.migration", "pytake_gql.kernel.db.MeasuredPool"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
