"""The schema's class: quiet about what clients did wrong, for `masking` logs what we did wrong."""

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from pytake_gql.kernel.graphql.access import require_rules
from pytake_gql.kernel.graphql.masking import Masking
from pytake_gql.kernel.graphql.scalars import SCALARS


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: Strawberry would log a trace for each typing error of a client."""


def build(query: type[Any], mutation: type[Any], subscription: type[Any] | None, types: list[type[Any]]) -> Schema:
    """The schema of these roots; fails where a root field has no rule (G2)."""
    require_rules(*filter(None, (query, mutation, subscription)))
    return Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=types,
        extensions=[Masking],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
