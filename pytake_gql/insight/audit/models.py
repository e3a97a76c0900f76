from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, text_enum, within_organization


class ActorKind(StrEnum):
    """Who acted. SUPER_ADMIN: of the platform, inside this organization. SYSTEM: PyTake itself, or a contact."""

    MEMBER = "MEMBER"
    SUPER_ADMIN = "SUPER_ADMIN"
    API_KEY = "API_KEY"
    SYSTEM = "SYSTEM"


class AuditEntry(TenantModel, table=True):
    """Append-only: the application's role may neither update nor delete here (G23)."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        sa.Index("ix_audit_entries_at", "organization_id", "at", "id"),
        sa.Index("ix_audit_entries_entity", "organization_id", "entity_id", "at", "id"),
        within_organization(),
    )

    at: datetime = Field(sa_type=Instant)
    actor_kind: ActorKind = Field(sa_type=text_enum(ActorKind))
    actor_id: UUID | None = None
    actor_name: str = Field(max_length=120)
    action: str = Field(max_length=80)
    entity_type: str = Field(max_length=60)
    entity_id: UUID
    changes: dict[str, Any] = Field(sa_type=JSONB)
    ip_address: str | None = Field(default=None, max_length=45)
