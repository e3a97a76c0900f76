from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.kernel.errors import Unauthenticated
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, local_ids, mutation, present, user_errors
from pytake_gql.kernel.graphql.node import Node, find, finds
from pytake_gql.kernel.graphql.types import enum_type, input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.tenancy.members import invitations, models, service
from pytake_gql.tenancy.members.invitations import Pending

enum_type(ConversationScope)
enum_type(models.Availability)


@object_type
class Member(Node):
    """A person inside one organization, with a role there."""

    email: str
    """The address that the person signs in with."""
    name: str
    """As colleagues and contacts see it."""
    avatar_url: str | None
    """A picture."""
    role: Role
    """What the member may do."""
    is_active: bool
    """Inactive members cannot sign in and are assigned nothing."""
    availability: models.Availability
    """What the member last chose, turned OFFLINE when no live connection has been seen for a minute."""
    conversation_scope: ConversationScope
    """Which conversations the member sees, in lists, searches, counts and subscriptions alike."""
    last_seen_at: datetime | None
    """When the member was last connected."""
    capacity: int
    """How many assigned conversations this member takes at once. Routing never exceeds it."""
    load: int
    """Assigned conversations that count against capacity now."""
    created_at: datetime
    """When the membership began."""

    @classmethod
    def of(cls, row: models.Member) -> Self:
        return cls(
            id=strawberry.ID(global_id("Member", row.id)),
            email=row.email,
            name=row.name,
            avatar_url=row.avatar_url,
            role=row.role,
            is_active=row.is_active,
            availability=row.availability,
            conversation_scope=row.conversation_scope,
            last_seen_at=row.last_seen_at,
            capacity=row.capacity,
            load=row.load,
            created_at=row.created_at,
        )


@object_type
class Invitation(Node):
    """An e-mail that makes its reader a member."""

    email: str
    """Where it went."""
    role: Role
    """What the new member may do."""
    expires_at: datetime
    """The link is worth nothing from then on."""
    accepted_at: datetime | None
    """When its reader became a member."""

    @classmethod
    def of(cls, row: models.Invitation) -> Self:
        return cls(
            id=strawberry.ID(global_id("Invitation", row.id)),
            email=row.email,
            role=row.role,
            expires_at=row.expires_at,
            accepted_at=row.accepted_at,
        )


@object_type
class InvitationPreview:
    """What the page behind the e-mail shows before anybody is signed in."""

    organization_name: str
    """Who invites."""
    email: str
    """The address that was invited."""
    role: Role
    """What the new member may do."""
    has_account: bool
    """Whether the person signs in with the password it has, and needs no name."""
    expires_at: datetime
    """The link is worth nothing from then on."""

    @classmethod
    def of(cls, found: Pending) -> Self:
        return cls(
            organization_name=found.organization_name,
            email=found.invitation.email,
            role=found.invitation.role,
            has_account=found.account is not None,
            expires_at=found.invitation.expires_at,
        )


@finds("Member")
async def find_member(info: Info, id_: UUID) -> Member | None:
    row = await info.context.load(service.by_ids, id_)
    return Member.of(row) if row and row.removed_at is None else None


async def load_member(info: Info, id_: UUID | None) -> Member | None:
    """Whoever wrote or did something, also after leaving the organization."""
    row = await info.context.load(service.by_ids, id_) if id_ else None
    return Member.of(row) if row else None


@finds("Invitation", Role.ORG_ADMIN)
async def find_invitation(info: Info, id_: UUID) -> Invitation | None:
    row = await info.context.load(invitations.by_ids, id_)
    return Invitation.of(row) if row else None


@input_type
class InviteMemberInput:
    """Whom to invite. An address invited before gets a new e-mail, and the old token dies."""

    email: str
    """Where the mail goes."""
    name: str | None = None
    """How to call the person."""
    role: Role
    """What the new member may do; SUPER_ADMIN is given by super admins only."""
    queue_ids: list[strawberry.ID] | None = None
    """The queues to serve from the first day."""


@input_type
class CancelInvitationInput:
    """The invitation to cancel."""

    id: strawberry.ID
    """One that was not accepted yet."""


@input_type
class MemberSkillInput:
    """What a member is good at, and how good."""

    skill_id: strawberry.ID
    """The skill; each is named once."""
    level: int = 3
    """1 (basic) to 5 (expert)."""


