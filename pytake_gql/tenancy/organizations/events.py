from dataclasses import dataclass
from typing import ClassVar

from pytake_gql.kernel.events import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class OrganizationCreated(Event):
    """`admin_email` is to be invited as its first admin; None where somebody is in it already."""

    entity: ClassVar[str] = "Organization"

    admin_email: str | None = None
    admin_name: str | None = None


class OrganizationUpdated(Event):
    entity: ClassVar[str] = "Organization"


class OrganizationDeleted(Event):
    """Emitted in the organization of whoever deleted it, for nothing is left of it."""

    entity: ClassVar[str] = "Organization"
