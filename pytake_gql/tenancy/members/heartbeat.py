"""One process says of its members that they are there: at once when they come, then with every beat (D19)."""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from pytake_gql.kernel import tasks
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork, UnitsOfWork
from pytake_gql.tenancy.members import presence

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
_LONGEST_TELLING_SECONDS = 5.0

Verb: TypeAlias = Callable[[UnitOfWork, Collection[UUID]], Awaitable[set[UUID]]]


class Who(NamedTuple):
    """A member at home: that is where a visiting super admin is present, too."""

    organization_id: UUID
    member_id: UUID

    @classmethod
    def of(cls, principal: MemberPrincipal) -> "Who":
        return cls(principal.home_organization_id, principal.member_id)


class Heartbeat:
    """Counts connections; a task of its own writes, one statement an organization, and tries again until it could."""

    def __init__(self, units: UnitsOfWork) -> None:
        self._units = units
        self._connections: Counter[Who] = Counter()
        self._seen: set[Who] = set()
        """Of whom it is still to be said that they are there."""
        self._gone: set[Who] = set()
        """Of whom it is still to be said that they left."""
        self._news = asyncio.Event()

    def came(self, principal: MemberPrincipal) -> None:
        who = Who.of(principal)
        self._connections[who] += 1
        if self._connections[who] == 1:
            self._gone.discard(who)
            self._seen.add(who)
            self._news.set()

    def left(self, principal: MemberPrincipal) -> None:
        who = Who.of(principal)
        self._connections[who] -= 1
        if self._connections[who] <= 0:
            del self._connections[who]
            self._seen.discard(who)
            self._gone.add(who)
            self._news.set()

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        beats = asyncio.create_task(self._run(), name="heartbeat")
        try:
            yield
        finally:
            await tasks.end([beats])

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                self._seen |= self._connections.keys()
                due = time.monotonic() + presence.BEAT.total_seconds()
            self._news.clear()
            await self._tell()
            wait = RETRY_SECONDS if self._seen or self._gone else due - time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait)):
                    await self._news.wait()

    async def _tell(self) -> None:
        """What cannot be written, or is locked, stays to be told. The first failure ends it: the database is away."""
        try:
            for verb, people in ((presence.beat, self._seen), (presence.leave, self._gone)):
                for organization_id, member_ids in _by_organization(people):
                    async with asyncio.timeout(_LONGEST_TELLING_SECONDS):
                        untold = await self._write(verb, organization_id, member_ids)
                    people -= {Who(organization_id, member_id) for member_id in member_ids - untold}
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("presence was not written, it is tried again in %.0f s: %s", RETRY_SECONDS, error)

    async def _write(self, verb: Verb, organization_id: UUID, member_ids: set[UUID]) -> set[UUID]:
        async with self._units.of_system(organization_id) as uow:
            return await verb(uow, member_ids)


def _by_organization(people: Iterable[Who]) -> list[tuple[UUID, set[UUID]]]:
    """In any order, so that none always comes after one that fails."""
    groups: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for who in people:
        groups[who.organization_id].add(who.member_id)
    return random.sample(list(groups.items()), len(groups))
