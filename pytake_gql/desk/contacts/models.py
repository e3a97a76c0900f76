from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, within_organization


class Contact(TenantModel, table=True):
    __tablename__ = "contacts"
    __table_args__ = (
        sa.Index("ix_contacts_newest", "organization_id", "created_at", "id"),
        within_organization(),
    )

    name: str | None = Field(default=None, max_length=120)
    phone: str | None = Field(default=None, max_length=20)
    email: str | None = Field(default=None, max_length=254)
    attributes: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    is_blocked: bool = False
    opted_out_at: datetime | None = Field(default=None, sa_type=Instant)
    created_at: datetime = Field(sa_type=Instant)


class ContactIdentity(TenantModel, table=True):
    """Who a contact is on one channel; in web chat, one browser (or the site's own user) each."""

    __tablename__ = "contact_identities"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "channel_id", "external_id"),
        sa.Index("ix_contact_identities_contact", "organization_id", "contact_id"),
        belongs_to("contacts", "contact_id", ondelete="CASCADE"),
        belongs_to("channels", "channel_id", ondelete="CASCADE"),
        within_organization(),
    )

    contact_id: UUID
    channel_id: UUID
    external_id: str = Field(max_length=200)
    display_name: str | None = Field(default=None, max_length=120)
    last_wrote_at: datetime | None = Field(default=None, sa_type=Instant)
    """When the contact last wrote there, by the provider's clock: the reply window counts from it (D28)."""
    created_at: datetime = Field(sa_type=Instant)
