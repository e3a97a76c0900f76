from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.desk.departments.graphql import Department, find_department
from pytake_gql.desk.queues import models, service
from pytake_gql.desk.queues.inputs import CreateQueueInput, DeleteQueueInput, UpdateQueueInput
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.desk.skills.graphql import Skill
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, find, finds
from pytake_gql.kernel.graphql.types import extend, field, object_type
from pytake_gql.kernel.ids import global_id, id_of, parse_global_id
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members.graphql import Member
from pytake_gql.tenancy.members.models import Availability
from pytake_gql.tenancy.organizations import opening_hours
from pytake_gql.tenancy.organizations.graphql import OpeningHours


@object_type
class Sla:
    """Targets in minutes of opening hours; null is no target."""

    first_response_minutes: int | None
    """Until a member first answers."""
    next_response_minutes: int | None
    """Until a member answers what the contact wrote after that."""
    resolution_minutes: int | None
    """Until the conversation is closed."""


@object_type
class RequiredSkill:
    """A skill that a queue asks of its agents."""

    skill: Skill
    """The skill."""
    min_level: int
    """1 (basic) to 5 (expert)."""
    is_mandatory: bool
    """Whether nobody without it is ever chosen; else it is preferred, and may relax."""

    @classmethod
    def of(cls, required: Requirement) -> Self:
        skill = Skill(id=strawberry.ID(global_id("Skill", required.skill_id)), name=required.name)
        return cls(skill=skill, min_level=required.min_level, is_mandatory=required.is_mandatory)


@object_type
class Queue(Node):
    """Where conversations wait for somebody of a department."""

    name: str
    """Unique in the organization."""
    slug: str
    """The name as it stands in addresses, unique in the organization."""
    description: str | None
    """What it is for."""
    color: str
    """As #RRGGBB."""
    icon: str | None
    """The name of an icon of the front end's set."""
    is_active: bool
    """Inactive ones take no new conversations."""
    priority: int
    """0 to 100; a pull over several queues takes from the higher one first."""
    routing_strategy: models.RoutingStrategy
    """Who is chosen."""
    auto_assign: bool
    """Whether conversations are given to agents, or wait until somebody takes them."""
    sla: Sla
    """How soon conversations are answered and closed."""
    relax_skills_after_seconds: int | None
    """After each such span without a match a preferred skill's minLevel falls by one, then the skill is waived.
    A mandatory skill never is."""
    opening_hours: list[OpeningHours]
    """Empty is open at all times."""
    order: models.QueueOrder
    """Which conversation is first."""
    max_size: int | None
    """How many may wait; null is without a limit."""
    reopen_within_hours: int
    """A contact who writes this soon after closing reopens the conversation; 0 always starts a new one."""
    created_at: datetime
    """When it was made."""
    department_id: strawberry.Private[UUID]
    overflow_queue_id: strawberry.Private[UUID | None]

    @field
    async def department(self, info: Info) -> Department:
        """The department that it belongs to."""
        found: Department = await find_department(info, self.department_id)  # by its foreign key
        return found

    @field
    async def overflow_queue(self, info: Info) -> "Queue | None":
        """Where conversations go when maxSize is reached or the queue is closed."""
        found: Queue | None = await find_queue(info, self.overflow_queue_id) if self.overflow_queue_id else None
        return found

    @field
    async def required_skills(self, info: Info) -> list[RequiredSkill]:
        """What its agents must or should be good at: mandatory ones first, then in alphabetical order."""
        found = await info.context.load(service.requirements_of, id_of(self.id))
        return [RequiredSkill.of(required) for required in found or []]

    @field
    async def members(self, info: Info) -> list[Member]:
        """Who serves it, in alphabetical order."""
        rows = await info.context.load(service.members_of, id_of(self.id))
        return [Member.of(row) for row in rows or []]

    @classmethod
    def of(cls, row: models.Queue) -> Self:
        return cls(
            id=strawberry.ID(global_id("Queue", row.id)),
            name=row.name,
            slug=row.slug,
            description=row.description,
            color=row.color,
            icon=row.icon,
            is_active=row.is_active,
            priority=row.priority,
            routing_strategy=row.routing_strategy,
            auto_assign=row.auto_assign,
            sla=Sla(
                first_response_minutes=row.first_response_minutes,
                next_response_minutes=row.next_response_minutes,
                resolution_minutes=row.resolution_minutes,
            ),
            relax_skills_after_seconds=row.relax_skills_after_seconds,
            opening_hours=[OpeningHours.of(span) for span in opening_hours.from_json(row.opening_hours)],
            order=row.order,
            max_size=row.max_size,
            reopen_within_hours=row.reopen_within_hours,
            created_at=row.created_at,
            department_id=row.department_id,
            overflow_queue_id=row.overflow_queue_id,
        )


