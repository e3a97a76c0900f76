from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, within_organization
from pytake_gql.kernel.search import KEY, UNREAD_WORDS, words_column

SHORTEST_DIGITS = 4
LONGEST_DIGITS = 15
"""Of a phone in E.164."""


def _phone_words() -> str:
    """SQL: the phone's ends, so that it is found by any digits in a row that begin one of them.

    A Brazilian mobile number also without its ninth digit, whole and with its area code (D30).
    """
    digits = "COALESCE(\"substring\"(phone::text, 2), ''::text)"
    eight = rf"regexp_replace({digits}, '^55(\d\d)9(\d{{8}})$'::text, '55\1\2'::text)"
    ends = [f'"right"({digits}, {length})' for length in range(SHORTEST_DIGITS, LONGEST_DIGITS + 1)]
    return "".join(f" || ' '::text || {KEY} || {end}" for end in (*ends, eight, f'"right"({eight}, 10)'))


class Contact(TenantModel, table=True):
    __tablename__ = "contacts"
    __table_args__ = (
        sa.Index("ix_contacts_newest", "organization_id", "created_at", "id"),
        words_column(
            "COALESCE(name, ''::character varying)::text",
            "COALESCE(email, ''::character varying)::text",
            besides=_phone_words(),
        ),
        sa.Index("ix_contacts_words", "words", postgresql_using="gin"),
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
    __mapper_args__: ClassVar[dict[str, Any]] = UNREAD_WORDS

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
    last_wrote_at: datetime | None = Field(default=None, sa_type=Instant)
    """When the contact last wrote there, by the provider's clock: the reply window counts from it (D28)."""
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
