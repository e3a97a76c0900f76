"""Finding whose grace is over (D19)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.members import presence

LONGEST_BREAK = timedelta(seconds=20)
"""Two looks further apart are no unbroken watch."""


class Watch:
    """Finds lost members, once it has itself reached the database without a break for a whole grace.

    Else whatever kept all processes from saying who is there, such as a database that was away, would lose everybody
    at once. A process that lives says so within seconds once it can; where nobody could, nobody is lost.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._since: datetime | None = None
        self._last: datetime | None = None

    async def lost(self, at_most: int) -> Sequence[tuple[UUID, UUID]]:
        """(organization, member) of who is to be OFFLINE; raises what the database does, and begins again."""
        now, last = self._ports.clock.now(), self._last
        if self._since is None or last is None or not timedelta() <= now - last <= LONGEST_BREAK:
            self._since = now
        self._last = None
        async with self._ports.database.session(None) as session:
            found = await presence.due(session, now, at_most)
        self._last = now
        return found if now - self._since >= presence.GRACE else ()


async def lose_member(ports: Ports, organization_id: UUID, member_id: UUID) -> bool:
    """Turns the member OFFLINE, of any number of calls once; says whether this one did."""
    async with ports.units.of_system(organization_id) as uow:
        return await presence.lose(uow, member_id)
