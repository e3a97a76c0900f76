from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization


class ChannelKind(StrEnum):
    """Where contacts write."""

    WEB_CHAT = "WEB_CHAT"
    WHATSAPP = "WHATSAPP"
    INSTAGRAM = "INSTAGRAM"


class ChannelStatus(StrEnum):
    """Whether the channel works."""

    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"
    ERROR = "ERROR"


class Channel(TenantModel, table=True):
    __tablename__ = "channels"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "name"),
        sa.ForeignKeyConstraint(
            ["organization_id", "queue_id"],
            ["queues.organization_id", "queues.id"],
            ondelete="SET NULL (queue_id)",
        ),
        belongs_to("flows", "flow_id"),
        within_organization(),
    )

    kind: ChannelKind = Field(sa_type=text_enum(ChannelKind))
    name: str = Field(max_length=120)
    status: ChannelStatus = Field(default=ChannelStatus.CONNECTED, sa_type=text_enum(ChannelStatus))
    last_error: str | None = Field(default=None, max_length=1000)
    queue_id: UUID | None = None
    flow_id: UUID | None = None
    """What greets a new conversation (D1)."""
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    sealed_secrets: bytes | None = None
    """Encrypted by the vault; written, never read back."""
    created_at: datetime = Field(sa_type=Instant)


class TemplateStatus(StrEnum):
    """Whether WhatsApp lets a template be sent: only APPROVED ones pass."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    PAUSED = "PAUSED"


class MessageTemplate(TenantModel, table=True):
    """As last read from the provider; the same name and language is the same template."""

    __tablename__ = "message_templates"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "channel_id", "name", "language"),
        belongs_to("channels", "channel_id", ondelete="CASCADE"),
        within_organization(),
    )

    channel_id: UUID
    name: str = Field(max_length=512)
    language: str = Field(max_length=40)
    category: str = Field(max_length=40)
    status: TemplateStatus = Field(sa_type=text_enum(TemplateStatus))
    body: str
    placeholders: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    """What it leaves open, in order: the fields of `ports.Placeholder`."""
