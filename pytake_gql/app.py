"""The web application: routes and lifespan."""

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from pytake_gql.kernel.graphql.http import GraphQLDoor
from pytake_gql.kernel.ports import Ports
from pytake_gql.schema import schema


def build(ports: Ports) -> Starlette:
    """The application over ports that somebody else opens and closes."""
    door = GraphQLDoor(schema, ports)
    return Starlette(routes=[Route("/graphql", door), WebSocketRoute("/graphql", door)])
