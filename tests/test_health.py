"""What the machines that run the service are told (G25, G26)."""

from dataclasses import replace

import httpx
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from pytake_gql import app, migration
from pytake_gql.kernel.bus import Bus
from pytake_gql.kernel.db import Database
from pytake_gql.kernel.ports import Ports


def client(ports: Ports, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app.build(ports), client=(peer, 1), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


async def test_g25_ready_means_bound_by_row_security_and_migrated(ports: Ports) -> None:
    async with client(ports) as web:
        assert (await web.get("/livez")).json() == {"status": "ok"}
        answer = await web.get("/readyz")
    assert answer.status_code == 200
    assert len(answer.headers["x-request-id"]) == 32
    parts = {"database": "ok", "role": "ok", "migrations": "ok", "redis": "ok"}
    assert answer.json() == {"status": "ok", "parts": parts}


async def test_g25_a_superuser_is_not_ready(superuser_ports: Ports) -> None:
    async with client(superuser_ports) as web:
        answer = await web.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert answer.json()["parts"]["role"].endswith("is not bound by row security")


async def test_g25_another_migration_is_not_ready(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    head = migration.head()
    monkeypatch.setattr(migration, "head", lambda: "9999")
    async with client(ports) as web:
        answer = await web.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["migrations"] == f"at {head}, not at 9999"


async def test_g25_without_the_database_it_lives_and_is_not_ready(ports: Ports) -> None:
    lost = Database("postgresql://nobody:nothing@127.0.0.1:1/none")
    async with client(replace(ports, database=lost)) as web:
        assert (await web.get("/livez")).status_code == 200
        answer = await web.get("/readyz")
    await lost.close()
    assert answer.status_code == 503
    assert answer.json()["parts"]["database"].startswith("unreachable")


async def test_g25_without_redis_it_is_degraded_not_dead(ports: Ports) -> None:
    nowhere = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
    async with client(replace(ports, bus=Bus(nowhere))) as web:
        answer = await web.get("/readyz")
    await nowhere.aclose()
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["parts"]["redis"] == "degraded"


async def test_g26_metrics_are_for_those_nearby(ports: Ports) -> None:
    for peer in ("127.0.0.1", "10.1.2.3", "fd00::1"):
        async with client(ports, peer) as web:
            answer = await web.get("/metrics")
        assert answer.status_code == 200
        assert "pytake_loop_lag_seconds" in answer.text
    async with client(ports, "8.8.8.8") as web:
        assert (await web.get("/metrics")).status_code == 404
    async with client(ports) as web:
        assert (await web.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})).status_code == 404


async def test_g26_what_happens_is_counted(ports: Ports) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    refused = counted("pytake_operations_total", kind="query", outcome="UNAUTHENTICATED")
    waits = counted("pytake_pool_wait_seconds_count")
    async with client(ports) as web:
        await web.post("/graphql", json={"query": "{ departments { id } }"})
        await web.get("/readyz")
    assert counted("pytake_operations_total", kind="query", outcome="UNAUTHENTICATED") == refused + 1
    assert counted("pytake_pool_wait_seconds_count") > waits


async def test_g19_whatever_fails_says_an_id_and_nothing_else(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(migration, "head", broken)
    async with client(ports) as web:
        answer = await web.get("/readyz")
    assert answer.status_code == 500
    assert answer.json() == {"error": {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]}}
