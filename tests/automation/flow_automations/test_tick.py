"""Firing what is due, once: S16-S22, E1-E3."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.automation.flow_automations import tick
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation
from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.automation.flow_executions.models import ExecutionStatus, FlowExecution
from pytake_gql.automation.flow_executions.snapshots import Snapshot
from pytake_gql.insight.notifications.models import Notification, NotificationKind
from tests.automation.flow_automations.automations import STATUS, UPDATE, Automations
from tests.conftest import TravellingClock

HOURLY = {"timezone": "UTC", "recurrence": {"cron": {"expression": "0 * * * *"}}}


def midnight(clock: TravellingClock) -> datetime:
    """Travels to just before the next one."""
    now = clock.now()
    at = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    clock.advance(seconds=(at - now).total_seconds() - 1)
    return at


async def hourly(automations: Automations, clock: TravellingClock, **schedule: Any) -> tuple[str, datetime]:
    """An active one that fires every hour, a second before midnight."""
    begin = midnight(clock)
    await automations.later(clock)
    made = await automations.create(schedule={**HOURLY, **schedule}, activate=True)
    return made["id"], begin


async def finish(automations: Automations, id_: str, status: ExecutionStatus = ExecutionStatus.COMPLETED) -> None:
    """Ends the oldest that is under way."""
    async with automations.desk.make.ports.units.of_system(automations.organization_id) as uow:
        running = await executions.running_of(uow.session, UUID(id_.rpartition("_")[2]))
        execution = await executions.get(uow, running[0].id)
        await executions.end(uow, execution, status, reason="provider said no" if status == "FAILED" else None)


async def test_e1_what_is_due_is_fired_once_with_its_snapshot_and_aimed_at_the_next(
    automations: Automations, clock: TravellingClock
) -> None:
    id_, begin = await hourly(automations, clock)
    await automations.tick()
    assert await automations.history(id_) == []
    clock.advance(seconds=2)
    for _ in range(3):
        await automations.tick()
    assert await automations.history(id_) == [(f"{begin:%Y-%m-%dT%H:%M}", "QUEUED")]
    row = await automations.row(id_)
    assert row.next_firing_at == row.next_nominal_at == begin + timedelta(hours=1)
    assert row.last_nominal_at == begin
    assert row.last_fired_at is not None
    (execution,) = await automations.rows(FlowExecution, col(FlowExecution.automation_id) == row.id)
    assert (execution.trigger, execution.version_id, execution.channel_id) == (
        *("SCHEDULE", automations.version.id, automations.campaign.channel.id),
    )
    snapshot = Snapshot.from_json(execution.snapshot)
    assert (snapshot.limits.rate_per_minute, snapshot.spans, snapshot.audience.contact_ids) == (600, None, None)
    assert execution.due_at is not None
    assert execution.triggered_by_id is None


async def test_s3_the_instants_that_fire_are_those_of_the_preview(
    automations: Automations, clock: TravellingClock
) -> None:
    schedule = {"overlap": "ALLOW", "window": {"opensAt": "02:00", "closesAt": "23:30"}, "skipWeekends": True}
    id_, _ = await hourly(automations, clock, **schedule)
    asked = "query ($id: ID!) { flowAutomation(id: $id) { upcoming(count: 120) { scheduledFor firesAt } } }"
    upcoming = (await automations.admin.ask(asked, id=id_))["upcoming"]
    expected = sorted((one["firesAt"], one["scheduledFor"]) for one in upcoming if one["firesAt"])[:30]
    fired = []
    for at, _ in expected:
        clock.advance(seconds=(datetime.fromisoformat(at) - clock.now()).total_seconds())
        await automations.tick()
        row = await automations.row(id_)
        assert row.last_nominal_at is not None
        fired.append((at, row.last_nominal_at.isoformat().replace("+00:00", "Z")))
    assert fired == expected
    assert len(await automations.history(id_)) == 30


async def test_e1_many_ticks_at_once_fire_nothing_twice(automations: Automations, clock: TravellingClock) -> None:
    begin = midnight(clock)
    await automations.later(clock)
    ids = [(await automations.create(schedule=HOURLY, activate=True))["id"] for _ in range(5)]
    clock.advance(seconds=2)
    await asyncio.gather(*(automations.tick() for _ in range(6)))
    for id_ in ids:
        assert await automations.history(id_) == [(f"{begin:%Y-%m-%dT%H:%M}", "QUEUED")]


async def test_s18_after_an_outage_the_newest_runs_and_history_has_no_holes(
    automations: Automations, clock: TravellingClock
) -> None:
    id_, begin = await hourly(automations, clock)
    clock.advance(hours=3, minutes=20)
    await automations.tick()
    expected = [(f"{begin + timedelta(hours=n):%Y-%m-%dT%H:%M}", "MISSED") for n in range(3)]
    expected.append((f"{begin + timedelta(hours=3):%Y-%m-%dT%H:%M}", "QUEUED"))
    assert await automations.history(id_) == expected
    missed = (await automations.rows(FlowExecution, col(FlowExecution.status) == ExecutionStatus.MISSED))[0]
    assert missed.reason == "Ninguém estava lá para executar a tempo."
    assert missed.finished_at is not None


@pytest.mark.parametrize(
    ("policy", "statuses"),
    [
        ("SKIP", ["QUEUED", "SKIPPED", "SKIPPED", "QUEUED"]),
        ("BUFFER_ONE", ["QUEUED", "QUEUED", "SKIPPED", "QUEUED"]),
        ("CANCEL_OTHER", ["CANCELLED", "CANCELLED", "QUEUED", "QUEUED"]),
        ("ALLOW", ["QUEUED", "QUEUED", "QUEUED", "QUEUED"]),
    ],
)
async def test_s17_what_is_due_while_the_one_before_runs(
    automations: Automations, clock: TravellingClock, policy: str, statuses: list[str]
) -> None:
    id_, _ = await hourly(automations, clock, overlap=policy)
    clock.advance(seconds=2)
    for step in range(4):
        if step == 3:
            await finish(automations, id_)
        await automations.tick()
        clock.advance(hours=1)
    found = [status for _, status in await automations.history(id_)]
    ended = {"SKIP": 0, "BUFFER_ONE": 0, "CANCEL_OTHER": 2, "ALLOW": 0}[policy]
    assert found.pop(ended) == "COMPLETED"
    del statuses[ended]
    assert found == statuses


async def test_s17_what_was_held_begins_when_the_one_before_ends(
    automations: Automations, clock: TravellingClock
) -> None:
    id_, _ = await hourly(automations, clock, overlap="BUFFER_ONE")
    clock.advance(seconds=2)
    await automations.tick()
    clock.advance(hours=1)
    await automations.tick()
    held = [row for row in await automations.rows(FlowExecution) if row.due_at is None]
    assert len(held) == 1
    await finish(automations, id_)
    (row,) = await automations.rows(FlowExecution, col(FlowExecution.id) == held[0].id)
    assert (row.status, row.due_at is not None) == ("QUEUED", True)


async def test_s21_three_failures_in_a_row_pause_it_and_say_why(
    automations: Automations, clock: TravellingClock
) -> None:
    id_, _ = await hourly(automations, clock)
    clock.advance(seconds=2)
    ends = [ExecutionStatus.FAILED, ExecutionStatus.FAILED, ExecutionStatus.COMPLETED, *[ExecutionStatus.FAILED] * 3]
    for number, end in enumerate(ends):
        await automations.tick()
        await finish(automations, id_, end)
        row = await automations.row(id_)
        assert (row.status is AutomationStatus.PAUSED) is (number == len(ends) - 1)
        clock.advance(hours=1)
    assert row.status_reason == "3 execuções falharam em seguida. provider said no"
    assert (row.next_firing_at, row.failures) == (None, 3)
    told = await automations.rows(Notification)
    paused = [it for it in told if it.kind is NotificationKind.AUTOMATION_PAUSED]
    assert {(it.reason, it.flow_automation_id) for it in paused} == {(row.status_reason, row.id)}
    assert len({it.member_id for it in paused}) == len(paused)
    failed = [it for it in told if it.kind is NotificationKind.EXECUTION_FAILED and it.member_id == paused[0].member_id]
    assert [it.reason for it in failed] == ["provider said no"] * 5
    await automations.later(clock)
    resumed = (await automations.change(STATUS, id=id_, status="ACTIVE"))["flowAutomation"]
    assert (resumed["status"], resumed["statusReason"]) == ("ACTIVE", None)
    assert (await automations.row(id_)).failures == 0


async def test_s21_an_automation_that_may_fail_goes_on(automations: Automations, clock: TravellingClock) -> None:
    midnight(clock)
    await automations.later(clock)
    id_ = (await automations.create(schedule=HOURLY, activate=True, pauseOnFailure=False))["id"]
    clock.advance(seconds=2)
    for _ in range(4):
        await automations.tick()
        await finish(automations, id_, ExecutionStatus.FAILED)
        clock.advance(hours=1)
    row = await automations.row(id_)
    assert (row.status, row.failures) == (AutomationStatus.ACTIVE, 4)


async def test_when_nothing_comes_after_it_is_completed(automations: Automations, clock: TravellingClock) -> None:
    id_, _ = await hourly(automations, clock, count=2)
    clock.advance(seconds=2)
    await automations.tick()
    assert (await automations.row(id_)).status is AutomationStatus.ACTIVE
    clock.advance(hours=1)
    await automations.tick()
    row = await automations.row(id_)
    assert (row.status, row.next_firing_at) == (AutomationStatus.COMPLETED, None)
    assert [status for _, status in await automations.history(id_)] == ["QUEUED", "SKIPPED"]


async def test_s22_an_edit_cannot_fire_an_instant_twice(automations: Automations, clock: TravellingClock) -> None:
    id_, begin = await hourly(automations, clock)
    clock.advance(seconds=2)
    await automations.tick()
    await automations.set(FlowAutomation, (await automations.row(id_)).id, next_firing_at=begin, next_nominal_at=begin)
    await automations.tick()
    assert await automations.history(id_) == [(f"{begin:%Y-%m-%dT%H:%M}", "QUEUED")]
    await automations.change(UPDATE, id=id_, schedule={**HOURLY, "overlap": "ALLOW"})
    assert await automations.history(id_) == [(f"{begin:%Y-%m-%dT%H:%M}", "CANCELLED")]
    await automations.tick()
    assert len(await automations.history(id_)) == 1


async def test_s16_s24_deferral_and_jitter_start_later_and_keep_the_nominal(
    automations: Automations, clock: TravellingClock
) -> None:
    window = {"opensAt": "00:30", "closesAt": "23:00"}
    id_, begin = await hourly(automations, clock, window=window, jitterSeconds=120)
    row = await automations.row(id_)
    assert row.next_nominal_at == begin
    assert row.next_firing_at is not None
    delay = row.next_firing_at - begin - timedelta(minutes=30)
    assert timedelta() <= delay <= timedelta(seconds=120)
    clock.advance(minutes=33)
    await automations.tick()
    assert await automations.history(id_) == [(f"{begin:%Y-%m-%dT%H:%M}", "QUEUED")]
    (execution,) = await automations.rows(FlowExecution, col(FlowExecution.automation_id) == row.id)
    spans = Snapshot.from_json(execution.snapshot).spans
    assert spans is not None
    assert spans[0].opens_at == begin + timedelta(minutes=30)
    assert len(spans) == 4


async def test_s15_other_holidays_aim_it_anew(automations: Automations, clock: TravellingClock) -> None:
    """The Fourth of July is a holiday in one country and not in the other."""
    at = datetime(clock.now().year + 1, 7, 3, 20, tzinfo=UTC)
    clock.advance(seconds=(at - clock.now()).total_seconds())
    await automations.later(clock)
    daily = {"timezone": "UTC", "recurrence": {"daily": {"times": ["09:00"]}}, "skipHolidays": True}
    made = await automations.create(schedule=daily, activate=True)
    assert made["nextFiringAt"] == f"{at.year}-07-04T09:00:00Z"
    change = 'mutation { updateOrganization(input: {holidayRegion: "US"}) { userErrors { code } } }'
    assert (await automations.admin.ask(change))["userErrors"] == []
    assert (await automations.read(made["id"]))["nextFiringAt"] != made["nextFiringAt"]


# --------------------------------------------------------------------------------- fair shares and the index


async def crowd(automations: Automations, count: int, at: datetime) -> None:
    """Rows that are due, copied from one that was made through the door."""
    made = await automations.create(schedule=HOURLY, activate=True)
    row = await automations.row(made["id"])
    columns = [column.name for column in FlowAutomation.__table__.columns]  # type: ignore[attr-defined]
    values = {name: getattr(row, name) for name in columns} | {"next_firing_at": at, "next_nominal_at": at}
    async with automations.desk.make.ports.units.of_system(automations.organization_id) as uow:
        rows = [{**values, "id": uuid4()} for _ in range(count)]
        await uow.session.execute(sa.insert(FlowAutomation), rows)


async def test_e3_one_organization_with_many_due_does_not_starve_another(
    automations: Automations, clock: TravellingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick, "LOOKED_AT", 40)
    monkeypatch.setattr(tick, "SHARE", 5)
    begin = midnight(clock)
    await automations.later(clock)
    await crowd(automations, 60, begin - timedelta(hours=1))
    ports = automations.desk.make.ports
    async with ports.database.session(None) as session:
        found = await tick._look(session, clock.now())
        assert len(found[automations.organization_id]) == max(5, 40 // len(found))
        asked = sa.text("SELECT count(*) FROM engine_due_automations(:now, 1000)")
        before = (await session.execute(asked, {"now": clock.now()})).scalar_one()
    await automations.tick()
    async with ports.database.session(None) as session:
        assert (await session.execute(asked, {"now": clock.now()})).scalar_one() <= before - 5
    for _ in range(30):
        if (await tick.tick(ports, clock.now())).fired == 0:
            break
    theirs = col(FlowAutomation.organization_id) == automations.organization_id
    assert not await automations.rows(FlowAutomation, theirs, col(FlowAutomation.next_firing_at) <= clock.now())


async def test_e2_what_is_due_is_found_by_the_index_without_a_sort(
    automations: Automations, clock: TravellingClock
) -> None:
    begin = midnight(clock)
    await automations.later(clock)
    await crowd(automations, 500, begin + timedelta(days=300))
    statement = (
        "SELECT a.organization_id, a.id FROM flow_automations a "
        "WHERE a.next_firing_at <= clock_timestamp() + '1 year' ORDER BY a.next_firing_at, a.id LIMIT 200"
    )
    ports = automations.desk.make.ports
    async with ports.units.of_system(automations.organization_id) as uow:
        for name in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            await uow.session.execute(sa.text(f"SET LOCAL {name} = off"))
        plan = "\n".join((await uow.session.execute(sa.text(f"EXPLAIN {statement}"))).scalars())
        assert "Sort" not in plan
        asked = "SELECT proconfig FROM pg_proc WHERE proname = 'engine_due_automations'"
        settings = (await uow.session.execute(sa.text(asked))).scalar_one()
    assert {"enable_seqscan=off", "enable_bitmapscan=off", "enable_sort=off"} <= set(settings)


async def test_e1_the_pause_ends_when_the_earliest_next_is_due(automations: Automations) -> None:
    """By the database's clock: what it says is due in a moment is waited for no longer than that."""
    ports = automations.desk.make.ports
    for _ in range(20):
        found = await tick.tick(ports)
        if not found.fired:
            break
    assert found.pause <= tick.LONGEST_PAUSE
    made = await automations.create(schedule=HOURLY, activate=True)
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    await automations.set(FlowAutomation, (await automations.row(made["id"])).id, next_firing_at=soon)
    assert (await tick.tick(ports)).pause < timedelta(milliseconds=300)
