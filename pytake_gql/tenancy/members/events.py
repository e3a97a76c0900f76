from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pytake_gql.kernel.events import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberInvited(Event):
    """`queue_ids` are as the inviter gave them: whoever knows queues refuses those that lead nowhere."""

    entity: ClassVar[str] = "Invitation"

    queue_ids: tuple[UUID, ...] = ()


class InvitationCancelled(Event):
    entity: ClassVar[str] = "Invitation"


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberJoined(Event):
    """Somebody is a member from now on, of these queues; some may have been deleted since the invitation."""

    entity: ClassVar[str] = "Member"

    queue_ids: tuple[UUID, ...] = ()


class MemberUpdated(Event):
    entity: ClassVar[str] = "Member"


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberQueuesSet(Event):
    """The member is to serve these queues and no others; whoever knows queues refuses those that lead nowhere.

    The caller's path is `queue_ids`.
    """

    entity: ClassVar[str] = "Member"

    queue_ids: tuple[UUID, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberSkillsSet(Event):
    """The member is to have these skills, each with a level, and no others; whoever knows skills refuses what is wrong.

    The caller's path is `skills`, the audit log's entry that of whoever writes them down.
    """

    entity: ClassVar[str] = "Member"
    is_audited: ClassVar[bool] = False

    skills: tuple[tuple[UUID, int], ...]


class MemberDeactivated(Event):
    """Still a member, but not at work: what waits for this member goes elsewhere."""

    entity: ClassVar[str] = "Member"


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberRemoved(Event):
    """Gone. The open conversations go to `reassign_to_id`, an active member, or back to their queues."""

    entity: ClassVar[str] = "Member"

    reassign_to_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberAvailabilityChanged(Event):
    """Presence, not rights: it comes and goes too often for the audit log."""

    entity: ClassVar[str] = "Member"
    is_audited: ClassVar[bool] = False

    is_offline: bool
    """Whether the member is OFFLINE from now on, and was not before."""


class MemberLost(MemberAvailabilityChanged):
    """OFFLINE, because no live connection was seen for a grace (D19)."""


class MemberSeen(Event):
    """Has a live connection, and had none before."""

    entity: ClassVar[str] = "Member"
    is_audited: ClassVar[bool] = False
