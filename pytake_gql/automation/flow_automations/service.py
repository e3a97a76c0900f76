"""The verbs of automations. What is changed, paused or deleted meanwhile is never fired by half (S20-S23)."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete as deleting
from sqlmodel import col, select

from pytake_gql.automation.flow_automations import queries, settings, values
from pytake_gql.automation.flow_automations.due import Firing, first_after
from pytake_gql.automation.flow_automations.events import (
    FlowAutomationCreated,
    FlowAutomationDeleted,
    FlowAutomationUpdated,
)
from pytake_gql.automation.flow_automations.exceptions import SpecialDays
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation, ScheduleException
from pytake_gql.automation.flow_automations.schedule import Schedule
from pytake_gql.automation.flow_automations.settings import Settings
from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.automation.flow_executions import statuses
from pytake_gql.automation.flow_executions.models import FlowExecution
from pytake_gql.automation.flow_executions.snapshots import Limits
from pytake_gql.automation.flows import versions
from pytake_gql.kernel.errors import UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations

_SETTABLE = {AutomationStatus.ACTIVE, AutomationStatus.PAUSED, AutomationStatus.ARCHIVED}
_SHOWN_ONLY = {"name", "description", "pause_on_failure"}
"""What may change without touching what is to be fired."""


async def create(uow: UnitOfWork, given: Changes, *, activate: bool) -> FlowAutomation:
    """`given` is as for `update`; name, flow, channel and audience are among it."""
    now, limits = uow.now(), Limits()
    row = FlowAutomation(
        name="",
        flow_id=given["flow_id"],
        channel_id=given["channel_id"],
        audience={},
        max_concurrent=limits.max_concurrent,
        rate_per_minute=limits.rate_per_minute,
        max_attempts=limits.max_attempts,
        created_at=now,
        updated_at=now,
    )
    row.sqlmodel_update(await values.checked(uow, given, row, ()))
    wanted: Settings | None = given.get("schedule")
    row.anchored_at = now if wanted else None
    uow.add(row)
    await uow.session.flush()
    _keep_exceptions(uow, row, wanted)
    if activate:
        await _activate(uow, row, wanted)
    changes = {name: {"from": None, "to": getattr(row, name)} for name in ("name", "status")}
    uow.emit(FlowAutomationCreated(entity_id=row.id, changes=changes))
    return row


async def update(uow: UnitOfWork, automation_id: UUID, given: Changes, revision: int | None) -> FlowAutomation:
    """Raises the revision; STALE where it is not the one given. What has begun keeps its snapshot (S22)."""
    row = await get(uow, automation_id)
    if revision is not None and revision != row.revision:
        refuse(UserErrorCode.STALE, "The automation has moved on: read it again.", "revision")
    specials = await queries.specials_of(uow.session, [row.id])
    columns = await values.checked(uow, given, row, specials[row.id])
    changed = change(row, columns)
    if "flow_id" in changed and row.status is AutomationStatus.ACTIVE:
        await _require_published(uow, row.flow_id)
    known = specials[row.id]
    if "schedule" in given:
        wanted: Settings | None = given["schedule"]
        known = wanted.exceptions if wanted else ()
        if known != specials[row.id]:
            changed["exceptions"] = {"from": len(specials[row.id]), "to": len(known)}
            await uow.session.execute(deleting(ScheduleException).where(col(ScheduleException.automation_id) == row.id))
            _keep_exceptions(uow, row, wanted)
        row.anchored_at = (row.anchored_at or uow.now()) if wanted else None
    if changed:
        row.revision, row.updated_at = row.revision + 1, uow.now()
        uow.emit(FlowAutomationUpdated(entity_id=row.id, changes=changed))
    if changed.keys() - _SHOWN_ONLY:
        await _cancel_waiting(uow, row)
        await aim_anew(uow, row, queries.settings_of(row, {row.id: known}))
    return row


async def set_status(uow: UnitOfWork, automation_id: UUID, status: AutomationStatus) -> FlowAutomation:
    """ACTIVE fires from now on: what fell into a pause is neither fired nor caught up (S20)."""
    if status not in _SETTABLE:
        refuse(UserErrorCode.INVALID, "ACTIVE, PAUSED or ARCHIVED: the others come about by themselves.", "status")
    row = await get(uow, automation_id)
    before = row.status
    if status is before:
        return row
    if status is AutomationStatus.ACTIVE:
        await _activate(uow, row, (await queries.settings_by_ids(uow.session, [row.id])).get(row.id))
        await executions.resume_of(uow, row.id)
    else:
        if status is AutomationStatus.PAUSED and before is not AutomationStatus.ACTIVE:
            refuse(UserErrorCode.WRONG_STATE, "Only an active automation can be paused.", "status")
        await stop_firing(uow, row, status)
    uow.emit(FlowAutomationUpdated(entity_id=row.id, changes={"status": {"from": before, "to": row.status}}))
    return row


async def delete(uow: UnitOfWork, automation_id: UUID) -> FlowAutomation:
    """Its executions stay readable; what waits is cancelled, what runs is asked to stop (S23)."""
    row = await get(uow, automation_id)
    await executions.cancel_of(uow, row.id, await _told(uow, "deleted"))
    aim(row, None)
    row.deleted_at = row.updated_at = uow.now()
    uow.emit(FlowAutomationDeleted(entity_id=row.id, changes={"name": {"from": row.name, "to": None}}))
    return row


async def get(uow: UnitOfWork, automation_id: UUID) -> FlowAutomation:
    """The row, locked after all that is under way of it, as those lock who end that; or the refusal NOT_FOUND."""
    while True:
        async with uow.session.begin_nested() as attempt:
            known = await _under_way(uow, automation_id, is_locked=True)
            row = await _lock(uow, automation_id)
            if await _under_way(uow, automation_id) <= known:
                return row
            # It fired while we waited for it: the savepoint gives the row back, and what has begun comes first.
            await attempt.rollback()


async def _under_way(uow: UnitOfWork, automation_id: UUID, *, is_locked: bool = False) -> set[UUID]:
    statement = (
        select(FlowExecution.id)
        .where(FlowExecution.automation_id == automation_id, col(FlowExecution.status).in_(statuses.UNDER_WAY))
        .order_by(col(FlowExecution.id))
    )
    if is_locked:
        statement = statement.with_for_update(key_share=True)
    return set((await uow.session.execute(statement)).scalars())


async def _lock(uow: UnitOfWork, automation_id: UUID) -> FlowAutomation:
    statement = select(FlowAutomation).where(
        FlowAutomation.id == automation_id, col(FlowAutomation.deleted_at).is_(None)
    )
    found = await uow.session.execute(
        statement.with_for_update(key_share=True), execution_options={"populate_existing": True}
    )
    row = found.scalar_one_or_none()
    if row is None:
        raise not_found("id")
    return row


async def stop_firing(
    uow: UnitOfWork, row: FlowAutomation, status: AutomationStatus, reason: str | None = None
) -> None:
    """Paused, what is under way waits too; put away, it is cancelled where it has not begun."""
    row.status, row.status_reason, row.updated_at = status, reason, uow.now()
    aim(row, None)
    if status is AutomationStatus.PAUSED:
        await executions.pause_of(uow, row.id)
    else:
        await executions.cancel_of(uow, row.id, await _told(uow, "archived"), only_waiting=True)


async def schedule_of(uow: UnitOfWork, row: FlowAutomation, wanted: Settings) -> Schedule:
    organization = await organizations.current(uow.session, uow.organization_id)
    return queries.schedule_of(row, wanted, organization.holiday_region)


async def _activate(uow: UnitOfWork, row: FlowAutomation, wanted: Settings | None) -> None:
    """Only with a published flow, and with something left to fire where there is a schedule."""
    await _require_published(uow, row.flow_id)
    row.active_since = uow.now()
    if wanted is not None:
        firing = first_after(await schedule_of(uow, row, wanted), row.id, uow.now())
        if firing is None:
            refuse(UserErrorCode.WRONG_STATE, "Its schedule has no firing left.", "status")
        aim(row, firing)
    row.status, row.status_reason, row.failures, row.updated_at = AutomationStatus.ACTIVE, None, 0, uow.now()


async def _require_published(uow: UnitOfWork, flow_id: UUID) -> None:
    """What is fired has a version: an active automation would else stop without a word."""
    if not await versions.published(uow.session, [flow_id]):
        refuse(UserErrorCode.WRONG_STATE, "Publish its flow first.", "flow_id")


async def aim_anew(uow: UnitOfWork, row: FlowAutomation, wanted: Settings | None) -> None:
    """After an edit: at what starts next, COMPLETED where nothing does. What jitter holds back is still to be fired."""
    if row.status is not AutomationStatus.ACTIVE or wanted is None:
        aim(row, None)
        return
    firing = _next_start(await schedule_of(uow, row, wanted), row.id, uow.now())
    aim(row, firing)
    if firing is None:
        row.status, row.updated_at = AutomationStatus.COMPLETED, uow.now()


def _next_start(schedule: Schedule, automation_id: UUID, now: datetime) -> Firing | None:
    after = now - timedelta(seconds=schedule.jitter_seconds)
    firing = first_after(schedule, automation_id, after)
    while firing is not None and firing.starts_at <= now:
        firing = first_after(schedule, automation_id, firing.fires_at)
    return firing


def aim(row: FlowAutomation, firing: Firing | None) -> None:
    row.next_firing_at = firing.starts_at if firing else None
    row.next_nominal_at = firing.occurrence.nominal.at if firing else None


async def _cancel_waiting(uow: UnitOfWork, row: FlowAutomation) -> None:
    await executions.cancel_of(uow, row.id, await _told(uow, "changed"), only_waiting=True)


async def _told(uow: UnitOfWork, what: str) -> str:
    """Why executions are cancelled, in the organization's locale."""
    locale = (await organizations.current(uow.session, uow.organization_id)).locale
    if what == "deleted":
        return translate("The automation was deleted.", locale)
    if what == "archived":
        return translate("The automation was archived.", locale)
    return translate("The automation was changed.", locale)


def _keep_exceptions(uow: UnitOfWork, row: FlowAutomation, wanted: Settings | None) -> None:
    for special in wanted.exceptions if wanted else ():
        uow.add(_exception(row, special))


def _exception(row: FlowAutomation, special: SpecialDays) -> ScheduleException:
    return ScheduleException(
        automation_id=row.id,
        kind=special.kind,
        starts_on=special.first,
        ends_on=special.last,
        details=settings.special_to_json(special),
    )
