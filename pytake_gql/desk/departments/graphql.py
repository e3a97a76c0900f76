from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.desk.departments import models, service
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, present, user_errors
from pytake_gql.kernel.graphql.node import Node, find, finds
from pytake_gql.kernel.graphql.types import extend, input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.graphql import Organization


@object_type
class Department(Node):
    """A part of the company; its queues hold the conversations meant for it."""

    name: str
    """Unique in the organization."""
    description: str | None
    """What it is for."""
    color: str
    """As #RRGGBB."""
    icon: str | None
    """The name of an icon of the front end's set."""
    is_active: bool
    """Inactive ones take no new conversations."""
    created_at: datetime
    """When it was made."""

    @classmethod
    def of(cls, row: models.Department) -> Self:
        return cls(
            id=strawberry.ID(global_id("Department", row.id)),
            name=row.name,
            description=row.description,
            color=row.color,
            icon=row.icon,
            is_active=row.is_active,
            created_at=row.created_at,
        )


@finds("Department")
async def find_department(info: Info, id_: UUID) -> Department | None:
    row = await info.context.load(service.by_ids, id_)
    return Department.of(row) if row else None


@extend(Organization)
async def departments(self: Organization, info: Info) -> list[Department]:
    """Its departments, in alphabetical order."""
    # A super admin may look at another organization than the one worked in.
    async with info.context.ports.database.session(self.row_id) as session:
        return [Department.of(row) for row in await service.list_all(session)]


@input_type
class CreateDepartmentInput:
    """A new department."""

    name: str
    """Unique in the organization."""
    description: str | None = None
    """What it is for."""
    color: str | None = None
    """As #RRGGBB; grey by default."""
    icon: str | None = None
    """The name of an icon of the front end's set."""


@input_type
class UpdateDepartmentInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The department."""
    name: strawberry.Maybe[str | None]
    """Unique in the organization."""
    description: strawberry.Maybe[str | None]
    """What it is for."""
    color: strawberry.Maybe[str | None]
    """As #RRGGBB."""
    icon: strawberry.Maybe[str | None]
    """The name of an icon of the front end's set."""
    is_active: strawberry.Maybe[bool | None]
    """Inactive ones take no new conversations."""


@input_type
class DeleteDepartmentInput:
    """The department to delete; WRONG_STATE while it has queues."""

    id: strawberry.ID
    """The department."""


@object_type
class DepartmentPayload:
    """The department that changed."""

    department: Department | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class DepartmentQuery:
    @query(Role.VIEWER)
    async def departments(self, info: Info) -> list[Department]:
        """All departments, in alphabetical order."""
        async with info.context.read() as session:
            return [Department.of(row) for row in await service.list_all(session)]

    @query(Role.VIEWER)
    async def department(self, info: Info, id: strawberry.ID) -> Department | None:
        """One department, or null."""
        found: Department | None = await find(info, "Department", id)
        return found


@object_type
class DepartmentMutation:
    @mutation(Role.ORG_ADMIN)
    async def create_department(self, info: Info, input: CreateDepartmentInput) -> DepartmentPayload:
        """Makes a department."""
        row = await service.create(
            info.context.uow,
            name=input.name,
            description=input.description,
            color=input.color,
            icon=input.icon,
        )
        return DepartmentPayload(department=Department.of(row))

    @mutation(Role.ORG_ADMIN)
    async def update_department(self, info: Info, input: UpdateDepartmentInput) -> DepartmentPayload:
        """Changes the fields that are present."""
        row = await service.update(info.context.uow, local_id("Department", input.id, "id"), present(input))
        return DepartmentPayload(department=Department.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_department(self, info: Info, input: DeleteDepartmentInput) -> DepartmentPayload:
        """Deletes a department without queues."""
        row = await service.delete(info.context.uow, local_id("Department", input.id, "id"))
        return DepartmentPayload(department=Department.of(row))
