"""The clocks of one conversation and what moves them (D24, D25). Pure: rows in, rows changed, no database.

FIRST_RESPONSE runs from the moment a human may act to a member's first message to the contact, also while the
conversation is snoozed. NEXT_RESPONSE runs, once that was given, from the contact's first unanswered message to a
member's answer, and RESOLUTION from the start to the end; both stand still while it is snoozed. What a member owes
when a conversation is closed stands still until it is opened again.
"""

from dataclasses import dataclass, field
from datetime import datetime

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.desk.sla.models import SlaClock, SlaPolicy
from pytake_gql.tenancy.organizations.calendar import Calendar

_RESTS_WHILE_SNOOZED = (SlaTarget.NEXT_RESPONSE, SlaTarget.RESOLUTION)
_RESTS_WHILE_CLOSED = (SlaTarget.FIRST_RESPONSE, SlaTarget.NEXT_RESPONSE)


@dataclass(slots=True)
class Clocks:
    """All of a conversation's clocks that may still move. Each verb can be said again without effect."""

    policy: SlaPolicy
    clocks: list[SlaClock] = field(default_factory=list)
    """Of each target the last one; of NEXT_RESPONSE only one that is not met."""

    @property
    def calendar(self) -> Calendar:
        return Calendar.of(self.policy.opening_hours, self.policy.timezone, self.policy.holiday_region)

    @property
    def due_at(self) -> datetime | None:
        """The earliest deadline of those that run, also one that has passed."""
        return min((clock.due_at for clock in self.clocks if clock.running_since and clock.due_at), default=None)

    def lapse(self, at: datetime) -> list[SlaClock]:
        """Marks as breached what runs past its deadline, and answers what was not marked before.

        What happens at the deadline itself is in time.
        """
        breached = [clock for clock in self.clocks if _is_late(clock, at)]
        for clock in breached:
            clock.breached_at = clock.due_at
        return breached

    def begin(self, at: datetime, *, began_at: datetime) -> None:
        """A human may act from now on, in a conversation that began at `began_at`."""
        if self.policy.responded_at is None:
            self._start(SlaTarget.FIRST_RESPONSE, self.policy.first_response_minutes, at)
        self._start(SlaTarget.RESOLUTION, self.policy.resolution_minutes, began_at)

    def contact_spoke(self, at: datetime) -> None:
        """Counts once the first response was given, and only the first of several unanswered messages."""
        if self.policy.responded_at is None or self._unmet(SlaTarget.NEXT_RESPONSE):
            return
        cycle = self.policy.next_cycles + 1
        if self._start(SlaTarget.NEXT_RESPONSE, self.policy.next_response_minutes, at, cycle=cycle):
            self.policy.next_cycles = cycle

    def member_spoke(self, at: datetime) -> None:
        """To the contact: a note is no answer."""
        if self.policy.responded_at is None:
            self.policy.responded_at = at
        for target in (SlaTarget.FIRST_RESPONSE, SlaTarget.NEXT_RESPONSE):
            self._meet(target, at)

    def snoozed(self, at: datetime) -> None:
        self._pause(_RESTS_WHILE_SNOOZED, at)

    def closed(self, at: datetime) -> None:
        self._meet(SlaTarget.RESOLUTION, at)
        self._pause(_RESTS_WHILE_CLOSED, at)

    def resumed(self, at: datetime) -> None:
        """It waits or is served again, after it was snoozed or closed: with the time already used."""
        for clock in self.clocks:
            if clock.paused_at is not None or (clock.target is SlaTarget.RESOLUTION and clock.met_at is not None):
                clock.paused_at = clock.met_at = None
                self._run(clock, at)

    def _start(self, target: SlaTarget, minutes: int | None, at: datetime, *, cycle: int = 1) -> bool:
        if minutes is None:
            return False
        clock = SlaClock(
            conversation_id=self.policy.id, target=target, cycle=cycle, target_seconds=minutes * 60, started_at=at
        )
        self._run(clock, at)
        self.clocks.append(clock)
        return True

    def _run(self, clock: SlaClock, at: datetime) -> None:
        """A deadline that was missed stays what it was."""
        left = max(clock.target_seconds - clock.used_seconds, 0)
        clock.running_since = at
        clock.due_at = clock.breached_at or self.calendar.add_open_seconds(at, left)

    def _stop(self, clock: SlaClock, at: datetime) -> None:
        if clock.running_since is not None:
            clock.used_seconds += self.calendar.open_seconds_between(clock.running_since, at)
            clock.running_since = None

    def _pause(self, targets: tuple[SlaTarget, ...], at: datetime) -> None:
        for clock in self.clocks:
            if clock.target in targets and clock.running_since is not None:
                self._stop(clock, at)
                clock.paused_at, clock.due_at = at, None

    def _meet(self, target: SlaTarget, at: datetime) -> None:
        for clock in self._unmet(target):
            self._stop(clock, at)
            clock.paused_at, clock.met_at = None, at

    def _unmet(self, target: SlaTarget) -> list[SlaClock]:
        return [clock for clock in self.clocks if clock.target is target and clock.met_at is None]


def _is_late(clock: SlaClock, at: datetime) -> bool:
    is_running = clock.running_since is not None and clock.breached_at is None
    return is_running and clock.due_at is not None and clock.due_at < at
