"""The one schema: each domain's Query, Mutation and Subscription, merged."""

from pytake_gql.desk.departments.graphql import DepartmentMutation, DepartmentQuery
from pytake_gql.kernel.graphql.node import NodeQuery
from pytake_gql.kernel.graphql.schema import build
from pytake_gql.kernel.graphql.types import object_type


@object_type
class Query(NodeQuery, DepartmentQuery):
    """Everything that can be read."""


@object_type
class Mutation(DepartmentMutation):
    """Everything that can be changed: one `input`, one payload with `userErrors`."""


schema = build(Query, Mutation, None, types=[])
