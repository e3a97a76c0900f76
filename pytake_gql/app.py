"""The web application: routes, and the server that runs it."""

import asyncio
import contextlib
import signal
import socket

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from pytake_gql import bootstrap, webhooks
from pytake_gql.adapters.file_door import FileDoor
from pytake_gql.adapters.local_files import LocalFiles
from pytake_gql.desk.routing import engine
from pytake_gql.development import chat_page, mail_page, whatsapp_page
from pytake_gql.health import Health
from pytake_gql.kernel import garbage, metrics
from pytake_gql.kernel.asgi import RequestIds, failed
from pytake_gql.kernel.graphql.doorway import Doorway
from pytake_gql.kernel.graphql.http import HttpDoor
from pytake_gql.kernel.graphql.outgoing import FRAME_BYTES, WIRE
from pytake_gql.kernel.graphql.schema import Schema
from pytake_gql.kernel.graphql.websocket import SocketDoor
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from pytake_gql.schema import schema

DRAIN_SECONDS = 4.0
"""Over which the sockets are closed at a stop; what runs then has the rest of the ten seconds (G24)."""
FINISH_SECONDS = 5


def build(ports: Ports, of: Schema = schema) -> Starlette:
    """The application over ports that somebody else opens and closes; its `state.doorway` knows the sockets."""
    doorway = Doorway(of, ports)
    routes: list[BaseRoute] = [
        Route("/graphql", HttpDoor(doorway)),
        WebSocketRoute("/graphql", SocketDoor(doorway)),
        *webhooks.routes(ports, bootstrap.readers()),
        *Health(ports, doorway.sockets).routes(),
    ]
    if isinstance(ports.files, LocalFiles):
        routes.append(FileDoor(ports, doorway.origins, ports.files).route())
    if not ports.settings.is_production:
        routes += [mail_page.route(ports), *chat_page.routes(ports), *whatsapp_page.routes(ports)]
    app = Starlette(routes=routes, middleware=[Middleware(RequestIds)], exception_handlers={Exception: failed})
    app.state.doorway = doorway
    return app


class SocketProtocol(WebSocketsSansIOProtocol):
    """Lends the application its connection: to write what many get, and to drop a peer that reads nothing."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        self.scope["extensions"][WIRE] = {"wire": self}


class Server(uvicorn.Server):
    """At SIGTERM first not ready and no new sockets, then the sockets spread over some seconds, then the rest."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="none",
                http="httptools",
                ws=SocketProtocol,
                lifespan="off",
                ws_max_size=FRAME_BYTES,
                ws_ping_interval=20,
                ws_ping_timeout=20,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=FINISH_SECONDS,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                log_config=None,
            )
        )
        self._doorway: Doorway = app.state.doorway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._doorway.sockets.drain(DRAIN_SECONDS)
        await super().shutdown(sockets)


def serve(settings: Settings, host: str, port: int) -> None:
    """Runs the API until SIGTERM or SIGINT; the caller has configured the logs."""

    async def run() -> None:
        async with bootstrap.ports(settings) as ports, ports.jobs.running_here(engine.jobs(ports)):
            lag = asyncio.create_task(metrics.watch_loop(), name="loop lag")
            server = Server(build(ports), host, port)
            garbage.settle()
            try:
                await server.serve()
            finally:
                lag.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await lag

    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has ended: then the ports are still to be closed.
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
