from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, within_organization


class Flow(TenantModel, table=True):
    """A draft that is edited freely, and the number of what was published last. Deleted ones stay for their runs."""

    __tablename__ = "flows"
    __table_args__ = (
        sa.Index(
            "uq_flows_name",
            "organization_id",
            sa.text("lower(name)"),
            unique=True,
            postgresql_where="deleted_at IS NULL",
        ),
        within_organization(),
    )

    name: str = Field(max_length=120)
    description: str | None = Field(default=None, max_length=1000)
    draft: dict[str, Any] = Field(sa_type=JSONB)
    """The graph as `nodes` and `edges`, in the shape of `FlowGraphInput`."""
    revision: int = 1
    """Raised by each saved draft."""
    published_number: int | None = None
    created_at: datetime = Field(sa_type=Instant)
    updated_at: datetime = Field(sa_type=Instant)
    deleted_at: datetime | None = Field(default=None, sa_type=Instant)


class FlowVersion(TenantModel, table=True):
    """What was published: never changed again (F5)."""

    __tablename__ = "flow_versions"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "flow_id", "number"),
        belongs_to("flows", "flow_id"),
        belongs_to("members", "published_by_id"),
        within_organization(),
    )

    flow_id: UUID
    number: int
    graph: dict[str, Any] = Field(sa_type=JSONB)
    published_at: datetime = Field(sa_type=Instant)
    published_by_id: UUID | None = None
