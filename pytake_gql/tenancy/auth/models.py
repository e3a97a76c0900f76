from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from pytake_gql.kernel.db import Instant
from pytake_gql.kernel.ids import uuid7


class Session(SQLModel, table=True):
    """A place where an account is signed in; access tokens name it, and it is looked up at each request (G12).

    `organization_id` is the one worked in now: another than `home_organization_id`, where `member_id` is at home,
    only for a super admin. Sessions belong to accounts, not to organizations.
    """

    __tablename__ = "sessions"
    __table_args__ = (sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    account_id: UUID = Field(index=True)
    organization_id: UUID = Field(foreign_key="organizations.id", ondelete="CASCADE")
    home_organization_id: UUID = Field(foreign_key="organizations.id", ondelete="CASCADE")
    member_id: UUID
    user_agent: str | None = Field(default=None, max_length=400)
    ip_address: str | None = Field(default=None, max_length=45)
    created_at: datetime = Field(sa_type=Instant)
    last_used_at: datetime = Field(sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)


class RefreshToken(SQLModel, table=True):
    """One of a session's chain. Spent, it is worth its successor for a short grace, and then it is an alarm (G13)."""

    __tablename__ = "refresh_tokens"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    session_id: UUID = Field(foreign_key="sessions.id", ondelete="CASCADE", index=True)
    token_hash: bytes = Field(unique=True)
    expires_at: datetime = Field(sa_type=Instant)
    spent_at: datetime | None = Field(default=None, sa_type=Instant)


class PasswordReset(SQLModel, table=True):
    """A mailed token that sets a new password, once."""

    __tablename__ = "password_resets"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id", ondelete="CASCADE", index=True)
    token_hash: bytes = Field(unique=True)
    expires_at: datetime = Field(sa_type=Instant)
    used_at: datetime | None = Field(default=None, sa_type=Instant)
