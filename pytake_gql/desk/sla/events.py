from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.kernel.events import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class SlaBreached(Event):
    """A deadline of the conversation passed; told once for each, maybe late. Nobody did it: the audit log has none."""

    entity: ClassVar[str] = "Conversation"
    is_audited: ClassVar[bool] = False

    target: SlaTarget
    due_at: datetime
