"""What moves the clocks of a conversation, without a database (D24, D25)."""

import datetime as dt
from collections.abc import Callable
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.desk.sla.clocks import Clocks
from pytake_gql.desk.sla.models import SlaClock, SlaPolicy
from pytake_gql.tenancy.organizations import opening_hours
from pytake_gql.tenancy.organizations.opening_hours import OpeningSpan, Weekday

FIRST, NEXT, RESOLUTION = SlaTarget
OFFICE = [
    OpeningSpan(day, dt.time(opens), dt.time(closes))
    for day in tuple(Weekday)[:5]
    for opens, closes in ((9, 12), (13, 17))
]


def at(text: str) -> dt.datetime:
    """An instant of Friday 2026-03-06 or a later day, by São Paulo's clock: `16:30`, or `09 09:30` on the 9th."""
    day, time = text.split() if " " in text else ("06", text)
    local = dt.datetime.combine(dt.date(2026, 3, int(day)), dt.time.fromisoformat(time))
    return local.replace(tzinfo=ZoneInfo("America/Sao_Paulo")).astimezone(dt.UTC)


def clocks(first: int | None = 60, after: int | None = 30, resolution: int | None = 480) -> Clocks:
    policy = SlaPolicy(
        id=uuid4(),
        first_response_minutes=first,
        next_response_minutes=after,
        resolution_minutes=resolution,
        opening_hours=opening_hours.to_json(OFFICE),
        timezone="America/Sao_Paulo",
        holiday_region="BR-SP",
        applied_at=at("09:00"),
    )
    return Clocks(policy)


def last(of: Clocks, target: SlaTarget) -> SlaClock:
    return [clock for clock in of.clocks if clock.target is target][-1]


def dues(of: Clocks) -> dict[SlaTarget, dt.datetime | None]:
    """The deadlines of those that run."""
    return {clock.target: clock.due_at for clock in of.clocks if clock.running_since}


def begun(**targets: int | None) -> Clocks:
    """A conversation that waits for an agent since 16:30."""
    made = clocks(**targets)
    made.begin(at("16:30"), began_at=at("16:30"))
    return made


def answered(**targets: int | None) -> Clocks:
    """The same, with the first response at 16:40."""
    made = begun(**targets)
    made.member_spoke(at("16:40"))
    return made


def test_d24_first_response_and_resolution_begin_when_a_human_may_act() -> None:
    of = begun()
    assert dues(of) == {FIRST: at("09 09:30"), RESOLUTION: at("10 09:30")}
    assert of.due_at == at("09 09:30")


def test_d24_after_a_flow_the_first_response_begins_with_the_handoff_and_the_resolution_with_the_start() -> None:
    of = clocks()
    of.begin(at("16:30"), began_at=at("16:00"))
    assert dues(of) == {FIRST: at("09 09:30"), RESOLUTION: at("09 17:00")}
    assert last(of, RESOLUTION).started_at == at("16:00")


def test_without_a_target_there_is_no_clock() -> None:
    of = begun(first=None, after=None, resolution=None)
    for verb in (of.contact_spoke, of.member_spoke, of.contact_spoke, of.snoozed, of.resumed, of.closed, of.resumed):
        verb(at("16:45"))
    assert (of.clocks, of.due_at, of.lapse(at("20 09:00"))) == ([], None, [])


def test_d24_the_first_answer_meets_the_first_response_once() -> None:
    of = answered()
    of.member_spoke(at("16:50"))
    first = last(of, FIRST)
    assert (first.met_at, first.due_at, first.running_since) == (at("16:40"), at("09 09:30"), None)
    assert of.policy.responded_at == at("16:40")
    assert dues(of) == {RESOLUTION: at("10 09:30")}


def test_d24_what_the_contact_writes_before_the_first_response_starts_nothing() -> None:
    of = begun()
    of.contact_spoke(at("16:35"))
    assert set(dues(of)) == {FIRST, RESOLUTION}


def test_d24_next_response_runs_from_the_first_unanswered_message_and_more_do_not_restart_it() -> None:
    of = answered()
    of.contact_spoke(at("16:45"))
    of.contact_spoke(at("16:55"))
    assert dues(of)[NEXT] == at("09 09:15")
    of.member_spoke(at("09 09:10"))
    assert (last(of, NEXT).met_at, NEXT in dues(of)) == (at("09 09:10"), False)
    of.contact_spoke(at("09 10:00"))
    assert dues(of)[NEXT] == at("09 10:30")
    assert [(c.cycle, c.started_at) for c in of.clocks if c.target is NEXT] == [
        (1, at("16:45")),
        (2, at("09 10:00")),
    ]


