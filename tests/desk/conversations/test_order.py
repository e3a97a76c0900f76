"""D5, pure: who is first."""

from datetime import UTC, datetime, timedelta

import pytest

from pytake_gql.desk.conversations.models import ConversationPriority
from pytake_gql.desk.conversations.order import waiting_rank, weight

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LOW, NORMAL, HIGH, URGENT = ConversationPriority


@pytest.mark.parametrize(
    ("priority", "minutes", "expected"),
    [
        (LOW, 0, 10),
        (LOW, 30, 40),
        (LOW, 89, 99),
        (LOW, 500, 99),
        (NORMAL, 49, 99),
        (HIGH, 18, 98),
        (HIGH, 19, 99),
        (URGENT, 0, 100),
        (URGENT, 500, 100),
    ],
)
def test_d5_weights_grow_by_the_minute_and_are_capped(
    priority: ConversationPriority, minutes: int, expected: int
) -> None:
    assert weight(priority, NOW - timedelta(minutes=minutes), NOW) == expected


def test_d5_the_rank_orders_as_the_weight_does_at_any_instant() -> None:
    waits = [(priority, NOW - timedelta(minutes=m)) for priority in (LOW, NORMAL, HIGH) for m in range(0, 60, 7)]
    for later in range(0, 25, 6):
        now = NOW + timedelta(minutes=later)
        uncapped = [wait for wait in waits if weight(*wait, now) < 99]
        by_rank = sorted(uncapped, key=lambda wait: waiting_rank(*wait))
        weights = [weight(*wait, now) for wait in by_rank]
        assert weights == sorted(weights, reverse=True)


def test_d5_low_does_not_starve_and_urgent_stays_first() -> None:
    old_low, new_high = (LOW, NOW - timedelta(minutes=75)), (HIGH, NOW)
    assert waiting_rank(*old_low) < waiting_rank(*new_high)
    assert waiting_rank(URGENT, NOW) < waiting_rank(LOW, NOW - timedelta(days=300))
