"""What automations are set to besides their schedules: checks of values from outside, against what is there."""

from collections.abc import Collection
from dataclasses import astuple
from typing import Any

from pytake_gql.automation.flow_automations import audiences, checks, settings
from pytake_gql.automation.flow_automations.due import first_after
from pytake_gql.automation.flow_automations.exceptions import Limits, SpecialDays
from pytake_gql.automation.flow_automations.models import FlowAutomation
from pytake_gql.automation.flow_automations.settings import Settings
from pytake_gql.automation.flow_executions.snapshots import Audience
from pytake_gql.automation.flows import service as flows
from pytake_gql.automation.flows import templates
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.tags import service as tags
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, Verbatim, not_found, refuse
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations

LONGEST_DESCRIPTION = 1000
MOST_VARIABLES = 50
LONGEST_VALUE = 2000
_REQUIRED = ("name", "flow_id", "channel_id", "audience", "variables", "limits", "pause_on_failure")
"""What null does not clear."""


async def checked(uow: UnitOfWork, given: Changes, row: FlowAutomation, known: Collection[SpecialDays]) -> Changes:
    """The columns that are given; or a refusal that names all that is wrong. `known`: the exceptions it has already."""
    problems, values = Problems(), Changes()
    for name, value in given.items():
        with problems.gather():
            if value is None and name in _REQUIRED:
                refuse(UserErrorCode.REQUIRED, "This is required.", name)
            values |= await _column(uow, name, value, row, known)
    problems.raise_if_any()
    return values


async def _column(
    uow: UnitOfWork, name: str, value: Any, row: FlowAutomation, known: Collection[SpecialDays]
) -> Changes:
    match name:
        case "name":
            value = text.line(value, name)
        case "description":
            value = text.paragraph(value, name, longest=LONGEST_DESCRIPTION)
        case "flow_id":
            await flows.get(uow, value, name)
        case "channel_id":
            await channels.get(uow, value, name)
        case "audience":
            value = audiences.to_json(await _audience(uow, value))
        case "variables":
            value = _variables(value)
        case "limits":
            return _limits(value)
        case "schedule":
            await _require_firing(uow, value, row, known)
            value = settings.to_json(value) if value else None
    return {name: value}


async def _audience(uow: UnitOfWork, audience: Audience) -> Audience:
    """Each contact and tag is there."""
    if audience.contact_ids is not None:
        path = ("audience", "contact_ids")
        if not audience.contact_ids:
            refuse(UserErrorCode.REQUIRED, "Name at least one.", *path)
        if len(audience.contact_ids) > audiences.MOST_CONTACTS:
            refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", *path, most=audiences.MOST_CONTACTS)
        found = await contacts.by_ids(uow.session, audience.contact_ids)
        problems = Problems()
        for index, id_ in enumerate(audience.contact_ids):
            if id_ not in found:
                with problems.gather(*path):
                    raise not_found(str(index))
        problems.raise_if_any()
    if audience.criteria is not None and audience.criteria.tag_ids is not None:
        await tags.require(uow, audience.criteria.tag_ids, "audience", "filter", "tag_ids")
    return audience


def _variables(given: Any) -> dict[str, Any]:
    """Templates over the contact, or plain values."""
    if not isinstance(given, dict):
        refuse(UserErrorCode.INVALID, "Variables are an object of names and values.", "variables")
    if len(given) > MOST_VARIABLES:
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", "variables", most=MOST_VARIABLES)
    problems = Problems()
    for name, value in given.items():
        path = ("variables", Verbatim(name))
        if not templates.is_variable(name):
            problems.add(UserErrorCode.INVALID, "A variable has letters, digits and underscores.", *path)
        elif not templates.is_value(value):
            problems.add(UserErrorCode.INVALID, "A value is text, a number, true or false.", *path)
        elif isinstance(value, str) and len(value) > LONGEST_VALUE:
            problems.add(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=LONGEST_VALUE)
        elif unknown := [known for known in templates.names(value) if not _is_of_contact(known)]:
            template = "{{{{{name}}}}} is not known here."
            problems.add(UserErrorCode.INVALID, template, *path, name=unknown[0])
    problems.raise_if_any()
    return given


def _is_of_contact(name: str) -> bool:
    """Whether a recipient may have it before the flow begins."""
    return name in templates.GIVEN or templates.is_attribute(name)


def _limits(given: Limits) -> Changes:
    """Absent ones keep what they are."""
    names = ("max_concurrent", "rate_per_minute", "max_attempts")
    return {name: value for name, value in zip(names, astuple(given), strict=True) if value is not None}


async def _require_firing(
    uow: UnitOfWork, given: Settings | None, row: FlowAutomation, known: Collection[SpecialDays]
) -> None:
    """Something is still to be fired (S12), and nothing new is moved into the past (S14)."""
    if given is None:
        return
    organization = await organizations.current(uow.session, uow.organization_id)
    computed = given.schedule(row.anchored_at or uow.now(), organization.holiday_region)
    checks.targets_ahead(given, uow.now(), known)
    if first_after(computed, row.id, uow.now()) is None:
        refuse(UserErrorCode.INVALID, "With this schedule nothing would fire any more.", "schedule")
