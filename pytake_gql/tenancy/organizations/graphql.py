from datetime import datetime
from typing import Self

import strawberry

from pytake_gql.kernel.graphql.node import Node
from pytake_gql.kernel.graphql.types import object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.tenancy.organizations import models


@object_type
class Organization(Node):
    """A company on the platform."""

    name: str
    """As people know it."""
    created_at: datetime
    """When it was made."""

    @classmethod
    def of(cls, row: models.Organization) -> Self:
        return cls(id=strawberry.ID(global_id("Organization", row.id)), name=row.name, created_at=row.created_at)
