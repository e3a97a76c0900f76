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
        sa.Index("ix_contacts_email", "organization_id", "email", postgresql_where="email IS NOT NULL"),
        sa.Index(
            "ix_contacts_attributes",
            "attributes",
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
        ),
        sa.Index(
            "uq_contacts_phone_key",
            *("organization_id", "phone_key"),
            unique=True,
            postgresql_where="phone_key IS NOT NULL",
        ),
        within_organization(),
    )

    name: str | None = Field(default=None, max_length=120)
    phone: str | None = Field(default=None, max_length=20)
    phone_key: str | None = Field(default=None, max_length=32)
    """`phones.canonical_key` of a phone that identifies the contact: one that a member or a provider vouches for.

    What a visitor says of itself identifies nobody, else it would open another's conversations.
    """
    email: str | None = Field(default=None, max_length=254)
    attributes: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    is_blocked: bool = False
    opted_out_at: datetime | None = Field(default=None, sa_type=Instant)
    erased_at: datetime | None = Field(default=None, sa_type=Instant)
    """Since when nothing is known of it any more: the row is what is left, and only its conversations lead here."""
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
    created_at: datetime = Field(sa_type=Instant)


class ContactTag(TenantModel, table=True):
    __tablename__ = "contact_tags"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "contact_id", "tag_id"),
        sa.Index("ix_contact_tags_tag", "organization_id", "tag_id", "contact_id"),
        belongs_to("contacts", "contact_id", ondelete="CASCADE"),
        belongs_to("tags", "tag_id", ondelete="CASCADE"),
        within_organization(),
    )

    contact_id: UUID
    tag_id: UUID


class ContactRedirect(TenantModel, table=True):
    """Under the id of a contact that was merged: where it leads (D30)."""

    __tablename__ = "contact_redirects"
    __table_args__ = (
        sa.Index("ix_contact_redirects_contact", "organization_id", "contact_id"),
        belongs_to("contacts", "contact_id", ondelete="CASCADE"),
        within_organization(),
    )

    contact_id: UUID
