from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.desk.skills import models, service
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, present, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import extend, input_type, object_type
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.graphql import Member


@object_type
class Skill(Node):
    """Something that members are good at and queues ask for, such as a language or a product."""

    name: str
    """Unique in the organization."""

    @classmethod
    def of(cls, row: models.Skill) -> Self:
        return cls(id=strawberry.ID(global_id("Skill", row.id)), name=row.name)


@object_type
class MemberSkill:
    """What a member is good at, and how good."""

    skill: Skill
    """The skill."""
    level: int
    """1 (basic) to 5 (expert)."""


@finds("Skill")
async def find_skill(info: Info, id_: UUID) -> Skill | None:
    row = await info.context.load(service.by_ids, id_)
    return Skill.of(row) if row else None


@extend(Member, "skills")
async def skills_of_member(self: Member, info: Info) -> list[MemberSkill]:
    """What the member is good at, in alphabetical order."""
    found = await info.context.load(service.skills_of, id_of(self.id))
    return [MemberSkill(skill=Skill.of(row), level=level) for row, level in found or []]


@input_type
class CreateSkillInput:
    """A new skill."""

    name: str
    """Unique in the organization."""


@input_type
class UpdateSkillInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The skill."""
    name: strawberry.Maybe[str | None]
    """Unique in the organization."""


@input_type
class DeleteSkillInput:
    """The skill to delete, with the members' levels; WRONG_STATE while a queue asks for it."""

    id: strawberry.ID
    """The skill."""


@object_type
class SkillPayload:
    """The skill that changed."""

    skill: Skill | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class SkillQuery:
    @query(Role.VIEWER)
    async def skills(self, info: Info) -> list[Skill]:
        """All skills, in alphabetical order."""
        async with info.context.read() as session:
            return [Skill.of(row) for row in await service.list_all(session)]


@object_type
class SkillMutation:
    @mutation(Role.ORG_ADMIN)
    async def create_skill(self, info: Info, input: CreateSkillInput) -> SkillPayload:
        """Makes a skill."""
        return SkillPayload(skill=Skill.of(await service.create(info.context.uow, input.name)))

    @mutation(Role.ORG_ADMIN)
    async def update_skill(self, info: Info, input: UpdateSkillInput) -> SkillPayload:
        """Changes the fields that are present."""
        row = await service.update(info.context.uow, local_id("Skill", input.id, "id"), present(input))
        return SkillPayload(skill=Skill.of(row))

    @mutation(Role.ORG_ADMIN)
    async def delete_skill(self, info: Info, input: DeleteSkillInput) -> SkillPayload:
        """Deletes a skill that no queue asks for; the members' levels go with it."""
        row = await service.delete(info.context.uow, local_id("Skill", input.id, "id"))
        return SkillPayload(skill=Skill.of(row))
