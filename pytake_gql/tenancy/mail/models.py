from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from pytake_gql.kernel.db import Instant
from pytake_gql.kernel.ids import uuid7


class Mail(SQLModel, table=True):
    """A mail to a person. A row not yet sent is found again by the reconciler; its text goes once it is sent."""

    __tablename__ = "mails"
    __table_args__ = (
        sa.Index("ix_mails_due", "due_at", postgresql_where="sent_at IS NULL AND failed_at IS NULL"),
        sa.Index("ix_mails_newest", "created_at", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    recipient: str = Field(max_length=254)
    subject: str = Field(max_length=250)
    text: str
    links: list[str] = Field(default_factory=list, sa_type=ARRAY(sa.Text()))
    created_at: datetime = Field(sa_type=Instant)
    due_at: datetime = Field(sa_type=Instant)
    attempts: int = 0
    sent_at: datetime | None = Field(default=None, sa_type=Instant)
    failed_at: datetime | None = Field(default=None, sa_type=Instant)
    error: str | None = None
