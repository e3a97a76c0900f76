"""What clients say about an automation."""

import datetime as dt
from typing import Any

import strawberry
from strawberry.scalars import JSON

from pytake_gql.automation.flow_automations.inputs import AutomationLimitsInput, ScheduleInput
from pytake_gql.automation.flow_automations.models import AutomationStatus
from pytake_gql.automation.flow_automations.queries import Criteria
from pytake_gql.automation.flow_executions.snapshots import Audience
from pytake_gql.desk.contacts.inputs import ContactFilter
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.mutation import local_id, local_ids, present
from pytake_gql.kernel.graphql.types import enum_type, input_type, one_of_type
from pytake_gql.kernel.ids import parse_global_id

enum_type(AutomationStatus)


@one_of_type
class AudienceInput:
    """all is true or not there. Contacts blocked or opted out are left out in any case."""

    all: strawberry.Maybe[bool]
    """Everybody."""
    contact_ids: strawberry.Maybe[list[strawberry.ID]]
    """These; at most 5,000."""
    filter: strawberry.Maybe[ContactFilter]
    """Those that fit when it is fired."""

    def audience(self) -> Audience:
        if self.contact_ids is not None:
            ids = local_ids("Contact", self.contact_ids.value, "audience", "contact_ids")
            return Audience(contact_ids=tuple(ids))
        if self.filter is not None:
            if self.filter.value.tag_ids is not None:
                local_ids("Tag", self.filter.value.tag_ids, "audience", "filter", "tag_ids")
            return Audience(criteria=self.filter.value.criteria())
        if self.all is None or not self.all.value:
            refuse(UserErrorCode.INVALID, "Everybody is true, or not there.", "audience", "all")
        return Audience()


@input_type
class FlowAutomationFilter:
    """Which automations are wanted: those that fit everything given."""

    search: str | None = None
    """In name and description."""
    status: list[AutomationStatus] | None = None
    """In one of these states."""
    flow_id: strawberry.ID | None = None
    """That run this flow."""

    def criteria(self) -> Criteria | None:
        """None where the flow's id leads nowhere."""
        parsed = parse_global_id(self.flow_id) if self.flow_id is not None else None
        if self.flow_id is not None and (parsed is None or parsed[0] != "Flow"):
            return None
        return Criteria(search=self.search, statuses=self.status, flow_id=parsed[1] if parsed else None)


@input_type
class CreateFlowAutomationInput:
    """A new automation; a draft unless it is activated."""

    name: str
    """What it is called."""
    description: str | None = None
    """What it is for."""
    flow_id: strawberry.ID
    """The flow that it runs: its version that is published when it fires."""
    channel_id: strawberry.ID
    """Where it speaks."""
    audience: AudienceInput
    """Whom it is for."""
    variables: JSON | None = None
    """Flow variables as templates over the contact, such as {{contact.name}}; at most 50."""
    schedule: ScheduleInput | None = None
    """When it fires; without one only by hand."""
    limits: AutomationLimitsInput | None = None
    """How fast and how often it sends."""
    pause_on_failure: bool | None = None
    """Whether it pauses after three failed executions in a row, or when its channel fails; true by default."""
    activate: bool = False
    """Whether it fires from now on."""

    def given(self, now: dt.datetime) -> Changes:
        """By the names of the row; what is null gets its default."""
        return _as_stored({name: value for name, value in vars(self).items() if value is not None}, now, "activate")


@input_type
class UpdateFlowAutomationInput:
    """What is to change; absent fields stay as they are. What has begun is not touched."""

    id: strawberry.ID
    """The automation."""
    name: strawberry.Maybe[str | None]
    """What it is called."""
    description: strawberry.Maybe[str | None]
    """What it is for."""
    flow_id: strawberry.Maybe[strawberry.ID | None]
    """The flow that it runs."""
    channel_id: strawberry.Maybe[strawberry.ID | None]
    """Where it speaks."""
    audience: strawberry.Maybe[AudienceInput | None]
    """Whom it is for."""
    variables: strawberry.Maybe[JSON | None]
    """All flow variables from then on."""
    schedule: strawberry.Maybe[ScheduleInput | None]
    """The whole schedule from then on; null leaves it to be run by hand."""
    limits: strawberry.Maybe[AutomationLimitsInput | None]
    """How fast and how often it sends; absent ones stay as they are."""
    pause_on_failure: strawberry.Maybe[bool | None]
    """Whether it pauses after three failed executions in a row, or when its channel fails."""
    revision: int | None = None
    """Refused as STALE when the automation has moved on."""

    def given(self, now: dt.datetime) -> Changes:
        """By the names of the row, without the automation's own id."""
        return _as_stored(present(self, "id", "revision"), now)


@input_type
class SetAutomationStatusInput:
    """ACTIVE, PAUSED or ARCHIVED; the other two come about by themselves."""

    id: strawberry.ID
    """The automation."""
    status: AutomationStatus
    """What it becomes."""


@input_type
class DeleteFlowAutomationInput:
    """The automation to delete; its executions stay readable."""

    id: strawberry.ID
    """The automation."""


@input_type
class RunFlowAutomationInput:
    """The automation to run now."""

    id: strawberry.ID
    """The automation."""
    idempotency_key: str | None = None
    """The same key given twice starts one execution."""
    dry_run: bool = False
    """Resolve audience and flow, send nothing."""


@input_type
class BackfillFlowAutomationInput:
    """Fires the occurrences of a past range [from, to) that did not run, at most 100."""

    id: strawberry.ID
    """The automation."""
    since: dt.datetime = strawberry.field(name="from", description="The first instant.")
    until: dt.datetime = strawberry.field(name="to", description="The instant that ends it, excluded.")


def _as_stored(given: Changes, now: dt.datetime, *leave_out: str) -> Changes:
    """Ids as they are inside, parts as checked values; or a refusal that names all that is wrong with these."""
    problems, stored = Problems(), {name: value for name, value in given.items() if name not in leave_out}
    for name, read in _READERS.items():
        if stored.get(name) is not None:
            with problems.gather():
                stored[name] = read(stored[name], now)
    problems.raise_if_any()
    return stored


def _schedule(given: ScheduleInput, now: dt.datetime) -> Any:
    return _under("schedule", lambda: given.checked(now))


def _limits(given: AutomationLimitsInput, _now: dt.datetime) -> Any:
    return _under("limits", given.checked)


def _under(path: str, read: Any) -> Any:
    problems, found = Problems(), []
    with problems.gather(path):
        found.append(read())
    problems.raise_if_any()
    return found[0]


_READERS: dict[str, Any] = {
    "flow_id": lambda given, _now: local_id("Flow", given, "flow_id"),
    "channel_id": lambda given, _now: local_id("Channel", given, "channel_id"),
    "audience": lambda given, _now: given.audience(),
    "limits": _limits,
    "schedule": _schedule,
}
