"""What one process has at hand: made by `bootstrap`, carried by every context."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from pytake_gql.kernel.bus import Bus
from pytake_gql.kernel.clock import Clock
from pytake_gql.kernel.db import Database
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.jobs import Jobs
from pytake_gql.kernel.limiter import Limiter
from pytake_gql.kernel.principal import MemberPrincipal, Principal
from pytake_gql.kernel.settings import Settings
from pytake_gql.kernel.shared_reads import SharedReads
from pytake_gql.kernel.shared_writes import SharedWrites
from pytake_gql.kernel.tokens import Tokens
from pytake_gql.kernel.unit_of_work import UnitsOfWork

AUTHORITY_TOPIC = "authority"
"""Bus topic: look again at what this session, member, account, organization or channel (the id, as text) may do."""


class Authority(Protocol):
    """Says who is asking, and whether they still may (G11, G12)."""

    async def identify(self, token: str | None) -> Principal:
        """The principal that a bearer token stands for.

        Anonymous without a token; raises `Unauthenticated` for one that is malformed, expired or ended.
        """
        ...

    async def renew(self, principal: Principal) -> Principal | None:
        """The principal as it stands now (role, scope), at most 2 s old; None when it has lost its place.

        Asked for each operation and each push of a socket: a socket lives as long as its session, not as its
        token.
        """
        ...

    async def renew_all(self, principals: Collection[Principal]) -> Mapping[Principal, Principal | None]:
        """`renew` for many, read anew: one question for hundreds of them."""
        ...

    async def allows_origin(self, origin: str, organization_id: UUID | None) -> bool:
        """Whether a browser page there may call.

        The service's own may, and a front end of that organization; of any, before the organization is known.
        """
        ...


class Presence(Protocol):
    """Hears who has a live connection to this process; it answers at once and tells the rest of us later (D19)."""

    def came(self, principal: MemberPrincipal) -> None:
        """One connection more."""
        ...

    def left(self, principal: MemberPrincipal) -> None:
        """One connection less."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    settings: Settings
    clock: Clock
    database: Database
    bus: Bus
    jobs: Jobs
    limiter: Limiter
    tokens: Tokens
    units: UnitsOfWork
    authority: Authority
    presence: Presence
    files: Files
    shared_reads: SharedReads = field(default_factory=SharedReads)
    shared_writes: SharedWrites = field(default_factory=SharedWrites)
    adapters: Mapping[Any, Any] = field(default_factory=dict)
    """What implements a domain's port, by the port: for those that are not handed it, such as resolvers."""
