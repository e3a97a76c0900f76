from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from pytake_gql.kernel.db import TenantModel, belongs_to, within_organization


class Skill(TenantModel, table=True):
    __tablename__ = "skills"
    __table_args__ = (sa.UniqueConstraint("organization_id", "name"), within_organization())

    name: str = Field(max_length=120)


class MemberSkill(TenantModel, table=True):
    """How good a member is at something: 1 (basic) to 5 (expert)."""

    __tablename__ = "member_skills"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "member_id", "skill_id"),
        sa.Index("ix_member_skills_skill", "organization_id", "skill_id"),
        sa.CheckConstraint("level BETWEEN 1 AND 5", name="level"),
        belongs_to("members", "member_id", ondelete="CASCADE"),
        belongs_to("skills", "skill_id", ondelete="CASCADE"),
        within_organization(),
    )

    member_id: UUID
    skill_id: UUID
    level: int
