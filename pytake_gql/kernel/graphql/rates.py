"""How often somebody may ask (G16, G27): buckets per address, member, visitor and organization.

They are far above what a front end does, and there to keep one caller from taking the place of all.
"""

from collections.abc import Iterator

from pytake_gql.kernel import addresses
from pytake_gql.kernel.limiter import Limiter, Rate
from pytake_gql.kernel.principal import MemberPrincipal, Principal, VisitorPrincipal

ADDRESS = Rate(capacity=600, per_second=30)
"""Of callers without a token, who sign in and start visits; a whole office may share one address."""
MEMBER = Rate(capacity=1_200, per_second=100)
VISITOR = Rate(capacity=120, per_second=5)
ORGANIZATION = Rate(capacity=6_000, per_second=600)

LEASE = 20
"""Taken at once by a process that then serves so many requests without asking Redis."""


async def admit(limiter: Limiter, principal: Principal, address: str | None, count: int = 1) -> None:
    """Takes `count` from each bucket of the caller, or raises `RateLimited`."""
    for key, rate in _buckets(principal, address):
        await limiter.take(key, rate, count, lease=LEASE)


def _buckets(principal: Principal, address: str | None) -> Iterator[tuple[str, Rate]]:
    if isinstance(principal, MemberPrincipal):
        yield f"member:{principal.account_id.hex}", MEMBER
    elif isinstance(principal, VisitorPrincipal):
        yield f"visitor:{principal.channel_id.hex}:{principal.external_id}", VISITOR
    else:
        yield f"address:{addresses.network(address)}", ADDRESS
    if principal.organization_id is not None:
        yield f"organization:{principal.organization_id.hex}", ORGANIZATION
