"""Verdicts as they are stored, and read again in the reader's language (D17)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pytake_gql.desk.routing.strategies import RoutingReason, Verdict, reason_text
from pytake_gql.kernel.translation import LOCALES


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
    """For the table: ids as hex, and the sentence in every language."""
    return {
        "member_id": verdict.candidate.member_id.hex,
        "reason": verdict.reason.value,
        "texts": {locale: reason_text(verdict, locale) for locale in LOCALES},
        "score": verdict.score,
    }


def read(stored: Mapping[str, Any], locale: str) -> Told:
    """What `write` stored."""
    return Told(UUID(stored["member_id"]), RoutingReason(stored["reason"]), stored["texts"][locale], stored["score"])
