"""Whose request it is: the client's network address, behind as many proxies as are trusted."""

import ipaddress
from collections.abc import Mapping


def network(ip_address: str | None) -> str:
    """What one caller has, for buckets: an IPv4 address, or a /64 of IPv6."""
    try:
        address = ipaddress.ip_address(ip_address or "")
    except ValueError:
        return ip_address or "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)


def client_address(peer: str | None, headers: Mapping[str, str], trusted_proxies: int) -> str | None:
    """The peer's own address, or what the outermost trusted proxy saw.

    Each proxy appends the address it was called from, so only the last `trusted_proxies` entries of
    X-Forwarded-For are not the caller's own words. What is no address there is not believed.
    """
    if trusted_proxies == 0:
        return peer
    forwarded = [part.strip() for part in headers.get("x-forwarded-for", "").split(",")]
    seen = forwarded[-trusted_proxies] if len(forwarded) >= trusted_proxies else forwarded[0]
    try:
        return str(ipaddress.ip_address(seen))
    except ValueError:
        return peer
