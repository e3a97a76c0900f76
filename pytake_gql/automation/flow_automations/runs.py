"""Executions that are not the tick's: by hand, and for a time that has passed (S19)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice, takewhile
from uuid import UUID, uuid4

from sqlmodel import col, select

from pytake_gql.automation.flow_automations import firings, queries, service
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation
from pytake_gql.automation.flow_automations.schedule import Schedule, occurrences
from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.automation.flow_executions.models import ExecutionStatus, ExecutionTrigger, FlowExecution
from pytake_gql.automation.flows import versions
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork

LONGEST_KEY = 120
MOST_BACKFILLED = 100
_MOST_LOOKED_AT = 20_000
_DID_NOT_RUN = (ExecutionStatus.MISSED, ExecutionStatus.SKIPPED)


async def run(uow: UnitOfWork, automation_id: UUID, key: str | None, *, is_dry_run: bool) -> FlowExecution:
    """Now, whatever the schedule, its window and what else runs; the same key starts one execution."""
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", "idempotency_key", longest=LONGEST_KEY)
    row = await service.get(uow, automation_id)
    version = await _ready(uow, row)
    firing = firings.by_hand(row, version, uow.now(), key or uuid4().hex, is_dry_run=is_dry_run)
    by = uow.principal
    member_id = by.member_id if isinstance(by, MemberPrincipal) and not by.is_visiting else None
    return await executions.create(uow, firings.triggered_by(firing, member_id))


async def backfill(uow: UnitOfWork, automation_id: UUID, since: datetime, until: datetime) -> Sequence[FlowExecution]:
    """The occurrences of [since, until) that would have fired and did not run, the oldest first."""
    if since >= until:
        refuse(UserErrorCode.INVALID, "The end is before the start.", "to")
    if until > uow.now():
        refuse(UserErrorCode.INVALID, "Only what has passed is made up for.", "to")
    row = await service.get(uow, automation_id)
    wanted = (await queries.settings_by_ids(uow.session, [row.id])).get(row.id)
    if wanted is None:
        refuse(UserErrorCode.WRONG_STATE, "It has no schedule.", "id")
    version = await _ready(uow, row)
    schedule = replace(await service.schedule_of(uow, row, wanted), active_since=None)
    nominals = await _not_run(uow, row, schedule, since, until)
    if len(nominals) > MOST_BACKFILLED:
        template = "At most {most} at once: choose a shorter range."
        refuse(UserErrorCode.TOO_MANY, template, "to", most=MOST_BACKFILLED)
    return [await executions.create(uow, firings.backfilled(row, version, nominal)) for nominal in nominals]


async def _ready(uow: UnitOfWork, row: FlowAutomation) -> FlowVersion:
    """What its flow does, as it was published last."""
    if row.status is AutomationStatus.ARCHIVED:
        refuse(UserErrorCode.WRONG_STATE, "An archived automation is not run.", "id")
    version = (await versions.published(uow.session, [row.flow_id])).get(row.flow_id)
    if version is None:
        refuse(UserErrorCode.WRONG_STATE, "Publish its flow first.", "id")
    return version


async def _not_run(
    uow: UnitOfWork, row: FlowAutomation, schedule: Schedule, since: datetime, until: datetime
) -> list[datetime]:
    """Nominal instants, in order."""
    listed = takewhile(lambda occurrence: occurrence.nominal.at < until, occurrences(schedule, since))
    fired = [one.nominal.at for one in islice(listed, _MOST_LOOKED_AT) if one.fires_at is not None]
    statement = select(FlowExecution.scheduled_for).where(
        FlowExecution.automation_id == row.id,
        FlowExecution.trigger != ExecutionTrigger.MANUAL,
        col(FlowExecution.status).not_in(_DID_NOT_RUN),
        FlowExecution.scheduled_for >= since,
        FlowExecution.scheduled_for < until,
    )
    ran = set((await uow.session.execute(statement)).scalars())
    return [nominal for nominal in fired if nominal not in ran]
