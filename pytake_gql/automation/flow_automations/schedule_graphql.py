"""Fields that compute and store nothing: previews, cron texts, holidays."""

import datetime as dt
from typing import Annotated, TypeAlias

import strawberry

from pytake_gql.automation.flow_automations import checks, cron_words, previews
from pytake_gql.automation.flow_automations.inputs import ScheduleInput
from pytake_gql.automation.flow_automations.types import (
    CronValidation,
    Holiday,
    ScheduleOccurrence,
    SchedulePreview,
)
from pytake_gql.kernel.errors import BadUserInput, Problems, Refusal
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import as_user_errors, refuse_unstorable
from pytake_gql.kernel.graphql.scalars import TimeZone
from pytake_gql.kernel.graphql.types import object_type
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations import calendar
from pytake_gql.tenancy.organizations import service as organizations
from pytake_gql.tenancy.organizations.models import Organization

_LONGEST_RANGE = dt.timedelta(days=5 * 366)
_Since = Annotated[dt.datetime | None, strawberry.argument(name="from")]
_FirstDay = Annotated[dt.date, strawberry.argument(name="from")]
_Span: TypeAlias = tuple[dt.datetime, dt.datetime | None]
_LastDay = Annotated[dt.date, strawberry.argument(name="to")]


async def organization_of(info: Info) -> Organization:
    """The organization that is worked in."""
    async with info.context.read() as session:
        return await organizations.current(session, info.context.organization_id)


def previewed(
    given: ScheduleInput, organization: Organization, now: dt.datetime, span: _Span, count: int
) -> list[ScheduleOccurrence]:
    """The occurrences of a schedule that is not saved, as if it were made now; refuses what is wrong with it."""
    problems = Problems()
    with problems.gather():
        checks.whole_number(count, 1, previews.MOST, "count")
    with problems.gather("schedule"):
        refuse_unstorable(given)
        computed = given.checked(now).schedule(now, organization.holiday_region)
    problems.raise_if_any()
    found = previews.preview(computed, *span, count)
    return [ScheduleOccurrence.of(occurrence, computed, organization.locale) for occurrence in found]


@object_type
class ScheduleQuery:
    @query(Role.VIEWER)
    async def schedule_preview(
        self, info: Info, schedule: ScheduleInput, since: _Since = None, to: dt.datetime | None = None, count: int = 10
    ) -> SchedulePreview:
        """Pure: the next occurrences of a schedule from an instant on (now by default), skipped ones included.

        Before `to` if given. count is at most 366. Without startsAt intervals and count are counted from now.
        """
        organization, now = await organization_of(info), info.context.ports.clock.now()
        try:
            found = previewed(schedule, organization, now, (since or now, to), count)
        except Refusal as refusal:
            return SchedulePreview(occurrences=[], user_errors=as_user_errors(refusal.problems, info.context.locale))
        return SchedulePreview(occurrences=found)

    @query(Role.VIEWER)
    async def validate_cron(self, info: Info, expression: str, timezone: TimeZone | None = None) -> CronValidation:
        """What a cron text means: in words, its next five runs, and what may surprise; or why it is refused."""
        organization, now = await organization_of(info), info.context.ports.clock.now()
        zone, locale = timezone or organization.timezone, organization.locale
        try:
            cron = checks.cron_text(expression)
        except Refusal as refusal:
            return CronValidation(is_valid=False, error=refusal.problems[0].message(info.context.locale))
        runs = list(previews.next_runs(cron, zone, now))
        warnings = cron_words.warnings(cron, zone, now, runs[0] if runs else None, locale)
        told = cron_words.summary(cron, locale)
        return CronValidation(is_valid=True, normalized=cron.text, summary=told, warnings=warnings, next_runs=runs)

    @query(Role.VIEWER)
    async def holidays(self, info: Info, first: _FirstDay, last: _LastDay, region: str | None = None) -> list[Holiday]:
        """Public holidays of a region, the organization's by default; at most five years."""
        if last - first > _LONGEST_RANGE:
            raise BadUserInput("At most five years of holidays at once.")
        if region is not None and not calendar.knows_region(region):
            raise BadUserInput("A region is a country, such as BR, or a part of one, such as BR-SP.")
        of = region or (await organization_of(info)).holiday_region
        found = calendar.holidays_between(of, first, last) if of else []
        return [Holiday(date=day, name=name) for day, name in found]
