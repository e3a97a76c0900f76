"""Who is asking: decided once at the door, carried by the context and the unit of work."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID


class Role(StrEnum):
    """What a member may do, from most to least. SUPER_ADMIN runs the platform, and is given by super admins only."""

    SUPER_ADMIN = "SUPER_ADMIN"
    ORG_ADMIN = "ORG_ADMIN"
    AGENT = "AGENT"
    VIEWER = "VIEWER"

    def serves(self, least: "Role") -> bool:
        """Whether this role may do what is open to `least` and above."""
        return _RANK[self] >= _RANK[least]


_RANK = {Role.VIEWER: 0, Role.AGENT: 1, Role.ORG_ADMIN: 2, Role.SUPER_ADMIN: 3}


class ConversationScope(StrEnum):
    """Which conversations a member sees (D21)."""

    OWN = "OWN"
    QUEUES = "QUEUES"
    ORGANIZATION = "ORGANIZATION"


@dataclass(frozen=True, slots=True)
class Anonymous:
    organization_id: None = None


@dataclass(frozen=True, slots=True)
class MemberPrincipal:
    """A signed-in member.

    `organization_id` is the organization worked in. A super admin may have entered another one than that of
    the own member: then `home_organization_id` differs, and `member_id` leads nowhere in `organization_id`.
    """

    organization_id: UUID
    member_id: UUID
    account_id: UUID
    session_id: UUID
    home_organization_id: UUID
    role: Role
    scope: ConversationScope
    name: str

    @property
    def is_visiting(self) -> bool:
        return self.organization_id != self.home_organization_id


@dataclass(frozen=True, slots=True)
class VisitorPrincipal:
    """A contact's browser in one web-chat channel; `external_id` is the contact's identity there."""

    organization_id: UUID
    channel_id: UUID
    external_id: str


@dataclass(frozen=True, slots=True)
class System:
    """A job or a webhook that works for one organization, or for none (mail, sweeps)."""

    organization_id: UUID | None = None


Principal: TypeAlias = Anonymous | MemberPrincipal | VisitorPrincipal | System
