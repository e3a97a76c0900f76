"""What an execution takes along when it is fired: flow version, audience, variables, limits, window (S22)."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pytake_gql.automation.flow_automations import audiences
from pytake_gql.automation.flow_automations.due import Firing as DueFiring
from pytake_gql.automation.flow_automations.exceptions import SpecialDays
from pytake_gql.automation.flow_automations.models import FlowAutomation
from pytake_gql.automation.flow_automations.schedule import Schedule, openings
from pytake_gql.automation.flow_executions.models import ExecutionTrigger
from pytake_gql.automation.flow_executions.service import Firing
from pytake_gql.automation.flow_executions.snapshots import Limits, Snapshot
from pytake_gql.automation.flow_executions.windows import EXPIRES_AFTER, Span
from pytake_gql.automation.flows.models import FlowVersion


def scheduled(row: FlowAutomation, version: FlowVersion, schedule: Schedule, due: DueFiring, now: datetime) -> Firing:
    begins = max(due.starts_at, now)
    spans = openings(schedule, due.occurrence, begins, begins + EXPIRES_AFTER)
    return Firing(
        automation_id=row.id,
        trigger=ExecutionTrigger.SCHEDULE,
        scheduled_for=due.occurrence.nominal.at,
        version_id=version.id,
        channel_id=row.channel_id,
        snapshot=replace(
            _snapshot(row, due.occurrence.special),
            spans=None if spans is None else tuple(Span(*span) for span in spans),
        ),
        not_before=due.starts_at,
    )


def by_hand(row: FlowAutomation, version: FlowVersion, now: datetime, key: str, *, is_dry_run: bool) -> Firing:
    return Firing(
        automation_id=row.id,
        trigger=ExecutionTrigger.MANUAL,
        scheduled_for=now,
        version_id=version.id,
        channel_id=row.channel_id,
        snapshot=_snapshot(row, None),
        client_key=key,
        is_dry_run=is_dry_run,
    )


def backfilled(row: FlowAutomation, version: FlowVersion, nominal: datetime) -> Firing:
    """No window binds what is made up for by hand."""
    return Firing(
        automation_id=row.id,
        trigger=ExecutionTrigger.BACKFILL,
        scheduled_for=nominal,
        version_id=version.id,
        channel_id=row.channel_id,
        snapshot=_snapshot(row, None),
    )


def triggered_by(firing: Firing, member_id: UUID | None) -> Firing:
    return replace(firing, triggered_by_id=member_id)


def _snapshot(row: FlowAutomation, special: SpecialDays | None) -> Snapshot:
    own = special.limits if special else None
    return Snapshot(
        audience=audiences.from_json(row.audience),
        variables=row.variables,
        limits=Limits(
            max_concurrent=(own.max_concurrent if own else None) or row.max_concurrent,
            rate_per_minute=(own.rate_per_minute if own else None) or row.rate_per_minute,
            max_attempts=(own.max_attempts if own else None) or row.max_attempts,
        ),
    )
