"""What clients say about a schedule."""

import datetime as dt

import strawberry

from pytake_gql.automation.flow_automations import checks
from pytake_gql.automation.flow_automations.exceptions import ExceptionKind, Limits, SpecialDays
from pytake_gql.automation.flow_automations.recurrences import Dates, MissingDayPolicy, Nth, Recurrence
from pytake_gql.automation.flow_automations.settings import WEEKDAYS, CatchUpPolicy, OverlapPolicy, Settings
from pytake_gql.automation.flow_automations.windows import Window, WindowPolicy
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode
from pytake_gql.kernel.graphql.scalars import LocalDateTime, TimeZone
from pytake_gql.kernel.graphql.types import enum_type, input_type, one_of_type
from pytake_gql.tenancy.organizations.opening_hours import Weekday

for _kind in (MissingDayPolicy, WindowPolicy, ExceptionKind, OverlapPolicy, CatchUpPolicy, Weekday):
    enum_type(_kind)
_LONGEST_REASON = 200


@input_type
class OnceInput:
    """One single firing."""

    at: LocalDateTime
    """When."""

    def checked(self) -> Recurrence:
        return checks.once(self.at)


@input_type
class DailyInput:
    """Every day, or every few days."""

    interval: int = 1
    """Every so many days, counted from the start's date."""
    times: list[dt.time]
    """When on each day, in whole minutes; at least five minutes apart."""

    def checked(self) -> Recurrence:
        return checks.daily(self.interval, self.times)


@input_type
class WeeklyInput:
    """On certain weekdays, every week or every few weeks."""

    interval: int = 1
    """Every so many ISO weeks, counted from the one that holds the start."""
    weekdays: list[Weekday]
    """On which days."""
    times: list[dt.time]
    """When on each day, in whole minutes; at least five minutes apart."""

    def checked(self) -> Recurrence:
        return checks.weekly(self.interval, [WEEKDAYS.index(weekday) for weekday in self.weekdays], self.times)


@input_type
class NthWeekdayInput:
    """nth: 1 to 5, or -1 for the month's last such weekday."""

    nth: int
    """Which one of the month; a month without a fifth has none."""
    weekday: Weekday
    """The weekday."""


@input_type
class MonthlyInput:
    """days: 1 to 31, or -1 for the month's last day. At least one of days and nthWeekdays.

    missingDay: in a month without day 29, 30 or 31, CLAMP fires on its last day, SKIP not at all.
    """

    interval: int = 1
    """Every so many months, counted from the start's month."""
    days: list[int] | None = None
    """Days of the month."""
    nth_weekdays: list[NthWeekdayInput] | None = None
    """Weekdays of the month, such as the last Friday."""
    times: list[dt.time]
    """When on each day, in whole minutes; at least five minutes apart."""
    missing_day: MissingDayPolicy = MissingDayPolicy.CLAMP
    """What a shorter month does."""

    def checked(self) -> Recurrence:
        nths = [Nth(nth.nth, WEEKDAYS.index(nth.weekday)) for nth in self.nth_weekdays or ()]
        return checks.monthly(self.interval, self.days or (), nths, self.times, self.missing_day)


@input_type
class CronInput:
    """Five fields: minute, hour, day of month, month, day of week."""

    expression: str
    """Such as `0 9 * * MON-FRI`; what it may hold is told by validateCron."""

    def checked(self) -> Recurrence:
        return checks.cron_text(self.expression)


@input_type
class DatesInput:
    """A list of single firings."""

    at: list[LocalDateTime]
    """When; at most 500."""

    def checked(self) -> Recurrence:
        return checks.dates(self.at)


@one_of_type
class RecurrenceInput:
    """When it comes round; one of these."""

    once: strawberry.Maybe[OnceInput]
    """One single firing."""
    daily: strawberry.Maybe[DailyInput]
    """Every day, or every few days."""
    weekly: strawberry.Maybe[WeeklyInput]
    """On certain weekdays."""
    monthly: strawberry.Maybe[MonthlyInput]
    """On certain days of the month."""
    cron: strawberry.Maybe[CronInput]
    """By a cron text."""
    dates: strawberry.Maybe[DatesInput]
    """A list of single firings."""

    def checked(self, problems: Problems) -> Recurrence | None:
        found: Recurrence | None = None
        for name, holder in vars(self).items():
            if holder is not None:
                with problems.gather("recurrence", name):
                    found = holder.value.checked()
        return found


@input_type
class ExecutionWindowInput:
    """Fires only inside [opensAt, closesAt) wall-clock.

    A firing outside is moved to the next opening on an allowed day (DEFER) or dropped (SKIP). closesAt before opensAt
    crosses midnight.
    """

    opens_at: dt.time
    """From then on, in whole minutes."""
    closes_at: dt.time
    """Until just before then, in whole minutes."""
    policy: WindowPolicy = WindowPolicy.DEFER
    """What becomes of a firing outside."""

    def checked(self) -> Window:
        return checks.window(Window(self.opens_at, self.closes_at, self.policy))


