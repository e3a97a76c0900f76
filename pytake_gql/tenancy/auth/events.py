from typing import ClassVar

from pytake_gql.kernel.events import Event


class MemberSignedIn(Event):
    """`changes` names the session."""

    entity: ClassVar[str] = "Member"

    @classmethod
    def action(cls) -> str:
        return "member.signed_in"


class SessionEnded(Event):
    """`changes` says why."""

    entity: ClassVar[str] = "ActiveSession"


class PasswordChanged(Event):
    entity: ClassVar[str] = "Member"


class OrganizationEntered(Event):
    """A session goes on in this organization; `changes` keeps a super admin's reason."""

    entity: ClassVar[str] = "Organization"
