"""Who is chosen and why: tables of cases, exact boundaries, and properties."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pytake_gql.desk.queues.models import RoutingStrategy
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.desk.routing.strategies import (
    Candidate,
    Contest,
    Ranking,
    RoutingReason,
    assigned_cursor,
    next_relaxation,
    rank,
    relaxed,
    returning_cursor,
)
from pytake_gql.desk.routing.verdicts import reason_text
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Availability

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ENGLISH, BILLING = UUID(int=101), UUID(int=102)
JUST_BEFORE = 1e-6


def agent(number: int, **values: Any) -> Candidate:
    """Eligible unless something else is said."""
    return Candidate(
        **{
            "member_id": UUID(int=number),
            "name": f"Agent {number}",
            "role": Role.AGENT,
            "is_active": True,
            "availability": Availability.ONLINE,
            "is_present": True,
            "load": 0,
            "capacity": 5,
            "skills": {},
            "last_assigned_in_queue_at": None,
            "last_assigned_at": None,
            **values,
        }
    )


def needs(skill_id: UUID = BILLING, level: int = 3, *, mandatory: bool = True) -> Requirement:
    return Requirement(skill_id, "billing" if skill_id == BILLING else "English", level, mandatory)


def numbers(ranking: Ranking) -> list[int]:
    return [verdict.candidate.member_id.int for verdict in ranking.verdicts if verdict.is_eligible]


def ranked(strategy: RoutingStrategy, *candidates: Candidate) -> list[int]:
    return numbers(rank(strategy, candidates, (), 0, None))


def minutes_ago(count: int) -> datetime:
    return NOON - timedelta(minutes=count)


EVERY_STRATEGY = pytest.mark.parametrize("strategy", list(RoutingStrategy))

REASONS: tuple[tuple[dict[str, Any], RoutingReason], ...] = (
    ({}, RoutingReason.ELIGIBLE),
    ({"role": Role.ORG_ADMIN}, RoutingReason.ELIGIBLE),
    ({"load": 4}, RoutingReason.ELIGIBLE),
    ({"is_active": False}, RoutingReason.INACTIVE),
    ({"role": Role.VIEWER}, RoutingReason.ROLE),
    ({"role": Role.SUPER_ADMIN}, RoutingReason.ROLE),
    ({"availability": Availability.BUSY}, RoutingReason.NOT_ONLINE),
    ({"availability": Availability.AWAY}, RoutingReason.NOT_ONLINE),
    ({"availability": Availability.OFFLINE}, RoutingReason.NOT_ONLINE),
    ({"is_present": False}, RoutingReason.NO_PRESENCE),
    ({"load": 5}, RoutingReason.AT_CAPACITY),
    ({"load": 6}, RoutingReason.AT_CAPACITY),
    ({"capacity": 0}, RoutingReason.AT_CAPACITY),
    ({"skills": {BILLING: 2}}, RoutingReason.LACKS_SKILL),
    ({"skills": {ENGLISH: 5}}, RoutingReason.LACKS_SKILL),
)


@EVERY_STRATEGY
@pytest.mark.parametrize(("state", "reason"), REASONS)
def test_d10_each_condition_has_its_reason(
    strategy: RoutingStrategy, state: dict[str, Any], reason: RoutingReason
) -> None:
    candidate = agent(1, **{"skills": {BILLING: 3}, **state})
    ranking = rank(strategy, [candidate], [needs()], 10_000, 1)
    (verdict,) = ranking.verdicts
    assert (verdict.reason, verdict.is_eligible) == (reason, reason is RoutingReason.ELIGIBLE)
    assert verdict.lacking == (needs() if reason is RoutingReason.LACKS_SKILL else None)
    is_chosen = verdict.is_eligible and strategy is not RoutingStrategy.MANUAL
    assert ranking.chosen == (candidate if is_chosen else None)


def test_d10_the_first_of_several_reasons_is_told() -> None:
    worst: dict[str, Any] = {
        "is_active": False,
        "role": Role.VIEWER,
        "availability": Availability.AWAY,
        "is_present": False,
        "load": 5,
    }
    told = []
    while True:
        (verdict,) = rank(RoutingStrategy.ROUND_ROBIN, [agent(1, **worst)], [needs()], 0, None).verdicts
        told.append(verdict.reason)
        if not worst:
            break
        del worst[next(iter(worst))]
    assert told == [
        RoutingReason.INACTIVE,
        RoutingReason.ROLE,
        RoutingReason.NOT_ONLINE,
        RoutingReason.NO_PRESENCE,
        RoutingReason.AT_CAPACITY,
        RoutingReason.LACKS_SKILL,
    ]


def test_d15_whoever_pulls_is_there_but_the_other_conditions_stay() -> None:
    away = agent(1, availability=Availability.AWAY, is_present=False)
    full = replace(away, load=5)
    for candidate, reason in ((away, RoutingReason.ELIGIBLE), (full, RoutingReason.AT_CAPACITY)):
        ranking = rank(RoutingStrategy.MANUAL, [candidate], (), 0, None, ignores_presence=True)
        assert [verdict.reason for verdict in ranking.verdicts] == [reason]


def test_d15_manual_tells_who_could_and_chooses_nobody() -> None:
    candidates = [agent(1, load=2), agent(2, load=1), agent(3, availability=Availability.AWAY)]
    ranking = rank(RoutingStrategy.MANUAL, candidates, (), 0, None)
    assert ranking.chosen is None
    assert [(it.candidate.member_id.int, it.is_eligible) for it in ranking.verdicts] == [
        (2, True),
        (1, True),
        (3, False),
    ]


def test_d12_longest_since_the_last_assignment_in_this_queue_then_id() -> None:
    assert ranked(
        RoutingStrategy.ROUND_ROBIN,
        agent(1, last_assigned_in_queue_at=minutes_ago(1)),
        agent(4, last_assigned_in_queue_at=minutes_ago(3), load=4, last_assigned_at=NOON),
        agent(3, last_assigned_in_queue_at=minutes_ago(3)),
        agent(6),
        agent(5, last_assigned_at=NOON),
    ) == [5, 6, 3, 4, 1]


def test_d13_lowest_load_by_capacity_then_longest_since_any_assignment_then_id() -> None:
    assert ranked(
        RoutingStrategy.LOAD_BALANCE,
        agent(1, load=2, capacity=4),
        agent(2, load=3, capacity=10, last_assigned_in_queue_at=NOON),
        agent(3, load=1, capacity=3, last_assigned_at=minutes_ago(1)),
        agent(5, load=2, capacity=6, last_assigned_at=minutes_ago(2)),
        agent(4, load=2, capacity=6, last_assigned_at=minutes_ago(2)),
        agent(6, load=33, capacity=99),
    ) == [2, 6, 4, 5, 3, 1]


def test_d14_the_highest_score_of_the_preferred_skills_is_first() -> None:
    requirements = [needs(ENGLISH, 1, mandatory=False), needs(BILLING, 2, mandatory=False)]
    ranking = rank(
        RoutingStrategy.SKILLS_BASED,
        [agent(1), agent(2, skills={ENGLISH: 5}), agent(3, skills={ENGLISH: 3, BILLING: 3}, load=4)],
        requirements,
        0,
        None,
    )
    assert [(it.candidate.member_id.int, it.score) for it in ranking.verdicts] == [(3, 1.2), (2, 1.0), (1, 0.0)]
    assert ranking.chosen is not None
    assert ranking.chosen.member_id.int == 3


def test_d14_among_equals_the_least_over_qualified_then_the_least_loaded_then_id() -> None:
    requirements = [needs(BILLING, 2), needs(ENGLISH, 3, mandatory=False)]
    candidates = [
        agent(1, skills={BILLING: 5, ENGLISH: 3}),
        agent(5, skills={BILLING: 3, ENGLISH: 3}, load=1, capacity=4),
        agent(4, skills={BILLING: 3, ENGLISH: 3}, load=1, capacity=4),
        agent(3, skills={BILLING: 3, ENGLISH: 3}, load=2, capacity=9),
        agent(2, skills={BILLING: 2, ENGLISH: 3}, load=4),
    ]
    ranking = rank(RoutingStrategy.SKILLS_BASED, candidates, requirements, 0, None)
    assert numbers(ranking) == [2, 3, 4, 5, 1]
    assert {verdict.score for verdict in ranking.verdicts} == {0.6}


@pytest.mark.parametrize("strategy", [it for it in RoutingStrategy if it is not RoutingStrategy.SKILLS_BASED])
def test_preferred_skills_matter_to_no_other_strategy(strategy: RoutingStrategy) -> None:
    expert = agent(2, skills={BILLING: 5})
    ranking = rank(strategy, [agent(1), expert], [needs(mandatory=False)], 0, 60)
    assert numbers(ranking) == [1, 2]
    assert [verdict.score for verdict in ranking.verdicts] == [None, None]


@pytest.mark.parametrize(
    ("waited", "level"),
    [
        (0, 4),
        (4 - JUST_BEFORE, 4),
        (4, 3),
        (8 - JUST_BEFORE, 3),
        (8, 2),
        (12 - JUST_BEFORE, 2),
        (12, 1),
        (16 - JUST_BEFORE, 1),
        (16, None),
        (1e9, None),
        (-3, 4),
    ],
)
def test_d14_a_preferred_skill_falls_at_each_full_span_and_is_waived(waited: float, level: int | None) -> None:
    assert relaxed(needs(level=4, mandatory=False), waited, 4) == level
    assert relaxed(needs(level=4), waited, 4) == 4
    assert relaxed(needs(level=4, mandatory=False), waited, None) is None
    beginner = agent(1, skills={BILLING: (level or 1) - 1})
    fitting = agent(2, skills={BILLING: level or 0})
    ranking = rank(RoutingStrategy.SKILLS_BASED, [beginner, fitting], [needs(level=4, mandatory=False)], waited, 4)
    assert numbers(ranking) == ([2] if level else [1, 2])
    if level:
        assert ranking.verdicts[1].lacking == needs(level=level, mandatory=False)


@pytest.mark.parametrize(
    ("waited", "seconds"), [(-1, 5), (0, 4), (3.5, 0.5), (4, 4), (11.75, 0.25), (12, 4), (16, None), (99, None)]
)
def test_d16_the_next_relaxation_is_known(waited: float, seconds: float | None) -> None:
    requirements = [needs(level=4, mandatory=False), needs(ENGLISH, 1, mandatory=False), needs(ENGLISH, 5)]
    assert next_relaxation(requirements, waited, 4) == seconds


def test_d16_nothing_relaxes_without_a_span_or_a_preferred_skill() -> None:
    assert next_relaxation([needs(mandatory=False)], 0, None) is None
    assert next_relaxation([needs()], 0, 4) is None
    assert next_relaxation([], 0, 4) is None


@EVERY_STRATEGY
def test_d14_unroutable_is_what_nobody_could_ever_take(strategy: RoutingStrategy) -> None:
    both = [needs(BILLING, 2), needs(ENGLISH, 2)]
    halves = [agent(1, skills={BILLING: 5}), agent(2, skills={ENGLISH: 5})]
    gone = agent(3, skills={BILLING: 2, ENGLISH: 2}, is_active=False, availability=Availability.OFFLINE)
    assert rank(strategy, halves, both, 0, None).is_unroutable
    assert not rank(strategy, [*halves, gone], both, 0, None).is_unroutable
    assert rank(strategy, [], both, 0, None).is_unroutable
    assert not rank(strategy, [], [needs(mandatory=False)], 0, 60).is_unroutable
    assert not rank(strategy, [agent(1)], [needs(mandatory=False)], 0, 60).is_unroutable


@pytest.mark.parametrize(
    ("cursor", "online", "expected"),
    [
        (None, [], None),
        (minutes_ago(9), [], minutes_ago(9)),
        (None, [None, None], None),
        (None, [minutes_ago(1), minutes_ago(3), minutes_ago(2)], minutes_ago(2)),
        (minutes_ago(9), [minutes_ago(1), minutes_ago(3)], minutes_ago(1)),
        (minutes_ago(9), [None, None, minutes_ago(1)], minutes_ago(9)),
        (NOON, [minutes_ago(1), minutes_ago(3), minutes_ago(2)], NOON),
    ],
)
def test_d12_who_comes_back_stands_in_the_middle(
    cursor: datetime | None, online: list[datetime | None], expected: datetime | None
) -> None:
    assert returning_cursor(cursor, online) == expected


@pytest.mark.parametrize(
    ("cursors", "expected"),
    [
        ([], NOON),
        ([None, minutes_ago(1)], NOON),
        ([NOON, None], NOON + timedelta(microseconds=1)),
        ([NOON + timedelta(seconds=1)], NOON + timedelta(seconds=1, microseconds=1)),
    ],
)
def test_d12_a_new_cursor_is_after_all_others(cursors: list[datetime | None], expected: datetime) -> None:
    assert assigned_cursor(NOON, cursors) == expected


SENTENCES: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({}, "can take it", "pode atender"),
    ({"is_active": False}, "deactivated", "desativado"),
    ({"role": Role.VIEWER}, "has a role that answers no conversations", "tem um papel que não atende conversas"),
    ({"availability": Availability.OFFLINE}, "offline", "offline"),
    ({"availability": Availability.BUSY}, "busy", "ocupado"),
    ({"availability": Availability.AWAY}, "away", "ausente"),
    ({"is_present": False}, "online, but not connected", "online, mas sem conexão"),
    ({"load": 5}, "at capacity (5 of 5)", "no limite da capacidade (5 de 5)"),
    ({"skills": {}}, "lacks skill 'billing' (level 3)", "não tem a habilidade 'billing' (nível 3)"),
)


@pytest.mark.parametrize(("state", "english", "portuguese"), SENTENCES)
def test_d17_reasons_are_told_in_both_languages(state: dict[str, Any], english: str, portuguese: str) -> None:
    candidate = agent(1, **{"skills": {BILLING: 3}, **state})
    (verdict,) = rank(RoutingStrategy.ROUND_ROBIN, [candidate], [needs()], 0, None).verdicts
    assert (reason_text(verdict, "en"), reason_text(verdict, "pt-BR")) == (english, portuguese)


levels = some.dictionaries(some.sampled_from([ENGLISH, BILLING]), some.integers(1, 5))
instants = some.none() | some.integers(0, 4).map(minutes_ago)
any_candidates = some.lists(
    some.builds(
        agent,
        some.integers(1, 50),
        role=some.sampled_from(Role),
        is_active=some.booleans(),
        availability=some.sampled_from([Availability.ONLINE, Availability.ONLINE, Availability.AWAY]),
        is_present=some.booleans(),
        load=some.integers(0, 6),
        capacity=some.integers(0, 6),
        skills=levels,
        last_assigned_in_queue_at=instants,
        last_assigned_at=instants,
    ),
    max_size=8,
    unique_by=lambda candidate: candidate.member_id,
)
any_requirements = some.lists(
    some.builds(needs, some.sampled_from([ENGLISH, BILLING]), some.integers(1, 5), mandatory=some.booleans()),
    max_size=2,
    unique_by=lambda requirement: requirement.skill_id,
)
any_strategy = some.sampled_from(RoutingStrategy)
any_wait = some.floats(0, 100)
any_span = some.none() | some.integers(1, 30)


@given(some.data(), any_strategy, any_candidates, any_requirements, any_wait, any_span)
def test_d17_the_order_of_what_is_given_does_not_matter(
    data: some.DataObject,
    strategy: RoutingStrategy,
    candidates: list[Candidate],
    requirements: list[Requirement],
    waited: float,
    span: int | None,
) -> None:
    ranking = rank(strategy, candidates, requirements, waited, span)
    others = data.draw(some.permutations(candidates)), data.draw(some.permutations(requirements))
    assert rank(strategy, *others, waited, span) == ranking
    assert sorted(it.candidate.member_id for it in ranking.verdicts) == sorted(it.member_id for it in candidates)
    first = ranking.verdicts[0] if ranking.verdicts else None
    can_be = first is not None and first.is_eligible and strategy is not RoutingStrategy.MANUAL
    assert ranking.chosen == (first.candidate if first is not None and can_be else None)
    assert not (ranking.is_unroutable and ranking.chosen)


@given(some.data(), any_strategy, any_candidates, any_requirements, any_span, some.lists(any_wait, max_size=6))
def test_a_contest_that_goes_on_ranks_as_one_that_begins_anew(
    data: some.DataObject,
    strategy: RoutingStrategy,
    candidates: list[Candidate],
    requirements: list[Requirement],
    span: int | None,
    waits: list[float],
) -> None:
    """Whoever changes is judged anew, and nobody else: the ranking is that of everybody judged anew."""
    contest, known = Contest(strategy, candidates, requirements, span), list(candidates)
    for waited in waits:
        assert contest.rank(waited) == rank(strategy, known, requirements, waited, span)
        if known:
            index = data.draw(some.integers(0, len(known) - 1))
            known[index] = replace(known[index], load=data.draw(some.integers(0, 6)), last_assigned_at=NOON)
            contest.change(known[index])


@given(any_candidates, any_requirements, some.integers(1, 30), any_wait, any_wait)
def test_d14_waiting_never_makes_anybody_unfit(
    candidates: list[Candidate], requirements: list[Requirement], span: int, waited: float, more: float
) -> None:
    def fit(seconds: float) -> set[int]:
        return set(numbers(rank(RoutingStrategy.SKILLS_BASED, candidates, requirements, seconds, span)))

    assert fit(waited) <= fit(waited + more)
    assert fit(1_000) == fit(0) | set(numbers(rank(RoutingStrategy.SKILLS_BASED, candidates, requirements, 0, None)))


@given(some.integers(1, 5), some.integers(1, 10_000), some.integers(1, 6))
def test_d14_boundaries_are_exact_for_every_span(level: int, span: int, count: int) -> None:
    preferred = needs(level=level, mandatory=False)

    def at(seconds: float) -> int | None:
        return relaxed(preferred, seconds, span)

    after, before = level - count, level - count + 1
    assert at(count * span) == (after if after >= 1 else None)
    assert at(count * span - JUST_BEFORE) == (before if before >= 1 else None)


@given(any_candidates, any_requirements, any_wait, any_span)
def test_d14_the_score_falls_along_the_ranking_and_rises_with_a_level(
    candidates: list[Candidate], requirements: list[Requirement], waited: float, span: int | None
) -> None:
    ranking = rank(RoutingStrategy.SKILLS_BASED, candidates, requirements, waited, span)
    scores = [verdict.score or 0 for verdict in ranking.verdicts if verdict.is_eligible]
    assert scores == sorted(scores, reverse=True)
    better = [
        replace(it, skills={id_: min(5, it.skills.get(id_, 0) + 1) for id_ in (ENGLISH, BILLING)}) for it in candidates
    ]
    after = rank(RoutingStrategy.SKILLS_BASED, better, requirements, waited, span)
    risen = {it.candidate.member_id: it.score or 0 for it in after.verdicts}
    assert all(risen[it.candidate.member_id] >= (it.score or 0) for it in ranking.verdicts)
    assert set(numbers(ranking)) <= set(numbers(after))


@given(
    some.lists(instants, min_size=1, max_size=6),
    some.lists(some.integers(0, 2), min_size=1, max_size=60),
)
def test_d12_counts_differ_by_at_most_one_even_when_many_are_assigned_at_once(
    cursors: list[datetime | None], seconds_between: list[int]
) -> None:
    team = {number: agent(number, last_assigned_in_queue_at=cursor) for number, cursor in enumerate(cursors)}
    counts, now = Counter(dict.fromkeys(team, 0)), NOON
    for seconds in seconds_between:
        now += timedelta(seconds=seconds)
        chosen = rank(RoutingStrategy.ROUND_ROBIN, list(team.values()), (), 0, None).chosen
        assert chosen is not None
        number = chosen.member_id.int
        cursor = assigned_cursor(now, [it.last_assigned_in_queue_at for it in team.values()])
        team[number] = replace(chosen, last_assigned_in_queue_at=cursor)
        counts[number] += 1
        assert max(counts.values()) - min(counts.values()) <= 1


@given(some.lists(instants, min_size=1, max_size=6), instants)
def test_d12_who_comes_back_gets_no_burst(cursors: list[datetime | None], own: datetime | None) -> None:
    team = {number: agent(number, last_assigned_in_queue_at=cursor) for number, cursor in enumerate(cursors, 1)}
    returned = agent(0, last_assigned_in_queue_at=returning_cursor(own, cursors))
    team[0] = returned
    counts, now = Counter(dict.fromkeys(team, 0)), NOON
    for _ in range(3 * len(team)):
        now += timedelta(seconds=1)
        chosen = rank(RoutingStrategy.ROUND_ROBIN, list(team.values()), (), 0, None).chosen
        assert chosen is not None
        counts[chosen.member_id.int] += 1
        team[chosen.member_id.int] = replace(chosen, last_assigned_in_queue_at=now)
        assert counts[0] <= min(counts.values()) + 1
    assert set(counts.values()) == {3}
