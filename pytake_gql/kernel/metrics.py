"""What Prometheus is told about this process (G26)."""

import asyncio
import time

from prometheus_client import Counter, Gauge, Histogram

operations = Counter(
    "pytake_operations", "GraphQL operations by kind and outcome: OK or an error's code", ("kind", "outcome")
)
operation_seconds = Histogram("pytake_operation_seconds", "How long queries and mutations took", ("kind",))
documents = Counter("pytake_documents", "Documents: parsed, validated, or found in the cache", ("step",))
loop_lag_seconds = Histogram(
    "pytake_loop_lag_seconds",
    "How late the event loop woke from a short sleep",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
pool_wait_seconds = Histogram(
    "pytake_pool_wait_seconds",
    "How long a session waited for its database connection",
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
)
sockets = Gauge("pytake_sockets", "Open websockets")
sockets_closed = Counter("pytake_sockets_closed", "Websockets that the service closed, by code", ("code",))
resume_gaps = Counter("pytake_resume_gaps", "Subscribers told that continuity is in doubt")
limiter_hits = Counter("pytake_limiter_hits", "Requests refused by a rate bucket", ("bucket",))
webhooks = Counter("pytake_webhooks", "What providers of channels called, by the status of our answer", ("status",))

_LAG_EVERY_SECONDS = 0.5


async def watch_loop() -> None:
    """Measures the loop's lag until it is cancelled."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_LAG_EVERY_SECONDS)
        loop_lag_seconds.observe(max(0.0, time.perf_counter() - before - _LAG_EVERY_SECONDS))
