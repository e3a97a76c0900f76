"""When a recipient is tried again after an error that may pass (E7). Pure."""

from datetime import timedelta
from random import Random

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


def pause(attempts: int, dice: Random) -> timedelta:
    """How long to wait after so many attempts: 30 s × 2ⁿ with full jitter, at most an hour."""
    ceiling: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    return timedelta(seconds=ceiling.total_seconds() * dice.random())
