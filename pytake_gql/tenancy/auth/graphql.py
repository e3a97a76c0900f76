from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.kernel.errors import Problem, UserErrorCode
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.context import Context, Info
from pytake_gql.kernel.graphql.mutation import UserError, as_user_errors, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.types import object_type
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.principal import Anonymous, MemberPrincipal, Role
from pytake_gql.tenancy.auth import joining, models, recovery, service, sessions, signing_up
from pytake_gql.tenancy.auth.inputs import (
    AcceptInvitationInput,
    ChangePasswordInput,
    LoginInput,
    LogoutInput,
    RefreshSessionInput,
    RequestPasswordResetInput,
    ResetPasswordInput,
    RevokeSessionInput,
    SignUpInput,
    SwitchOrganizationInput,
)
from pytake_gql.tenancy.auth.sessions import Device, Grant
from pytake_gql.tenancy.members.graphql import Member
from pytake_gql.tenancy.organizations.graphql import Organization

_LEADS_NOWHERE = UUID(int=0)
_WORTH_NOTHING = Problem(
    UserErrorCode.INVALID_CREDENTIALS, "This session has ended. Sign in again.", ("refresh_token",)
)


@object_type
class Session:
    """What a signed-in client holds: a short access token for requests, a refresh token for the next pair."""

    access_token: str
    """Stands in `Authorization: Bearer …`, and in a websocket's connection_init."""
    access_token_expires_at: datetime
    """At most ten minutes from now."""
    refresh_token: str
    """For `refreshSession`, once; keep it secret."""
    refresh_token_expires_at: datetime
    """Thirty days after it was made."""
    member: Member
    """Who is signed in; for a super admin inside another organization, the own member at home."""

    @classmethod
    def of(cls, grant: Grant) -> Self:
        return cls(
            access_token=grant.access_token,
            access_token_expires_at=grant.access_expires_at,
            refresh_token=grant.refresh_token,
            refresh_token_expires_at=grant.refresh_expires_at,
            member=Member.of(grant.member),
        )


@object_type
class ActiveSession(Node):
    """A place where the account is signed in."""

    user_agent: str | None
    """The browser or program, as it named itself."""
    ip_address: str | None
    """Where it signed in from."""
    created_at: datetime
    """When it signed in."""
    last_used_at: datetime
    """When it last fetched tokens."""
    is_current: bool
    """Whether it is the one that asks."""

    @classmethod
    def of(cls, row: models.Session, current_id: UUID) -> Self:
        return cls(
            id=strawberry.ID(global_id("ActiveSession", row.id)),
            user_agent=row.user_agent,
            ip_address=row.ip_address,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            is_current=row.id == current_id,
        )


@finds("ActiveSession")
async def find_active_session(info: Info, id_: UUID) -> ActiveSession | None:
    if not isinstance(info.context.principal, MemberPrincipal):
        return None
    return next((found for found in await _active_sessions(info) if found.id == global_id("ActiveSession", id_)), None)


@object_type
class SessionPayload:
    """The tokens of whoever is signed in now."""

    session: Session | None = None
    """Null when nobody is."""
    user_errors: list[UserError] = user_errors()

    @classmethod
    def of(cls, context: Context, grant: Grant) -> Self:
        """What is selected below the session's member is read as that member."""
        context.principal = grant.principal
        return cls(session=Session.of(grant))


@object_type
class LogoutPayload:
    """Logging out needs no answer."""

    user_errors: list[UserError] = user_errors()


@object_type
class RevokeSessionPayload:
    """The session that was ended."""

    active_session: ActiveSession | None = None
    """Null when none was."""
    user_errors: list[UserError] = user_errors()


@object_type
class ChangePasswordPayload:
    """When there are no errors, the password is changed and every other session has ended."""

    user_errors: list[UserError] = user_errors()


@object_type
class RequestPasswordResetPayload:
    """The same whether or not the address is known."""

    user_errors: list[UserError] = user_errors()


@object_type
class AuthQuery:
    @query(Role.VIEWER)
    async def active_sessions(self, info: Info) -> list[ActiveSession]:
        """Where the caller's account is signed in, the last used first."""
        return await _active_sessions(info)

    @query(Role.VIEWER)
    async def my_organizations(self, info: Info) -> list[Organization]:
        """Organizations that the caller is a member of and may switch to."""
        async with info.context.read() as session:
            rows = await service.organizations_of(session, info.context.member.account_id)
        return [Organization.of(row) for row in rows]


