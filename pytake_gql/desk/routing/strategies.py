"""Who is to have a conversation, and why the others are not: pure, of values only (D10, D12-D15, D17)."""

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from pytake_gql.desk.queues.membership import SERVING_ROLES
from pytake_gql.desk.queues.models import RoutingStrategy
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.desk.skills.service import HIGHEST_LEVEL
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Availability

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class RoutingReason(StrEnum):
    """What keeps a member from a conversation; the first that holds, in this order."""

    ELIGIBLE = "ELIGIBLE"
    INACTIVE = "INACTIVE"
    ROLE = "ROLE"
    NOT_ONLINE = "NOT_ONLINE"
    NO_PRESENCE = "NO_PRESENCE"
    AT_CAPACITY = "AT_CAPACITY"
    LACKS_SKILL = "LACKS_SKILL"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of the queue as routing sees them. `skills` are levels by skill.

    `last_assigned_in_queue_at` is the cursor of D12; `last_assigned_at` counts every queue.
    """

    member_id: UUID
    name: str
    role: Role
    is_active: bool
    availability: Availability
    is_present: bool
    load: int
    capacity: int
    skills: Mapping[UUID, int]
    last_assigned_in_queue_at: datetime | None
    last_assigned_at: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a candidate. `lacking` is the first skill missed, at the level asked by then: of LACKS_SKILL.

    `score` is that of SKILLS_BASED, also of those who are not eligible; the other strategies have none.
    """

    candidate: Candidate
    reason: RoutingReason
    lacking: Requirement | None
    score: float | None

    @property
    def is_eligible(self) -> bool:
        return self.reason is RoutingReason.ELIGIBLE


@dataclass(frozen=True, slots=True)
class Ranking:
    """The eligible in the order of choice, then the others by name.

    `is_unroutable`: nobody among them could ever meet the mandatory skills, whatever else changed.
    """

    verdicts: tuple[Verdict, ...]
    chosen: Candidate | None
    is_unroutable: bool


def rank(
    strategy: RoutingStrategy,
    candidates: Sequence[Candidate],
    requirements: Sequence[Requirement],
    waited_seconds: float,
    relax_after_seconds: int | None,
    *,
    ignores_presence: bool = False,
) -> Ranking:
    """Judges every candidate and chooses the best; MANUAL judges and chooses nobody (D15).

    Mandatory skills filter under every strategy (D10), preferred ones under SKILLS_BASED only.
    `ignores_presence` is for pulls and assignments: availability and presence do not matter then (D15).
    """
    contest = Contest(strategy, candidates, requirements, relax_after_seconds, ignores_presence=ignores_presence)
    return contest.rank(waited_seconds)


class Contest:
    """The candidates of one queue while several conversations are given out: who changed is judged anew, and no other.

    `rank` is the function above, of the candidates as they are by then.
    """

    def __init__(
        self,
        strategy: RoutingStrategy,
        candidates: Sequence[Candidate],
        requirements: Sequence[Requirement],
        relax_after_seconds: int | None,
        *,
        ignores_presence: bool = False,
    ) -> None:
        self._strategy = strategy
        self._relax_after_seconds = relax_after_seconds
        self._ignores_presence = ignores_presence
        self._candidates = {it.member_id: it for it in candidates}
        self._required = sorted(requirements, key=lambda it: (not it.is_mandatory, it.name, it.skill_id))
        mandatory = [it for it in self._required if it.is_mandatory]
        self._is_unroutable = bool(mandatory) and not any(_lacking(it, mandatory) is None for it in candidates)
        self._standings: dict[tuple[Requirement, ...], tuple[list[Verdict], list[Verdict]]] = {}

    def rank(self, waited_seconds: float) -> Ranking:
        eligible, others = self._standing(self._asked(waited_seconds))
        chosen = eligible[0].candidate if eligible and self._strategy is not RoutingStrategy.MANUAL else None
        return Ranking((*eligible, *others), chosen, self._is_unroutable)

    def change(self, candidate: Candidate) -> None:
        """The candidate of that id is like this from now on; skills stay as they were."""
        self._candidates[candidate.member_id] = candidate
        for asked, standing in self._standings.items():
            for verdicts in standing:
                verdicts[:] = [it for it in verdicts if it.candidate.member_id != candidate.member_id]
            self._place(self._judge(candidate, asked), standing)

    def _asked(self, waited_seconds: float) -> tuple[Requirement, ...]:
        by_skills = self._strategy is RoutingStrategy.SKILLS_BASED
        return tuple(
            replace(it, min_level=level)
            for it in self._required
            if (it.is_mandatory or by_skills)
            and (level := relaxed(it, waited_seconds, self._relax_after_seconds)) is not None
        )

    def _standing(self, asked: tuple[Requirement, ...]) -> tuple[list[Verdict], list[Verdict]]:
        """The eligible in the order of choice, and the others by name."""
        if asked not in self._standings:
            verdicts = [self._judge(it, asked) for it in self._candidates.values()]
            eligible = sorted((it for it in verdicts if it.is_eligible), key=self._preference)
            self._standings[asked] = eligible, sorted((it for it in verdicts if not it.is_eligible), key=_by_name)
        return self._standings[asked]

    def _judge(self, candidate: Candidate, asked: Sequence[Requirement]) -> Verdict:
        scored = self._required if self._strategy is RoutingStrategy.SKILLS_BASED else None
        return _judge(candidate, asked, scored, self._ignores_presence)

    def _place(self, verdict: Verdict, standing: tuple[list[Verdict], list[Verdict]]) -> None:
        eligible, others = standing
        if verdict.is_eligible:
            insort(eligible, verdict, key=self._preference)
        else:
            insort(others, verdict, key=_by_name)

    def _preference(self, verdict: Verdict) -> "_Preference":
        return _preference(self._strategy, verdict.candidate, self._required)


