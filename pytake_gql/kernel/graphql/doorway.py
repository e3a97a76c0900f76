"""What both doors share: the schema, the ports, who may call from where, the open sockets and their streams."""

from starlette.requests import HTTPConnection

from pytake_gql.kernel.addresses import client_address
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.origins import Origins
from pytake_gql.kernel.graphql.schema import Schema
from pytake_gql.kernel.graphql.shared_streams import Streams
from pytake_gql.kernel.graphql.sockets import Sockets
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Principal
from pytake_gql.kernel.translation import negotiate


class Doorway:
    def __init__(self, schema: Schema, ports: Ports) -> None:
        self.schema = schema
        self.ports = ports
        self.origins = Origins(ports)
        self.sockets = Sockets(ports)
        self.streams = Streams(schema, ports, self.sockets)

    def address(self, connection: HTTPConnection) -> str | None:
        client = connection.client
        return client_address(client.host if client else None, connection.headers, self.ports.settings.trusted_proxies)

    def context(self, connection: HTTPConnection, principal: Principal) -> Context:
        """Of one operation; a websocket makes one for each."""
        headers = connection.headers
        is_http = connection.scope["type"] == "http"
        return Context(
            ports=self.ports,
            principal=principal,
            request_id=connection.scope.get("request_id", "") if is_http else uuid7().hex,
            locale=negotiate(headers.get("accept-language")),
            ip_address=self.address(connection),
            user_agent=(headers.get("user-agent") or "")[:400] or None,
            origin=headers.get("origin"),
        )


def bearer(authorization: str | None) -> str | None:
    """The token of an Authorization header, or None."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
