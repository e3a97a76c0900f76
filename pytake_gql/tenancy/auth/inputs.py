"""What clients send to sign in, to stay signed in, and to leave."""

import strawberry

from pytake_gql.kernel.graphql.scalars import TimeZone
from pytake_gql.kernel.graphql.types import input_type


@input_type
class SignUpInput:
    """A new organization and its first admin."""

    organization_name: str
    """As people know the company."""
    name: str
    """The admin's own."""
    email: str
    """The admin signs in with it."""
    password: str
    """10 to 256 characters."""
    timezone: TimeZone | None = None
    """America/Sao_Paulo by default."""


@input_type
class LoginInput:
    """Who signs in, and where."""

    email: str
    """The account's address."""
    password: str
    """Its password."""
    organization_id: strawberry.ID | None = None
    """Needed only by a member of several organizations; otherwise the one last used."""


@input_type
class RefreshSessionInput:
    """The token to exchange."""

    refresh_token: str
    """The newest of the session. An older one ends the session."""


@input_type
class LogoutInput:
    """What to end."""

    refresh_token: str | None = None
    """Says which session when the access token is gone."""
    everywhere: bool = False
    """Ends every session of the account."""


@input_type
class SwitchOrganizationInput:
    """Where to go on.

    A super admin may enter any organization, with a reason that its audit log keeps; `me` stays the super admin's
    own member.
    """

    organization_id: strawberry.ID
    """One of `myOrganizations`; any for a super admin."""
    reason: str | None = None
    """Required where the super admin is no member."""


@input_type
class RevokeSessionInput:
    """The session to end."""

    id: strawberry.ID
    """One of `activeSessions`."""


@input_type
class ChangePasswordInput:
    """The password as it was and as it shall be."""

    current_password: str
    """Proves that it is you."""
    new_password: str
    """10 to 256 characters."""


@input_type
class RequestPasswordResetInput:
    """Who forgot the password."""

    email: str
    """Where the link goes if an account has it."""


@input_type
class ResetPasswordInput:
    """The mailed token and the new password."""

    token: str
    """From the link's address."""
    new_password: str
    """10 to 256 characters."""


@input_type
class AcceptInvitationInput:
    """For a person who has an account, password is the one it has and name is not used."""

    token: str
    """From the link's address."""
    name: str | None = None
    """As colleagues and contacts see it; as the inviter wrote it by default."""
    password: str
    """10 to 256 characters; that of the account for a person who has one."""
