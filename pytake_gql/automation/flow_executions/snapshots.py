"""What an execution was to do when it was fired: an edit of its automation does not touch it any more (S22). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pytake_gql.automation.flow_executions.windows import Span
from pytake_gql.desk.contacts.service import Criteria


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom it is for: these contacts, those that fit, or without either everybody.

    In any case without those who opted out, are blocked, or were erased (S25).
    """

    contact_ids: tuple[UUID, ...] | None = None
    criteria: Criteria | None = None

    def to_json(self) -> dict[str, Any]:
        ids = None if self.contact_ids is None else [id_.hex for id_ in self.contact_ids]
        criteria = asdict(self.criteria) if self.criteria else None
        if criteria is not None and criteria["tag_ids"] is not None:
            criteria["tag_ids"] = [id_.hex for id_ in criteria["tag_ids"]]
        return {"contact_ids": ids, "criteria": criteria}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        ids, criteria = stored["contact_ids"], stored["criteria"]
        if criteria is not None and criteria["tag_ids"] is not None:
            criteria = {**criteria, "tag_ids": [UUID(id_) for id_ in criteria["tag_ids"]]}
        return cls(
            contact_ids=None if ids is None else tuple(UUID(id_) for id_ in ids),
            criteria=None if criteria is None else Criteria(**criteria),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How many recipients are being sent to at once, how many begin a minute, how often one is tried."""

    max_concurrent: int = 100
    rate_per_minute: int = 600
    max_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    audience: Audience = field(default_factory=Audience)
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Of the flow: templates over the contact."""
    limits: Limits = field(default_factory=Limits)
    spans: Sequence[Span] | None = None
    """When it may send, in order, for the three days after it begins; None is at any time (S16)."""

    def to_json(self) -> dict[str, Any]:
        return {
            "audience": self.audience.to_json(),
            "variables": dict(self.variables),
            "limits": asdict(self.limits),
            "spans": None
            if self.spans is None
            else [[s.opens_at.isoformat(), s.closes_at.isoformat()] for s in self.spans],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        spans = stored["spans"]
        return cls(
            audience=Audience.from_json(stored["audience"]),
            variables=stored["variables"],
            limits=Limits(**stored["limits"]),
            spans=None if spans is None else tuple(Span(*map(datetime.fromisoformat, span)) for span in spans),
        )