@object_type
class AuthMutation:
    @mutation(public=True)
    async def sign_up(self, info: Info, input: SignUpInput) -> SessionPayload:
        """Makes an organization and signs in as its first admin."""
        grant = await signing_up.sign_up(
            info.context.uow,
            info.context.ports,
            organization_name=input.organization_name,
            name=input.name,
            email=input.email,
            password=input.password,
            timezone=input.timezone,
            device=_device(info),
        )
        return SessionPayload.of(info.context, grant)

    @mutation(public=True)
    async def accept_invitation(self, info: Info, input: AcceptInvitationInput) -> SessionPayload:
        """Becomes a member by a mailed token, and signs in."""
        context = info.context
        grant = await joining.accept_invitation(
            context.uow,
            context.ports,
            token=input.token,
            name=input.name,
            password=input.password,
            device=_device(info),
        )
        return SessionPayload.of(context, grant)

    @mutation(public=True)
    async def login(self, info: Info, input: LoginInput) -> SessionPayload:
        """Signs in with a password. Whatever is wrong, the answer is INVALID_CREDENTIALS."""
        grant = await service.login(
            info.context.uow,
            info.context.ports,
            email=input.email,
            password=input.password,
            organization_id=_organization_id(input.organization_id),
            device=_device(info),
        )
        return SessionPayload.of(info.context, grant)

    @mutation(public=True)
    async def refresh_session(self, info: Info, input: RefreshSessionInput) -> SessionPayload:
        """Exchanges a refresh token for the next pair; asked again within ten seconds, for the same."""
        context = info.context
        grant = await service.refresh(context.uow, context.ports, input.refresh_token, _device(info))
        if grant is None:
            return SessionPayload(user_errors=as_user_errors([_WORTH_NOTHING], context.locale))
        return SessionPayload.of(context, grant)

    @mutation(public=True)
    async def logout(self, info: Info, input: LogoutInput) -> LogoutPayload:
        """Ends this session, or all of the account; with the access token or the refresh token."""
        await service.logout(
            info.context.uow,
            info.context.ports,
            refresh_token=input.refresh_token,
            everywhere=input.everywhere,
            device=_device(info),
        )
        info.context.principal = Anonymous()
        return LogoutPayload()

    @mutation(Role.VIEWER)
    async def revoke_session(self, info: Info, input: RevokeSessionInput) -> RevokeSessionPayload:
        """Ends one of the account's sessions: its tokens and live connections with it."""
        current_id = info.context.member.session_id
        row = await sessions.revoke(info.context.uow, local_id("ActiveSession", input.id, "id"))
        return RevokeSessionPayload(active_session=ActiveSession.of(row, current_id))

    @mutation(Role.VIEWER)
    async def switch_organization(self, info: Info, input: SwitchOrganizationInput) -> SessionPayload:
        """Goes on in another organization, with new tokens; those of before no longer serve."""
        organization_id = local_id("Organization", input.organization_id, "organization_id")
        grant = await sessions.switch(info.context.uow, info.context.ports.tokens, organization_id, input.reason)
        return SessionPayload.of(info.context, grant)

    @mutation(Role.VIEWER)
    async def change_password(self, info: Info, input: ChangePasswordInput) -> ChangePasswordPayload:
        """Sets another password and ends all other sessions of the account."""
        await service.change_password(
            info.context.uow,
            info.context.ports,
            info.context.member,
            current=input.current_password,
            new=input.new_password,
        )
        return ChangePasswordPayload()

    @mutation(public=True)
    async def request_password_reset(self, info: Info, input: RequestPasswordResetInput) -> RequestPasswordResetPayload:
        """Mails a link that sets a new password; the answer does not tell whether the address is known."""
        context = info.context
        await recovery.request(
            context.uow, context.ports, email=input.email, device=_device(info), locale=context.locale
        )
        return RequestPasswordResetPayload()

    @mutation(public=True)
    async def reset_password(self, info: Info, input: ResetPasswordInput) -> SessionPayload:
        """Sets the password, ends every session of the account, and signs in."""
        context = info.context
        grant = await recovery.reset(
            context.uow, context.ports, token=input.token, new_password=input.new_password, device=_device(info)
        )
        return SessionPayload.of(context, grant)


async def _active_sessions(info: Info) -> list[ActiveSession]:
    by = info.context.member
    async with info.context.read() as session:
        rows = await sessions.list_active(session, by.account_id, info.context.ports.clock.now())
    return [ActiveSession.of(row, by.session_id) for row in rows]


def _device(info: Info) -> Device:
    return Device(info.context.ip_address, info.context.user_agent)


def _organization_id(text: str | None) -> UUID | None:
    """A malformed one leads nowhere, like an unknown one, and only once the password is proven."""
    if text is None:
        return None
    parsed = parse_global_id(text)
    return parsed[1] if parsed and parsed[0] == "Organization" else _LEADS_NOWHERE
