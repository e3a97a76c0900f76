from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import TenantModel, text_enum, within_organization


class ContactAttributeKind(StrEnum):
    """What the values of a custom field are; a DATE is a text such as 2026-03-08, a CHOICE one of the choices."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"
    CHOICE = "CHOICE"


class ContactAttribute(TenantModel, table=True):
    __tablename__ = "contact_attributes"
    __table_args__ = (sa.UniqueConstraint("organization_id", "key"), within_organization())

    key: str = Field(max_length=60)
    name: str = Field(max_length=120)
    kind: ContactAttributeKind = Field(sa_type=text_enum(ContactAttributeKind))
    choices: list[str] = Field(default_factory=list, sa_type=JSONB)
