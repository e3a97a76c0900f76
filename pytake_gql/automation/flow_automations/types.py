"""What the contract shows of a schedule."""

import datetime as dt
from typing import Self

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flow_automations import words
from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, Limits, SpecialDays
from pytake_gql.automation.flow_automations.schedule import Occurrence, OccurrenceOutcome, OccurrenceReason
from pytake_gql.automation.flow_automations.schedule import Schedule as Computed
from pytake_gql.automation.flow_automations.settings import (
    CatchUpPolicy,
    OverlapPolicy,
    Settings,
    recurrence_to_json,
)
from pytake_gql.automation.flow_automations.windows import Window, WindowPolicy
from pytake_gql.kernel.graphql.mutation import UserError, user_errors
from pytake_gql.kernel.graphql.scalars import LocalDateTime, TimeZone
from pytake_gql.kernel.graphql.types import enum_type, object_type

enum_type(OccurrenceOutcome)
enum_type(OccurrenceReason)


@object_type
class ExecutionWindow:
    """The hours of a day in which it may fire, by the wall clock."""

    opens_at: dt.time
    """From then on."""
    closes_at: dt.time
    """Until just before then; before opensAt it is on the next day."""
    policy: WindowPolicy
    """What becomes of a firing outside."""

    @classmethod
    def of(cls, window: Window) -> Self:
        return cls(opens_at=window.opens_at, closes_at=window.closes_at, policy=window.policy)


@object_type
class AutomationLimits:
    """How fast and how often an execution sends."""

    max_concurrent: int
    """How many recipients are served at once."""
    rate_per_minute: int
    """How many recipients are begun in a minute."""
    max_attempts: int
    """How often a recipient is tried."""

    @classmethod
    def of(cls, limits: Limits, otherwise: "AutomationLimits") -> Self:
        return cls(
            max_concurrent=limits.max_concurrent or otherwise.max_concurrent,
            rate_per_minute=limits.rate_per_minute or otherwise.rate_per_minute,
            max_attempts=limits.max_attempts or otherwise.max_attempts,
        )


@object_type
class ScheduleException:
    """Days on which a schedule does otherwise."""

    kind: ExceptionKind
    """What becomes of the firings on these days."""
    first: dt.date = strawberry.field(name="from", description="The first day.")
    last: dt.date = strawberry.field(name="to", description="The last day, included.")
    reason: str | None
    """Why."""
    reschedule_to: LocalDateTime | None
    """When it fires instead: of RESCHEDULE."""
    time: dt.time | None
    """At what time instead: of MODIFY."""
    window: ExecutionWindow | None
    """Inside which hours instead: of MODIFY."""
    limits: AutomationLimits | None
    """How fast instead: of MODIFY."""

    @classmethod
    def of(cls, special: SpecialDays, otherwise: AutomationLimits) -> Self:
        target = special.reschedule_to
        return cls(
            kind=special.kind,
            first=special.first,
            last=special.last,
            reason=special.reason,
            reschedule_to=LocalDateTime(target) if target else None,
            time=special.time,
            window=ExecutionWindow.of(special.window) if special.window else None,
            limits=AutomationLimits.of(special.limits, otherwise) if special.limits else None,
        )


@object_type
class Schedule:
    """recurrence has the shape of RecurrenceInput, defaults filled in: exactly one of its keys is set."""

    timezone: TimeZone
    """Where the local times are read."""
    recurrence: JSON
    """When it comes round."""
    summary: str
    """In words, in the organization's locale."""
    starts_at: LocalDateTime | None
    """Bounds the nominal time, included; where intervals are counted from."""
    ends_at: LocalDateTime | None
    """Bounds the nominal time, included."""
    count: int | None
    """Ends after this many nominal occurrences."""
    window: ExecutionWindow | None
    """The hours in which it may fire."""
    skip_weekends: bool
    """Whether Saturdays and Sundays are left out."""
    skip_holidays: bool
    """Whether the public holidays of the organization's holidayRegion are left out."""
    exceptions: list[ScheduleException]
    """Days on which it does otherwise, in order."""
    overlap: OverlapPolicy
    """What it does while the execution before still runs."""
    catch_up: CatchUpPolicy
    """What it does with firings missed while the system was down."""
    catch_up_seconds: int
    """How old a missed firing may be to be made up for."""
    jitter_seconds: int
    """By how much firings are spread at most."""

    @classmethod
    def of(cls, settings: Settings, limits: AutomationLimits, locale: str) -> Self:
        return cls(
            timezone=TimeZone(settings.timezone),
            recurrence=JSON(recurrence_to_json(settings.recurrence)),
            summary=words.summary(settings, locale),
            starts_at=LocalDateTime(settings.starts_at) if settings.starts_at else None,
            ends_at=LocalDateTime(settings.ends_at) if settings.ends_at else None,
            count=settings.count,
            window=ExecutionWindow.of(settings.window) if settings.window else None,
            skip_weekends=settings.skip_weekends,
            skip_holidays=settings.skip_holidays,
            exceptions=[ScheduleException.of(special, limits) for special in settings.exceptions],
            overlap=settings.overlap,
            catch_up=settings.catch_up,
            catch_up_seconds=settings.catch_up_seconds,
            jitter_seconds=settings.jitter_seconds,
        )


@object_type
class ScheduleOccurrence:
    """scheduledFor is the nominal instant. firesAt is when it really fires: null when SKIPPED, different when MOVED."""

    scheduled_for: dt.datetime
    """The nominal instant."""
    fires_at: dt.datetime | None
    """When it really fires."""
    local_date: dt.date
    """The nominal date by the clock of the schedule's zone."""
    local_time: dt.time
    """The nominal time by that clock, also one that it skips."""
    outcome: OccurrenceOutcome
    """Whether it fires, and at its own instant."""
    reason_code: OccurrenceReason | None
    """Why it does not simply fire at its own time."""
    reason: str | None
    """Such as: holiday Natal, weekend, exception 'Inventory', outside window, clock change."""

    @classmethod
    def of(cls, found: Occurrence, schedule: Computed, locale: str) -> Self:
        return cls(
            scheduled_for=found.nominal.at,
            fires_at=found.fires_at,
            local_date=found.nominal.local.date(),
            local_time=found.nominal.local.time(),
            outcome=found.outcome,
            reason_code=found.reason,
            reason=words.reason(found, schedule, locale),
        )


@object_type
class Holiday:
    """A public holiday."""

    date: dt.date
    """When it is."""
    name: str
    """What is celebrated, in the country's language."""


@object_type
class SchedulePreview:
    """What a schedule would do."""

    occurrences: list[ScheduleOccurrence]
    """In order of their nominal instants, skipped ones included."""
    user_errors: list[UserError] = user_errors()


@object_type
class CronValidation:
    """What a cron text means, or why it is refused."""

    is_valid: bool
    """Whether a schedule may have it."""
    error: str | None = None
    """Why not, in the caller's language."""
    normalized: str | None = None
    """With one blank between the fields, in upper case."""
    summary: str | None = None
    """In words, in the organization's locale."""
    warnings: list[str] = strawberry.field(
        default_factory=list,
        description="Such as: clock changes within a year, day of month OR day of week, a first run years away.",
    )
    next_runs: list[dt.datetime] = strawberry.field(default_factory=list, description="The next five.")
