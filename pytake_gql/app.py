"""The web application: routes and lifespan."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute

from pytake_gql.development import mail_page
from pytake_gql.kernel.graphql.http import GraphQLDoor
from pytake_gql.kernel.ports import Ports
from pytake_gql.schema import schema


def build(ports: Ports) -> Starlette:
    """The application over ports that somebody else opens and closes."""
    door = GraphQLDoor(schema, ports)
    routes: list[BaseRoute] = [Route("/graphql", door), WebSocketRoute("/graphql", door)]
    if not ports.settings.is_production:
        routes.append(mail_page.route(ports))
    return Starlette(routes=routes)