@input_type
class AutomationLimitsInput:
    """How fast and how often an execution sends; absent ones keep what they are."""

    max_concurrent: int | None = None
    """How many recipients are served at once; 1 to 1,000."""
    rate_per_minute: int | None = None
    """How many recipients are begun in a minute; 1 to 100,000."""
    max_attempts: int | None = None
    """How often a recipient is tried; 1 to 20."""

    def checked(self) -> Limits:
        return checks.limits(Limits(self.max_concurrent, self.rate_per_minute, self.max_attempts))


@input_type
class ScheduleExceptionInput:
    """from and to are civil dates, both included, matched against the nominal local date.

    RESCHEDULE replaces all firings in the range by one at rescheduleTo; MODIFY gives those in it another time, window
    or limits.
    """

    kind: ExceptionKind
    """What becomes of the firings."""
    first: dt.date = strawberry.field(name="from", description="The first day.")
    last: dt.date | None = strawberry.field(
        name="to", default=None, description="The last day; the first one by default. Ranges do not overlap."
    )
    reason: str | None = None
    """Why; shown in previews."""
    reschedule_to: LocalDateTime | None = None
    """Of RESCHEDULE: when it fires instead."""
    time: dt.time | None = None
    """Of MODIFY: at what time instead."""
    window: ExecutionWindowInput | None = None
    """Of MODIFY: inside which hours instead."""
    limits: AutomationLimitsInput | None = None
    """Of MODIFY: how fast instead; absent ones are the automation's."""

    def checked(self, problems: Problems, *path: str) -> SpecialDays | None:
        """None when something is wrong with it."""
        before = len(problems.found)
        window, limits, reason = None, None, None
        if self.window is not None:
            with problems.gather(*path, "window"):
                window = self.window.checked()
        if self.limits is not None:
            with problems.gather(*path, "limits"):
                limits = self.limits.checked()
        with problems.gather(*path):
            reason = text.optional_line(self.reason, "reason", longest=_LONGEST_REASON)
        if len(problems.found) > before:
            return None
        given = SpecialDays(
            kind=self.kind,
            first=self.first,
            last=self.last or self.first,
            reason=reason,
            reschedule_to=self.reschedule_to,
            time=self.time,
            window=window,
            limits=limits,
        )
        with problems.gather(*path):
            checks.special(given)
        return given if len(problems.found) == before else None


@input_type
class ScheduleInput:
    """When an automation fires: a rule in local times, and what keeps it from firing."""

    timezone: TimeZone
    """Where the local times are read."""
    recurrence: RecurrenceInput
    """When it comes round."""
    starts_at: LocalDateTime | None = None
    """Bounds of the nominal time, both included. startsAt is also where intervals are counted from."""
    ends_at: LocalDateTime | None = None
    """Bounds of the nominal time, both included."""
    count: int | None = None
    """Ends after this many nominal occurrences; at most 10,000."""
    window: ExecutionWindowInput | None = None
    """The hours in which it may fire."""
    skip_weekends: bool = False
    """Leaves out what falls on Saturdays and Sundays."""
    skip_holidays: bool = False
    """Skips the public holidays of the organization's holidayRegion."""
    exceptions: list[ScheduleExceptionInput] | None = None
    """Days on which it does otherwise; at most 500."""
    overlap: OverlapPolicy = OverlapPolicy.SKIP
    """What to do while the execution before still runs."""
    catch_up: CatchUpPolicy = CatchUpPolicy.LATEST
    """What to do with firings missed while the system was down."""
    catch_up_seconds: int = 3600
    """How old a missed firing may be to be made up for; at most 30 days."""
    jitter_seconds: int = 0
    """Spreads firings by up to so much, always less than the time to the next one; at most a day."""

    def checked(self, anchor: dt.datetime) -> Settings:
        """Refuses with all that is wrong, by paths inside the schedule."""
        problems = Problems()
        recurrence = self.recurrence.checked(problems)
        window = None
        if self.window is not None:
            with problems.gather("window"):
                window = self.window.checked()
        exceptions, places = self._exceptions(problems)
        settings = Settings(
            timezone=self.timezone,
            recurrence=recurrence or Dates(()),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            count=self.count,
            window=window,
            skip_weekends=self.skip_weekends,
            skip_holidays=self.skip_holidays,
            exceptions=exceptions,
            places=places,
            overlap=self.overlap,
            catch_up=self.catch_up,
            catch_up_seconds=self.catch_up_seconds,
            jitter_seconds=self.jitter_seconds,
        )
        with problems.gather():
            checks.parts(settings)
        problems.raise_if_any()
        checks.comes_round(settings, anchor)
        return settings

    def _exceptions(self, problems: Problems) -> tuple[tuple[SpecialDays, ...], tuple[int, ...]]:
        """In the order of their days, and where each stood."""
        given = self.exceptions or []
        if len(given) > checks.MOST:
            problems.add(UserErrorCode.TOO_MANY, "At most {most} of these.", "exceptions", most=checks.MOST)
            return (), ()
        found = [item.checked(problems, "exceptions", str(index)) for index, item in enumerate(given)]
        whole = [special for special in found if special is not None]
        order: list[int] = []
        if len(whole) == len(given):
            with problems.gather("exceptions"):
                order = checks.in_order(whole)
        return tuple(whole[index] for index in order), tuple(order)
