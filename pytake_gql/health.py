"""`/livez`, `/readyz` and `/metrics`: for the machines that run the service (G25, G26).

`/metrics` answers callers on loopback and private addresses only, where a scraper stands: by the peer's own
address, and not when a proxy forwards somebody else's request.
"""

import asyncio
import ipaddress
from typing import Any

import sqlalchemy as sa
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pytake_gql import migration
from pytake_gql.kernel.db import API_ROLE
from pytake_gql.kernel.graphql.sockets import Sockets
from pytake_gql.kernel.ports import Ports

_PATIENCE_SECONDS = 2.0

_WHO = sa.text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")


class Health:
    def __init__(self, ports: Ports, sockets: Sockets) -> None:
        self._ports = ports
        self._sockets = sockets

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
        ]

    async def livez(self, _: Request) -> Response:
        """The loop runs; nothing else is asked, for a restart would not mend anything else."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """503 while requests should go elsewhere. Without Redis the service is degraded, not dead."""
        parts = {**await self._database(), "redis": "ok" if await self._ports.bus.is_reachable() else "degraded"}
        if self._sockets.is_draining:
            parts["process"] = "stopping"
        is_ready = all(state in {"ok", "degraded"} for state in parts.values())
        status = "not ready" if not is_ready else "degraded" if "degraded" in parts.values() else "ok"
        return JSONResponse({"status": status, "parts": parts}, 200 if is_ready else 503)

    async def _database(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._ports.database.engine.connect() as connection:
                role = (await connection.execute(_WHO)).one()
                revision = await migration.current(connection)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            return {"database": f"unreachable: {type(error).__name__}"}
        is_bound = role.rolname == API_ROLE and not role.rolsuper and not role.rolbypassrls
        return {
            "database": "ok",
            "role": "ok" if is_bound else f"{role.rolname} is not bound by row security",
            "migrations": "ok" if revision == migration.head() else f"at {revision}, not at {migration.head()}",
        }

    async def metrics(self, request: Request) -> Response:
        if not _is_near(request):
            return Response(status_code=404)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _is_near(request: Request) -> bool:
    peer: Any = request.client.host if request.client else None
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return (address.is_loopback or address.is_private) and "x-forwarded-for" not in request.headers
