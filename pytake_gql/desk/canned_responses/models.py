import sqlalchemy as sa
from sqlmodel import Field

from pytake_gql.kernel.db import TenantModel, within_organization


class CannedResponse(TenantModel, table=True):
    __tablename__ = "canned_responses"
    __table_args__ = (sa.UniqueConstraint("organization_id", "shortcut_key"), within_organization())

    shortcut: str = Field(max_length=60)
    shortcut_key: str = Field(max_length=120)
    """The shortcut as it is compared: case does not count."""
    text: str = Field(sa_type=sa.Text)
