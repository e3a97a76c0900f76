from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pytake_gql.desk.queues.models import RoutingStrategy
from pytake_gql.kernel.db import Instant, TenantModel, belongs_to, text_enum, within_organization


class RoutingDecision(TenantModel, table=True):
    """Why a conversation was given to whom: every candidate with the reason, as it was then (D17)."""

    __tablename__ = "routing_decisions"
    __table_args__ = (
        sa.Index("ix_routing_decisions_conversation", "organization_id", "conversation_id", "id"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        belongs_to("members", "chosen_id"),
        within_organization(),
    )

    conversation_id: UUID
    strategy: RoutingStrategy = Field(sa_type=text_enum(RoutingStrategy))
    chosen_id: UUID
    decided_at: datetime = Field(sa_type=Instant)
    verdicts: list[dict[str, Any]] = Field(sa_type=JSONB)
    """In the order of choice, as `verdicts.write` makes them."""
