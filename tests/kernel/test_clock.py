"""Clocks of several processes agree by the database's, which all of them read leases by (E10)."""

from datetime import UTC, datetime, timedelta

from pytake_gql.kernel.clock import AgreedClock, SystemClock
from pytake_gql.kernel.db import Database
from pytake_gql.kernel.settings import Settings

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Stopped:
    def now(self) -> datetime:
        return NOON


class Wrong:
    def now(self) -> datetime:
        return SystemClock().now() + timedelta(seconds=90)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_e10_no_more_is_corrected_than_is_certain() -> None:
    clock = AgreedClock(Stopped())
    for shown, seconds in [(1, 0.0), (0, 0.0), (92, 90.0), (91, 90.0), (-90, -90.0), (-93, -93.0), (1, -1.0)]:
        clock.hear(at(shown), asked_at=at(0), answered_at=at(2))
        assert clock.now() == at(seconds), (shown, seconds)


async def test_e10_a_wrong_clock_is_put_right_before_anything_is_read_by_it(settings: Settings) -> None:
    clock, database = AgreedClock(Wrong()), Database(settings.database_url)
    assert clock.now() - datetime.now(UTC) > timedelta(seconds=80)
    try:
        async with database.telling(clock):
            assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=10)
    finally:
        await database.close()


async def test_e10_a_process_starts_without_its_database() -> None:
    clock, away = AgreedClock(Stopped()), Database("postgresql://nobody@127.0.0.1:1/nothing")
    async with away.telling(clock):
        assert clock.now() == NOON
    await away.close()