@input_type
class UpdateMemberInput:
    """What is to change; absent fields stay as they are."""

    id: strawberry.ID
    """The member."""
    name: strawberry.Maybe[str | None]
    """As colleagues and contacts see it."""
    role: strawberry.Maybe[Role | None]
    """What the member may do. Nobody changes the own one."""
    is_active: strawberry.Maybe[bool | None]
    """Inactive members cannot sign in and are assigned nothing. Nobody deactivates oneself."""
    conversation_scope: strawberry.Maybe[ConversationScope | None]
    """Which conversations the member sees."""
    capacity: strawberry.Maybe[int | None]
    """0 to 100."""
    skills: strawberry.Maybe[list[MemberSkillInput] | None]
    """The whole list of what the member is good at."""
    queue_ids: strawberry.Maybe[list[strawberry.ID] | None]
    """The whole list of the queues that the member serves."""

    def changes(self) -> Changes:
        given = present(self)
        if given.get("queue_ids") is not None:
            given["queue_ids"] = local_ids("Queue", given["queue_ids"], "queue_ids")
        if given.get("skills") is not None:
            given["skills"] = [
                (local_id("Skill", item.skill_id, "skills", str(index), "skill_id"), item.level)
                for index, item in enumerate(given["skills"])
            ]
        return given


@input_type
class RemoveMemberInput:
    """Who leaves."""

    id: strawberry.ID
    """The member."""
    reassign_to_id: strawberry.ID | None = None
    """Who takes over the open conversations; without one they go back to their queues."""


@input_type
class UpdateProfileInput:
    """How the caller is seen; absent fields stay as they are."""

    name: strawberry.Maybe[str | None]
    """As colleagues and contacts see it."""
    avatar_url: strawberry.Maybe[str | None]
    """A picture, by https."""


@input_type
class SetAvailabilityInput:
    """What the caller chooses."""

    availability: models.Availability
    """Only ONLINE members are assigned conversations automatically."""


@object_type
class MemberPayload:
    """The member that changed."""

    member: Member | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class InvitationPayload:
    """The invitation that changed."""

    invitation: Invitation | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class MemberQuery:
    @query(Role.VIEWER)
    async def me(self, info: Info) -> Member:
        """The caller; for a super admin inside another organization, the own member at home."""
        by = info.context.member
        async with info.context.ports.database.session(by.home_organization_id) as session:
            found = await service.find(session, by.member_id)
        if found is None:
            raise Unauthenticated
        return Member.of(found)

    @query(Role.VIEWER)
    async def member(self, info: Info, id: strawberry.ID) -> Member | None:
        """One member, or null."""
        found: Member | None = await find(info, "Member", id)
        return found

    @query(Role.ORG_ADMIN)
    async def invitations(self, info: Info) -> list[Invitation]:
        """All but the cancelled ones: those that wait for an answer first, the newest first."""
        async with info.context.read() as session:
            return [Invitation.of(row) for row in await invitations.list_all(session)]

    @query(public=True)
    async def invitation_preview(self, info: Info, token: str) -> InvitationPreview | None:
        """Null when the token is unknown, used or expired."""
        ports = info.context.ports
        found = await invitations.find_pending(ports.database, token, ports.clock.now())
        return InvitationPreview.of(found) if found else None


@object_type
class MemberMutation:
    @mutation(Role.ORG_ADMIN)
    async def invite_member(self, info: Info, input: InviteMemberInput) -> InvitationPayload:
        """Invites a person by e-mail."""
        row = await invitations.invite(
            info.context.uow,
            email=input.email,
            name=input.name,
            role=input.role,
            queue_ids=local_ids("Queue", input.queue_ids or [], "queue_ids"),
        )
        return InvitationPayload(invitation=Invitation.of(row))

    @mutation(Role.ORG_ADMIN)
    async def cancel_invitation(self, info: Info, input: CancelInvitationInput) -> InvitationPayload:
        """Makes the mailed link useless."""
        row = await invitations.cancel(info.context.uow, local_id("Invitation", input.id, "id"))
        return InvitationPayload(invitation=Invitation.of(row))

    @mutation(Role.ORG_ADMIN)
    async def update_member(self, info: Info, input: UpdateMemberInput) -> MemberPayload:
        """Changes the fields that are present. An organization keeps one active admin."""
        row = await service.update(info.context.uow, local_id("Member", input.id, "id"), input.changes())
        return MemberPayload(member=Member.of(row))

    @mutation(Role.ORG_ADMIN)
    async def remove_member(self, info: Info, input: RemoveMemberInput) -> MemberPayload:
        """Takes a member out: sessions end, open conversations go elsewhere. What it wrote stays."""
        to = input.reassign_to_id
        row = await service.remove(
            info.context.uow,
            local_id("Member", input.id, "id"),
            None if to is None else local_id("Member", to, "reassign_to_id"),
        )
        return MemberPayload(member=Member.of(row))

    @mutation(Role.VIEWER)
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> MemberPayload:
        """Changes how the caller is seen in this organization."""
        row = await service.update_profile(info.context.uow, info.context.member, present(input))
        return MemberPayload(member=Member.of(row))

    @mutation(Role.VIEWER)
    async def set_availability(self, info: Info, input: SetAvailabilityInput) -> MemberPayload:
        """Says whether the caller is there for conversations."""
        row = await service.set_availability(info.context.uow, info.context.member, input.availability)
        return MemberPayload(member=Member.of(row))