@finds("Queue")
async def find_queue(info: Info, id_: UUID) -> Queue | None:
    row = await info.context.load(service.by_ids, id_)
    return Queue.of(row) if row else None


@extend(Department, "queues")
async def queues_of_department(self: Department, info: Info) -> list[Queue]:
    """Its queues, in alphabetical order."""
    rows = await info.context.load(service.queues_of_departments, id_of(self.id))
    return [Queue.of(row) for row in rows or []]


@extend(Member, "queues")
async def queues_of_member(self: Member, info: Info) -> list[Queue]:
    """The queues that the member serves, in alphabetical order."""
    rows = await info.context.load(service.queues_of_members, id_of(self.id))
    return [Queue.of(row) for row in rows or []]


@object_type
class QueuePayload:
    """The queue that changed."""

    queue: Queue | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class QueueQuery:
    @query(Role.VIEWER)
    async def queues(self, info: Info, department_id: strawberry.ID | None = None) -> list[Queue]:
        """All queues, or those of one department, in alphabetical order."""
        parsed = parse_global_id(department_id) if department_id else None
        if department_id and (parsed is None or parsed[0] != "Department"):
            return []
        async with info.context.read() as session:
            return [Queue.of(row) for row in await service.list_all(session, parsed[1] if parsed else None)]

    @query(Role.VIEWER)
    async def queue(self, info: Info, id: strawberry.ID) -> Queue | None:
        """One queue, or null."""
        found: Queue | None = await find(info, "Queue", id)
        return found

    @query(Role.VIEWER)
    async def members(
        self,
        info: Info,
        search: str | None = None,
        role: list[Role] | None = None,
        queue_id: strawberry.ID | None = None,
        availability: list[Availability] | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Member]:
        """Members that fit everything given, in alphabetical order."""
        criteria = members.Criteria(search=search, roles=role or (), availabilities=availability or ())
        besides = [service.serving(_queue_id(queue_id))] if queue_id is not None else []

        async def count() -> int:
            async with info.context.read() as session:
                return await members.count(session, criteria, besides)

        async with info.context.read() as session:
            page = await members.search(session, criteria, window(first, after), besides)
        found: Connection[Member] = connection(page.map(Member.of), count)
        return found


def _queue_id(text: str) -> UUID | None:
    parsed = parse_global_id(text)
    return parsed[1] if parsed and parsed[0] == "Queue" else None


@object_type
class QueueMutation:
    @mutation(Role.ORG_ADMIN)
    async def create_queue(self, info: Info, input: CreateQueueInput) -> QueuePayload:
        """Makes a queue."""
        row = await service.create(info.context.uow, input.given())
        return QueuePayload(queue=Queue.of(row))

    @mutation(Role.ORG_ADMIN)
    async def update_queue(self, info: Info, input: UpdateQueueInput) -> QueuePayload:
        """Changes the fields that are present."""
        queue_id = local_id("Queue", input.id, "id")
        row = await service.update(info.context.uow, queue_id, input.given())
        return QueuePayload(queue=Queue.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_queue(self, info: Info, input: DeleteQueueInput) -> QueuePayload:
        """Deletes a queue; the conversations that wait in it move to another."""
        queue_id = local_id("Queue", input.id, "id")
        goal = local_id("Queue", input.move_to_queue_id, "move_to_queue_id") if input.move_to_queue_id else None
        row = await service.delete(info.context.uow, queue_id, goal)
        return QueuePayload(queue=Queue.of(row))
