"""What may follow what, when to try again, and when a window lets pass: pure tables (F10, E7, S16)."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from pytake_gql.automation.flow_executions import retries, statuses, windows
from pytake_gql.automation.flow_executions.models import ExecutionStatus, RecipientStatus
from pytake_gql.automation.flow_executions.snapshots import Audience, Limits, Snapshot
from pytake_gql.automation.flow_executions.windows import Gate, Look, Span
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.desk.contacts.service import Criteria
from pytake_gql.desk.conversations.models import MessageStatus
from pytake_gql.kernel.ids import uuid7

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "run", "expected"),
    [
        ("QUEUED", "COMPLETED", "SENDING"),
        ("QUEUED", "WAITING", "SENDING"),
        ("UNKNOWN", "COMPLETED", "UNKNOWN"),
        ("FAILED", "COMPLETED", "FAILED"),
        ("SENT", "WAITING", "SENT"),
        ("DELIVERED", "RUNNING", "DELIVERED"),
        ("READ", "WAITING", "READ"),
        ("READ", "COMPLETED", "COMPLETED"),
        ("SENT", "HANDED_OFF", "COMPLETED"),
        ("SENT", "FAILED", "FAILED"),
        ("SENT", "CANCELLED", "CANCELLED"),
        ("SENT", "EXPIRED", "EXPIRED"),
        (None, "RUNNING", "SENT"),
        (None, "COMPLETED", "COMPLETED"),
        ("SENT", None, "SENT"),
    ],
)
def test_f10_a_recipient_stands_where_its_message_and_its_run_stand(
    message: str | None, run: str | None, expected: str
) -> None:
    found = statuses.standing(MessageStatus(message) if message else None, FlowRunStatus(run) if run else None)
    assert found == expected


def test_a_recipient_moves_forward_only() -> None:
    funnel = ["PENDING", "SENDING", "UNKNOWN", "SENT", "DELIVERED", "READ", "REPLIED", "COMPLETED"]
    aside = ["FAILED", "SKIPPED", "CANCELLED", "EXPIRED"]
    for now in RecipientStatus:
        for then in RecipientStatus:
            if now.value in aside:
                expected = False
            elif now is RecipientStatus.COMPLETED:
                expected = then is RecipientStatus.FAILED
            elif then.value in aside:
                expected = True
            else:
                expected = funnel.index(then.value) > funnel.index(now.value)
            assert statuses.moves(now, then) is expected, (now, then)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, "COMPLETED"),
        ({"COMPLETED": 3, "SKIPPED": 1}, "COMPLETED"),
        ({"SKIPPED": 2}, "COMPLETED"),
        ({"COMPLETED": 3, "FAILED": 1}, "COMPLETED_WITH_ERRORS"),
        ({"UNKNOWN": 1}, "COMPLETED_WITH_ERRORS"),
        ({"FAILED": 2, "SKIPPED": 5}, "FAILED"),
        ({"FAILED": 1, "EXPIRED": 1}, "COMPLETED_WITH_ERRORS"),
    ],
)
def test_how_an_execution_ends_is_said_by_its_recipients(counts: dict[str, int], expected: str) -> None:
    assert statuses.outcome({RecipientStatus(name): number for name, number in counts.items()}) == expected


def test_every_status_of_an_execution_is_under_way_or_an_end() -> None:
    assert statuses.UNDER_WAY | statuses.RETRIABLE | {
        ExecutionStatus.CANCELLED,
        ExecutionStatus.SKIPPED,
        ExecutionStatus.MISSED,
        ExecutionStatus.EXPIRED,
    } == set(ExecutionStatus)


def test_e7_pauses_double_from_30_seconds_to_an_hour_with_full_jitter() -> None:
    dice = Random(7)
    for attempts, ceiling in ((1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (40, 3600)):
        drawn = [retries.pause(attempts, dice) for _ in range(500)]
        assert all(timedelta() <= pause <= timedelta(seconds=ceiling) for pause in drawn)
        assert max(drawn) > timedelta(seconds=ceiling * 0.95)
        assert min(drawn) < timedelta(seconds=ceiling * 0.05)


def test_s16_a_window_is_half_open_and_gives_up_after_three_days() -> None:
    first = Span(NOW, NOW + timedelta(hours=1))
    second = Span(NOW + timedelta(hours=20), NOW + timedelta(hours=21))
    spans, end = [first, second], NOW + timedelta(hours=72)
    assert windows.look(None, NOW, NOW + timedelta(days=30)) == Look(Gate.OPEN)
    assert windows.look(spans, NOW, NOW) == Look(Gate.OPEN, first.closes_at)
    assert windows.look(spans, NOW, first.closes_at) == Look(Gate.CLOSED, second.opens_at)
    assert windows.look(spans, NOW, second.closes_at - timedelta(microseconds=1)) == Look(Gate.OPEN, second.closes_at)
    assert windows.look(spans, NOW, second.closes_at) == Look(Gate.CLOSED, end)
    assert windows.look(spans, NOW, end) == Look(Gate.EXPIRED)
    assert windows.look([Span(NOW, NOW + timedelta(days=9))], NOW, end - timedelta(seconds=1)) == Look(Gate.OPEN, end)


def test_a_snapshot_comes_back_as_it_was_stored() -> None:
    criteria = Criteria(search="Ana", tag_ids=[uuid7()], attributes={"plano": "Ouro"}, is_blocked=False)
    for audience in (Audience(), Audience(contact_ids=(uuid7(), uuid7())), Audience(criteria=criteria)):
        snapshot = Snapshot(
            audience, {"nome": "{{contact.name}}"}, Limits(5, 60, 2), (Span(NOW, NOW + timedelta(hours=1)),)
        )
        assert Snapshot.from_json(snapshot.to_json()) == snapshot