def test_d24_next_response_and_resolution_pause_while_snoozed_and_the_first_response_does_not() -> None:
    of = begun()
    of.snoozed(at("16:40"))
    assert dues(of) == {FIRST: at("09 09:30")}
    assert (last(of, RESOLUTION).paused_at, last(of, RESOLUTION).due_at) == (at("16:40"), None)

    of = answered()
    of.contact_spoke(at("16:45"))
    of.snoozed(at("16:50"))
    assert (dues(of), of.due_at) == ({}, None)
    assert last(of, NEXT).used_seconds == 5 * 60
    of.contact_spoke(at("16:55"))
    assert dues(of) == {}
    of.resumed(at("09 10:00"))
    # 25 of 30 minutes and 460 of 480 are left.
    assert dues(of) == {NEXT: at("09 10:25"), RESOLUTION: at("10 10:40")}
    assert last(of, NEXT).paused_at is None


def test_d24_an_answer_while_snoozed_meets_what_is_paused() -> None:
    of = answered()
    of.contact_spoke(at("16:45"))
    of.snoozed(at("16:50"))
    of.member_spoke(at("09 11:00"))
    of.resumed(at("09 12:00"))
    assert (last(of, NEXT).met_at, last(of, NEXT).used_seconds) == (at("09 11:00"), 5 * 60)
    assert set(dues(of)) == {RESOLUTION}


def test_d24_a_reopen_resumes_the_resolution_with_the_time_used() -> None:
    of = answered()
    of.closed(at("16:50"))
    assert (last(of, RESOLUTION).met_at, of.due_at) == (at("16:50"), None)
    of.resumed(at("09 09:00"))
    assert (last(of, RESOLUTION).met_at, dues(of)) == (None, {RESOLUTION: at("10 09:40")})
    of.closed(at("09 10:00"))
    assert last(of, RESOLUTION).used_seconds == 80 * 60


def test_what_is_owed_when_it_is_closed_stands_still_until_it_is_open_again() -> None:
    of = begun()
    of.closed(at("16:45"))
    assert (of.due_at, of.lapse(at("20 09:00"))) == (None, [])
    of.resumed(at("09 09:00"))
    assert dues(of)[FIRST] == at("09 09:45")


@pytest.mark.parametrize("state", ["snoozed", "closed"])
def test_said_again_nothing_changes(state: str) -> None:
    of = answered()
    of.contact_spoke(at("16:45"))
    verb: Callable[[dt.datetime], None] = getattr(of, state)
    verb(at("16:50"))
    before = [clock.model_dump() for clock in of.clocks]
    verb(at("16:55"))
    assert [clock.model_dump() for clock in of.clocks] == before
    of.resumed(at("09 09:00"))
    before = [clock.model_dump() for clock in of.clocks]
    of.resumed(at("09 10:00"))
    assert [clock.model_dump() for clock in of.clocks] == before


def test_d25_a_breach_is_the_deadline_however_late_it_is_seen_and_only_once() -> None:
    of = begun()
    assert of.lapse(at("09 09:30")) == []
    late = of.lapse(at("20 09:00"))
    assert [(c.target, c.breached_at) for c in late] == [(FIRST, at("09 09:30")), (RESOLUTION, at("10 09:30"))]
    assert of.lapse(at("25 09:00")) == []


def test_d25_a_breach_stays_beside_a_late_answer_and_its_deadline_does_not_move() -> None:
    of = answered()
    of.contact_spoke(at("16:45"))
    assert [c.target for c in of.lapse(at("09 09:15:01"))] == [NEXT]
    of.snoozed(at("09 09:20"))
    assert of.due_at is None
    of.resumed(at("09 10:00"))
    assert dues(of)[NEXT] == at("09 09:15")
    assert of.lapse(at("09 10:01")) == []
    of.member_spoke(at("09 10:05"))
    assert (last(of, NEXT).breached_at, last(of, NEXT).met_at) == (at("09 09:15"), at("09 10:05"))


def test_a_clock_that_is_never_due_never_lapses() -> None:
    of = clocks(first=365 * 24 * 60, resolution=None)
    of.policy.opening_hours = opening_hours.to_json([OpeningSpan(Weekday.MONDAY, dt.time(9), dt.time(9, 1))])
    of.begin(at("16:30"), began_at=at("16:30"))
    assert (len(of.clocks), of.due_at) == (1, None)
    assert of.lapse(at("06 16:30") + dt.timedelta(days=4000)) == []
