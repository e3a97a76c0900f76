"""GraphQL over HTTP and websocket: POST with application/json, and graphql-transport-ws, on one path."""

from datetime import timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from pytake_gql.kernel.errors import Unauthenticated
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Anonymous, Principal
from pytake_gql.kernel.translation import negotiate


class GraphQLDoor(GraphQL[Context, None]):
    def __init__(self, schema: BaseSchema, ports: Ports) -> None:
        super().__init__(
            schema,
            graphql_ide=None if ports.settings.is_production else "graphiql",
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=5),
            max_subscriptions_per_connection=50,
        )
        self.ports = ports

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        client = request.client
        return Context(
            ports=self.ports,
            principal=await self._identify(request.headers.get("authorization")),
            request_id=uuid7().hex,
            locale=negotiate(request.headers.get("accept-language")),
            ip_address=client.host if client else None,
            user_agent=(request.headers.get("user-agent") or "")[:400] or None,
            origin=request.headers.get("origin"),
        )

    async def _identify(self, authorization: str | None) -> Principal:
        """An invalid token makes an anonymous caller: what needs none (login) still answers."""
        try:
            return await self.ports.authority.identify(bearer(authorization))
        except Unauthenticated:
            return Anonymous()

    def encode_json(self, data: object) -> str:
        """Text, also for HTTP: bytes would become binary frames on a websocket."""
        return orjson.dumps(data).decode()

    def decode_json(self, data: str | bytes) -> Any:
        return orjson.loads(data)


def bearer(authorization: str | None) -> str | None:
    """The token of an Authorization header, or None."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
