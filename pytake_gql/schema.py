"""The one schema: each domain's Query, Mutation and Subscription, merged."""

from pytake_gql.desk.channels.graphql import ChannelQuery
from pytake_gql.desk.contacts.graphql import ContactMutation, ContactQuery
from pytake_gql.desk.departments.graphql import DepartmentMutation, DepartmentQuery
from pytake_gql.desk.queues.graphql import QueueQuery
from pytake_gql.kernel.graphql.node import NodeQuery
from pytake_gql.kernel.graphql.schema import build
from pytake_gql.kernel.graphql.types import object_type


@object_type
class Query(NodeQuery, DepartmentQuery, QueueQuery, ContactQuery, ChannelQuery):
    """Everything that can be read."""


@object_type
class Mutation(DepartmentMutation, ContactMutation):
    """Everything that can be changed: one `input`, one payload with `userErrors`."""


schema = build(Query, Mutation, None, types=[])
