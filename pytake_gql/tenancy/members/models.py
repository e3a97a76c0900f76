from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.principal import ConversationScope, Role


class Account(SQLModel, table=True):
    """A person who signs in: one e-mail address, one password, any number of memberships. Of no organization."""

    __tablename__ = "accounts"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    email: str = Field(max_length=254, unique=True)
    password_hash: str = Field(max_length=200)
    last_organization_id: UUID | None = None
    created_at: datetime = Field(sa_type=Instant)


class Availability(StrEnum):
    """What a member chose: only ONLINE ones are given conversations."""

    ONLINE = "ONLINE"
    BUSY = "BUSY"
    AWAY = "AWAY"
    OFFLINE = "OFFLINE"


class Member(TenantModel, table=True):
    """A person inside one organization. Removed ones stay for what they wrote, and are otherwise not there."""

    __tablename__ = "members"
    __table_args__ = (
        sa.Index(
            "uq_members_account",
            "organization_id",
            "account_id",
            unique=True,
            postgresql_where="removed_at IS NULL",
        ),
        sa.Index("ix_members_name", "organization_id", "name", "id"),
        # Without lost_at, so that a beat touches no index.
        sa.Index("ix_members_at_work", "organization_id", "id", postgresql_where="availability <> 'OFFLINE'"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        within_organization(),
    )

    account_id: UUID = Field(index=True)
    email: str = Field(max_length=254)
    name: str = Field(max_length=120)
    avatar_url: str | None = Field(default=None, max_length=2000)
    role: Role = Field(sa_type=text_enum(Role))
    is_active: bool = True
    availability: Availability = Field(default=Availability.OFFLINE, sa_type=text_enum(Availability))
    conversation_scope: ConversationScope = Field(
        default=ConversationScope.QUEUES, sa_type=text_enum(ConversationScope)
    )
    last_seen_at: datetime | None = Field(default=None, sa_type=Instant)
    lost_at: datetime | None = Field(default=None, sa_type=Instant)
    """When the member turns OFFLINE, unless a connection tells of life before (D19)."""
    offline_since: datetime | None = Field(default=None, sa_type=Instant)
    """When the member last went OFFLINE; null for one who never was anything else."""
    capacity: int = 5
    load: int = 0
    """Conversations ACTIVE with this member; kept by whoever assigns and releases, under the row's lock (D11)."""
    last_assigned_at: datetime | None = Field(default=None, sa_type=Instant)
    """In any queue: the tie-break of LOAD_BALANCE (D13)."""
    removed_at: datetime | None = Field(default=None, sa_type=Instant)
    created_at: datetime = Field(sa_type=Instant)


class Invitation(TenantModel, table=True):
    """An e-mail that makes its reader a member; `token_hash` is that of the newest mail."""

    __tablename__ = "invitations"
    __table_args__ = (
        sa.Index(
            "uq_invitations_open_email",
            "organization_id",
            "email",
            unique=True,
            postgresql_where="accepted_at IS NULL AND cancelled_at IS NULL",
        ),
        belongs_to("members", "invited_by_id"),
        within_organization(),
    )

    email: str = Field(max_length=254)
    name: str | None = Field(default=None, max_length=120)
    role: Role = Field(sa_type=text_enum(Role))
    queue_ids: list[UUID] = Field(default_factory=list, sa_type=ARRAY(sa.Uuid()))
    token_hash: bytes = Field(unique=True)
    invited_by_id: UUID | None = None
    expires_at: datetime = Field(sa_type=Instant)
    accepted_at: datetime | None = Field(default=None, sa_type=Instant)
    cancelled_at: datetime | None = Field(default=None, sa_type=Instant)
    created_at: datetime = Field(sa_type=Instant)
