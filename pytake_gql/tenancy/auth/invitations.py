"""The root field `acceptInvitation`: what it answers is a session."""

from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import mutation
from pytake_gql.kernel.graphql.types import input_type, object_type
from pytake_gql.tenancy.auth import accepting
from pytake_gql.tenancy.auth.graphql import SessionPayload
from pytake_gql.tenancy.auth.sessions import Device


@input_type
class AcceptInvitationInput:
    """Who joins.

    For a person who has an account, password is the one it has (wrong is INVALID_CREDENTIALS) and name is not used.
    """

    token: str
    """From the link's address."""
    name: str
    """As colleagues and contacts will see it."""
    password: str
    """10 to 256 characters for a new account."""


@object_type
class InvitationAcceptance:
    @mutation(public=True)
    async def accept_invitation(self, info: Info, input: AcceptInvitationInput) -> SessionPayload:
        """Makes the invited person a member and signs in. A token that is worth nothing is EXPIRED."""
        context = info.context
        grant = await accepting.accept(
            context.uow,
            context.ports,
            token=input.token,
            name=input.name,
            password=input.password,
            device=Device(context.ip_address, context.user_agent),
        )
        return SessionPayload.of(context, grant)
