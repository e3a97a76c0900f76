"""The open websockets of this process: how many, whether their holders still may, and their end (G11, G17, G24)."""

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from pytake_gql.kernel import metrics
from pytake_gql.kernel.bus import Wake
from pytake_gql.kernel.ports import AUTHORITY_TOPIC, Ports
from pytake_gql.kernel.principal import MemberPrincipal, Principal, VisitorPrincipal

log = logging.getLogger(__name__)

SOCKETS_A_MEMBER = 20
SOCKETS_AN_ADDRESS = 200
"""An office behind one address holds one or two for each person."""
CHECK_SECONDS = 2.0
SERVICE_RESTARTS = 1012

_LONG_AGO = float("-inf")


class Open(Protocol):
    """One open websocket."""

    principal: Principal | None
    address: str | None
    renewed_at: float
    """The monotonic instant as of which the holder's rights are known."""

    def take(self, fresh: Principal | None, asked_at: float, *, is_told: bool = False) -> None:
        """The holder's rights as they stand now; None ends the socket, and nothing more is pushed to it.

        `is_told`: something about them has changed, even if it is not to be seen from here.
        """
        ...

    async def close(self, code: int, reason: str) -> None: ...


class Sockets:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._open: set[Open] = set()
        self._addresses: Counter[str | None] = Counter()
        self._holders: Counter[object] = Counter()
        self._watcher: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.is_draining = False

    def __len__(self) -> int:
        return len(self._open)

    def has_room_for(self, address: str | None) -> bool:
        return self._addresses[address] < SOCKETS_AN_ADDRESS

    def add(self, socket: Open) -> None:
        self._open.add(socket)
        self._addresses[socket.address] += 1
        metrics.sockets.inc()
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="socket watcher")

    def hold(self, principal: Principal) -> bool:
        """Counts the socket for its holder; False where that one has enough."""
        holder = _holder(principal)
        if self._holders[holder] >= SOCKETS_A_MEMBER:
            return False
        self._holders[holder] += 1
        if isinstance(principal, MemberPrincipal):
            self._ports.presence.came(principal)
        return True

    def remove(self, socket: Open) -> None:
        self._open.discard(socket)
        metrics.sockets.dec()
        _less(self._addresses, socket.address)
        if socket.principal is not None:
            _less(self._holders, _holder(socket.principal))
            if isinstance(socket.principal, MemberPrincipal):
                self._ports.presence.left(socket.principal)
        if not self._open and self._watcher is not None:
            # It takes a moment to end; a socket that opens meanwhile gets a watcher of its own.
            self._ending.add(self._watcher)
            self._watcher.add_done_callback(self._ending.discard)
            self._watcher.cancel()
            self._watcher = None

    async def drain(self, seconds: float) -> None:
        """Takes no new sockets, and closes the open ones one after the other, so that not all come back at once."""
        self.is_draining = True
        leaving = list(self._open)
        random.shuffle(leaving)
        async with asyncio.TaskGroup() as closing:
            for number, socket in enumerate(leaving):
                closing.create_task(self._close_later(socket, seconds * number / len(leaving)))

    @staticmethod
    async def _close_later(socket: Open, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await socket.close(SERVICE_RESTARTS, "The service restarts: come back.")

    async def _watch(self) -> None:
        """Renews everybody's rights every two seconds, and at once those of whom a bump of the authority concerns."""
        async with self._ports.bus.subscribe(AUTHORITY_TOPIC) as bumps:
            due = time.monotonic() + CHECK_SECONDS
            while True:
                bump = await bumps.next(max(0.0, due - time.monotonic()))
                if bump is not None:
                    await self._check(self._concerned([bump, *bumps.drain()]), is_told=True)
                if time.monotonic() >= due:
                    due = time.monotonic() + CHECK_SECONDS
                    await self._check(self._open)

    def _concerned(self, bumps: list[Wake]) -> list[Open]:
        """Whose rights may be others now: until they are renewed nothing is pushed to them."""
        is_gap = any(bump.topic is None for bump in bumps)
        ids = {str(bump.data) for bump in bumps}
        concerned = [socket for socket in self._open if is_gap or ids & _ids(socket.principal)]
        for socket in concerned:
            socket.renewed_at = _LONG_AGO
        return concerned

    async def _check(self, sockets: Iterable[Open], *, is_told: bool = False) -> None:
        try:
            await self.renew(sockets, is_told=is_told)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            # Without the database nothing is pushed either, and it is asked again in two seconds.
            log.warning("the rights of open sockets were not renewed: %s", error)

    async def renew(self, sockets: Iterable[Open], *, is_told: bool = False) -> None:
        """Asks what the holders may do now, and has each socket take it."""
        asked_at = time.monotonic()
        holders: defaultdict[Principal, list[Open]] = defaultdict(list)
        for socket in sockets:
            if socket.principal is not None:
                holders[socket.principal].append(socket)
        fresh = await self._ports.authority.renew_all(holders.keys())
        for principal, held in holders.items():
            for socket in held:
                if socket.principal == principal:
                    socket.take(fresh[principal], asked_at, is_told=is_told)


def _holder(principal: Principal) -> object:
    if isinstance(principal, MemberPrincipal):
        return principal.account_id
    return (principal.channel_id, principal.external_id) if isinstance(principal, VisitorPrincipal) else None


def _ids(principal: Principal | None) -> set[str]:
    """Whatever a bump may name that this principal hangs on."""
    if isinstance(principal, MemberPrincipal):
        named = (
            principal.session_id,
            principal.member_id,
            principal.account_id,
            principal.organization_id,
            principal.home_organization_id,
        )
        return {str(id_) for id_ in named}
    if isinstance(principal, VisitorPrincipal):
        return {str(principal.channel_id), str(principal.organization_id)}
    return set()


def _less(counter: Counter[object] | Counter[str | None], key: object) -> None:
    counter[key] -= 1  # type: ignore[index]
    if counter[key] <= 0:  # type: ignore[index]
        del counter[key]
