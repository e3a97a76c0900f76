"""What clients say about a queue."""

import strawberry

from pytake_gql.desk.queues import models
from pytake_gql.desk.queues.requirements import Wanted
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.mutation import local_id, local_ids, present
from pytake_gql.kernel.graphql.types import enum_type, input_type
from pytake_gql.tenancy.organizations.graphql import OpeningHoursInput

enum_type(models.RoutingStrategy)
enum_type(models.QueueOrder)


@input_type
class SlaInput:
    """Targets in minutes of opening hours, at least 1; null is no target."""

    first_response_minutes: strawberry.Maybe[int | None]
    """Until a member first answers."""
    next_response_minutes: strawberry.Maybe[int | None]
    """Until a member answers what the contact wrote after that."""
    resolution_minutes: strawberry.Maybe[int | None]
    """Until the conversation is closed."""


@input_type
class RequiredSkillInput:
    """A skill that the queue asks of its agents."""

    skill_id: strawberry.ID
    """The skill; each is named once."""
    min_level: int = 1
    """1 (basic) to 5 (expert)."""
    is_mandatory: bool = True
    """Whether nobody without it is ever chosen; else it is preferred, and may relax."""


@input_type
class CreateQueueInput:
    """A new queue."""

    department_id: strawberry.ID
    """The department that it belongs to."""
    name: str
    """Unique in the organization."""
    slug: str | None = None
    """The name as it stands in addresses; by default made from it."""
    description: str | None = None
    """What it is for."""
    color: str | None = None
    """As #RRGGBB; blue by default."""
    icon: str | None = None
    """The name of an icon of the front end's set."""
    priority: int = 50
    """0 to 100; a pull over several queues takes from the higher one first."""
    routing_strategy: models.RoutingStrategy = models.RoutingStrategy.ROUND_ROBIN
    """Who is chosen."""
    auto_assign: bool = True
    """Whether conversations are given to agents, or wait until somebody takes them."""
    sla: SlaInput | None = None
    """How soon conversations are answered and closed."""
    opening_hours: list[OpeningHoursInput] | None = None
    """Empty is open at all times."""
    required_skills: list[RequiredSkillInput] | None = None
    """What its agents must or should be good at; at most 20."""
    relax_skills_after_seconds: int | None = None
    """After each such span without a match a preferred skill's minLevel falls by one, then the skill is waived."""
    order: models.QueueOrder = models.QueueOrder.PRIORITY_FIRST
    """Which conversation is first."""
    max_size: int | None = None
    """How many may wait; null is without a limit."""
    overflow_queue_id: strawberry.ID | None = None
    """Where conversations go when maxSize is reached or the queue is closed; the chain may not come back."""
    reopen_within_hours: int = 72
    """A contact who writes this soon after closing reopens the conversation; 0 always starts a new one."""
    member_ids: list[strawberry.ID] | None = None
    """Who serves it: active agents and admins."""

    def given(self) -> Changes:
        """By the names of the row; what is null gets its default."""
        return _as_stored({name: value for name, value in vars(self).items() if value is not None})


@input_type
class UpdateQueueInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The queue."""
    department_id: strawberry.Maybe[strawberry.ID | None]
    """The department that it belongs to."""
    name: strawberry.Maybe[str | None]
    """Unique in the organization."""
    slug: strawberry.Maybe[str | None]
    """The name as it stands in addresses."""
    description: strawberry.Maybe[str | None]
    """What it is for."""
    color: strawberry.Maybe[str | None]
    """As #RRGGBB."""
    icon: strawberry.Maybe[str | None]
    """The name of an icon of the front end's set."""
    priority: strawberry.Maybe[int | None]
    """0 to 100; a pull over several queues takes from the higher one first."""
    is_active: strawberry.Maybe[bool | None]
    """Inactive ones take no new conversations."""
    routing_strategy: strawberry.Maybe[models.RoutingStrategy | None]
    """Who is chosen."""
    auto_assign: strawberry.Maybe[bool | None]
    """Whether conversations are given to agents, or wait until somebody takes them."""
    sla: strawberry.Maybe[SlaInput | None]
    """How soon conversations are answered and closed; absent targets stay as they are."""
    opening_hours: strawberry.Maybe[list[OpeningHoursInput] | None]
    """All opening hours from then on; empty is open at all times."""
    required_skills: strawberry.Maybe[list[RequiredSkillInput] | None]
    """All that its agents must or should be good at from then on; at most 20."""
    relax_skills_after_seconds: strawberry.Maybe[int | None]
    """After each such span without a match a preferred skill's minLevel falls by one, then the skill is waived."""
    order: strawberry.Maybe[models.QueueOrder | None]
    """Which conversation is first."""
    max_size: strawberry.Maybe[int | None]
    """How many may wait; null is without a limit."""
    overflow_queue_id: strawberry.Maybe[strawberry.ID | None]
    """Where conversations go when maxSize is reached or the queue is closed; the chain may not come back."""
    reopen_within_hours: strawberry.Maybe[int | None]
    """A contact who writes this soon after closing reopens the conversation; 0 always starts a new one."""
    member_ids: strawberry.Maybe[list[strawberry.ID] | None]
    """All who serve it from then on: active agents and admins."""

    def given(self) -> Changes:
        """By the names of the row, without the queue's own id."""
        return _as_stored(present(self, "id"))


@input_type
class DeleteQueueInput:
    """The queue to delete; queues that overflow into it do so no more."""

    id: strawberry.ID
    """The queue."""
    move_to_queue_id: strawberry.ID | None = None
    """Where its waiting conversations go; required while any wait."""


def _as_stored(given: Changes) -> Changes:
    """Ids as they are inside, spans as values, and the targets at the top; null stays null."""
    if given.get("sla") is not None:
        given |= present(given.pop("sla"))
    if given.get("department_id") is not None:
        given["department_id"] = local_id("Department", given["department_id"], "department_id")
    if given.get("overflow_queue_id") is not None:
        given["overflow_queue_id"] = local_id("Queue", given["overflow_queue_id"], "overflow_queue_id")
    if given.get("member_ids") is not None:
        given["member_ids"] = local_ids("Member", given["member_ids"], "member_ids")
    if given.get("required_skills") is not None:
        given["required_skills"] = [
            Wanted(
                skill_id=local_id("Skill", item.skill_id, "required_skills", str(index), "skill_id"),
                min_level=item.min_level,
                is_mandatory=item.is_mandatory,
            )
            for index, item in enumerate(given["required_skills"])
        ]
    if given.get("opening_hours") is not None:
        given["opening_hours"] = [span.to_span() for span in given["opening_hours"]]
    return given
