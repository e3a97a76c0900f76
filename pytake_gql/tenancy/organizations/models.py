from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from pytake_gql.kernel.db import Instant, TenantModel, text_enum, within_organization
from pytake_gql.kernel.ids import uuid7


class Organization(SQLModel, table=True):
    """The tenant. Row-level security compares its own id."""

    __tablename__ = "organizations"
    __table_args__ = (sa.UniqueConstraint("slug"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str = Field(max_length=120)
    slug: str = Field(max_length=60)
    logo_url: str | None = Field(default=None, max_length=2000)
    timezone: str = Field(default="America/Sao_Paulo", max_length=60)
    locale: str = Field(default="pt-BR", max_length=10)
    holiday_region: str | None = Field(default="BR", max_length=10)
    opening_hours: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    is_active: bool = True
    created_at: datetime = Field(sa_type=Instant)


class FrontendEnvironment(StrEnum):
    """What a front end is for."""

    PRODUCTION = "PRODUCTION"
    STAGING = "STAGING"
    DEVELOPMENT = "DEVELOPMENT"


class Frontend(TenantModel, table=True):
    """A browser origin that CORS and the websocket let in."""

    __tablename__ = "frontends"
    __table_args__ = (sa.UniqueConstraint("organization_id", "origin"), within_organization())

    environment: FrontendEnvironment = Field(sa_type=text_enum(FrontendEnvironment))
    origin: str = Field(max_length=255, index=True)
    is_active: bool = True
    position: int = 0
