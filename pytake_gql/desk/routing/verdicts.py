"""Verdicts as they are stored, and read again in the reader's language (D17)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pytake_gql.desk.routing.strategies import RoutingReason, Verdict
from pytake_gql.kernel.translation import translate
from pytake_gql.tenancy.members.models import Availability


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict as a supervisor reads it."""

    member_id: UUID
    reason: RoutingReason
    text: str
    score: float | None

    @property
    def is_eligible(self) -> bool:
        return self.reason is RoutingReason.ELIGIBLE


def tell(verdict: Verdict, locale: str) -> Told:
    return Told(verdict.candidate.member_id, verdict.reason, reason_text(verdict, locale), verdict.score)


def write(verdict: Verdict) -> dict[str, Any]:
    """For the table: ids as hex, and what the sentence tells."""
    stored = {"member_id": verdict.candidate.member_id.hex, "reason": verdict.reason.value, **_facts(verdict)}
    return stored if verdict.score is None else {**stored, "score": verdict.score}


def read(stored: Mapping[str, Any], locale: str) -> Told:
    """What `write` stored."""
    reason = RoutingReason(stored["reason"])
    return Told(UUID(stored["member_id"]), reason, _sentence(reason, stored, locale), stored.get("score"))


def reason_text(verdict: Verdict, locale: str) -> str:
    """Why the candidate cannot be chosen, or that they may be, as a supervisor reads it."""
    return _sentence(verdict.reason, _facts(verdict), locale)


def _facts(verdict: Verdict) -> dict[str, Any]:
    """What the sentence about a verdict tells besides its reason."""
    match verdict.reason:
        case RoutingReason.NOT_ONLINE:
            return {"availability": verdict.candidate.availability.value}
        case RoutingReason.AT_CAPACITY:
            return {"load": verdict.candidate.load, "capacity": verdict.candidate.capacity}
        case RoutingReason.LACKS_SKILL if verdict.lacking:
            return {"skill": verdict.lacking.name, "level": verdict.lacking.min_level}
    return {}


def _sentence(reason: RoutingReason, told: Mapping[str, Any], locale: str) -> str:
    """The reason in words; `told` are its `_facts`, maybe of long ago."""
    template = "can take it"
    match reason:
        case RoutingReason.INACTIVE:
            template = "deactivated"
        case RoutingReason.ROLE:
            template = "has a role that answers no conversations"
        case RoutingReason.NOT_ONLINE if told["availability"] == Availability.BUSY.value:
            template = "busy"
        case RoutingReason.NOT_ONLINE if told["availability"] == Availability.AWAY.value:
            template = "away"
        case RoutingReason.NOT_ONLINE:
            template = "offline"
        case RoutingReason.NO_PRESENCE:
            template = "online, but not connected"
        case RoutingReason.AT_CAPACITY:
            template = "at capacity ({load} of {capacity})"
        case RoutingReason.LACKS_SKILL:
            template = "lacks skill '{skill}' (level {level})"
    return translate(template, locale, **told)