def relaxed(requirement: Requirement, waited_seconds: float, relax_after_seconds: int | None) -> int | None:
    """The level that is asked after that wait, or None when the skill keeps nobody out any more (D14).

    Mandatory ones never relax. Preferred ones fall by one at each full span, and without a span never filter.
    """
    if requirement.is_mandatory:
        return requirement.min_level
    if relax_after_seconds is None:
        return None
    level = requirement.min_level - _spans(waited_seconds, relax_after_seconds)
    return level if level >= 1 else None


def next_relaxation(
    requirements: Sequence[Requirement], waited_seconds: float, relax_after_seconds: int | None
) -> float | None:
    """Seconds until a preferred skill falls next, for SKILLS_BASED queues (D16); None when none will."""
    falling = [
        it
        for it in requirements
        if not it.is_mandatory and relaxed(it, waited_seconds, relax_after_seconds) is not None
    ]
    if relax_after_seconds is None or not falling:
        return None
    return (_spans(waited_seconds, relax_after_seconds) + 1) * relax_after_seconds - waited_seconds


def returning_cursor(cursor: datetime | None, online_cursors: Sequence[datetime | None]) -> datetime | None:
    """The cursor of a member who comes back: at least the median of those online, so no burst makes up (D12).

    Of an even number the upper one of the two in the middle.
    """
    in_order = sorted(it or _LONG_AGO for it in online_cursors)
    median = in_order[len(in_order) // 2] if in_order else _LONG_AGO
    latest = max(cursor or _LONG_AGO, median)
    return None if latest == _LONG_AGO else latest


def assigned_cursor(now: datetime, cursors: Sequence[datetime | None]) -> datetime:
    """The cursor of whoever is assigned now: after all others of the queue, though several are assigned at once.

    Equal cursors would fall back to the member's id and choose one member again and again (D12).
    """
    latest = max((it for it in cursors if it is not None), default=None)
    return now if latest is None or latest < now else latest + _TICK


def _judge(
    candidate: Candidate, asked: Sequence[Requirement], scored: Sequence[Requirement] | None, ignores_presence: bool
) -> Verdict:
    lacking = _lacking(candidate, asked)
    if not candidate.is_active:
        reason = RoutingReason.INACTIVE
    elif candidate.role not in SERVING_ROLES:
        reason = RoutingReason.ROLE
    elif candidate.availability is not Availability.ONLINE and not ignores_presence:
        reason = RoutingReason.NOT_ONLINE
    elif not candidate.is_present and not ignores_presence:
        reason = RoutingReason.NO_PRESENCE
    elif candidate.load >= candidate.capacity:
        reason = RoutingReason.AT_CAPACITY
    else:
        reason = RoutingReason.LACKS_SKILL if lacking else RoutingReason.ELIGIBLE
    score = None if scored is None else _levels(candidate, scored) / HIGHEST_LEVEL
    return Verdict(candidate, reason, lacking if reason is RoutingReason.LACKS_SKILL else None, score)


def _by_name(verdict: Verdict) -> tuple[str, UUID]:
    return verdict.candidate.name, verdict.candidate.member_id


def _lacking(candidate: Candidate, asked: Sequence[Requirement]) -> Requirement | None:
    return next((it for it in asked if candidate.skills.get(it.skill_id, 0) < it.min_level), None)


def _levels(candidate: Candidate, requirements: Sequence[Requirement]) -> int:
    """The sum over the preferred ones."""
    return sum(candidate.skills.get(it.skill_id, 0) for it in requirements if not it.is_mandatory)


def _over_qualification(candidate: Candidate, requirements: Sequence[Requirement]) -> int:
    """The levels above what the queue asks before it relaxes: the expert is kept for those who need one."""
    return sum(max(0, candidate.skills.get(it.skill_id, 0) - it.min_level) for it in requirements)


_Preference: TypeAlias = tuple[float | int | bool | datetime | UUID, ...]


def _preference(strategy: RoutingStrategy, candidate: Candidate, requirements: Sequence[Requirement]) -> _Preference:
    """The lowest is chosen. Only of eligible candidates: their capacity is above zero."""
    relative_load = candidate.load / candidate.capacity
    match strategy:
        case RoutingStrategy.ROUND_ROBIN:
            return (candidate.last_assigned_in_queue_at or _LONG_AGO, candidate.member_id)
        case RoutingStrategy.SKILLS_BASED:
            score = _levels(candidate, requirements)
            return (-score, _over_qualification(candidate, requirements), relative_load, candidate.member_id)
        case RoutingStrategy.LOAD_BALANCE | RoutingStrategy.MANUAL:
            return (relative_load, candidate.last_assigned_at or _LONG_AGO, candidate.member_id)


def _spans(waited_seconds: float, relax_after_seconds: int) -> int:
    """Full spans, exact at their ends: `//` of floats does not round up just before one.

    No more than waive every skill, so that an endless wait can be asked about.
    """
    return max(0, int(min(waited_seconds, HIGHEST_LEVEL * relax_after_seconds) // relax_after_seconds))
