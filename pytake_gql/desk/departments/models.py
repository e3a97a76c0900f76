from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, within_organization


class Department(TenantModel, table=True):
    __tablename__ = "departments"
    __table_args__ = (sa.UniqueConstraint("organization_id", "name"), within_organization())

    name: str = Field(max_length=120)
    description: str | None = Field(default=None, max_length=2000)
    color: str = Field(default="#4B5563", max_length=7)
    icon: str | None = Field(default=None, max_length=60)
    is_active: bool = True
    created_at: datetime = Field(sa_type=Instant)
