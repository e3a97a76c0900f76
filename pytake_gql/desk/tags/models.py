import sqlalchemy as sa
from sqlmodel import Field

from pytake_gql.kernel.db import TenantModel, within_organization


class Tag(TenantModel, table=True):
    __tablename__ = "tags"
    __table_args__ = (sa.UniqueConstraint("organization_id", "name_key"), within_organization())

    name: str = Field(max_length=60)
    name_key: str = Field(max_length=600)
    """The name as names are compared: `service.name_key`."""
    color: str = Field(default="#4B5563", max_length=7)
