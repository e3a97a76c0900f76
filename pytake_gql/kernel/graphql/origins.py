"""Which browser pages may call: the service's own, and the front ends of an organization."""

import time
from urllib.parse import urlsplit
from uuid import UUID

from pytake_gql.kernel.ports import Ports

_FRESH_SECONDS = 2.0
_MOST_KEPT = 10_000
_LONGEST = 300


class Origins:
    """Asks the authority, and keeps the answer for two seconds."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._known: dict[tuple[str, UUID | None], tuple[float, bool]] = {}

    async def allows(self, origin: str | None, host: str | None, organization_id: UUID | None) -> bool:
        """Callers without an Origin header are no browsers, and carry no ambient credentials to abuse."""
        if origin is None:
            return True
        if len(origin) > _LONGEST or not origin.isprintable():
            return False
        if not self._ports.settings.is_production and urlsplit(origin).netloc == host:
            return True  # a newcomer opens localhost where the setting says 127.0.0.1
        now = time.monotonic()
        read_at, allowed = self._known.get((origin, organization_id), (float("-inf"), False))
        if now - read_at >= _FRESH_SECONDS:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            allowed = await self._ports.authority.allows_origin(origin, organization_id)
            self._known[origin, organization_id] = (now, allowed)
        return allowed
