"""Network addresses: whose request it is, behind as many proxies as are trusted; and which lead into the internet."""

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


_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_HOLDS_V4 = ((ipaddress.IPv6Network("64:ff9b::/96"), 0), (ipaddress.IPv6Network("2002::/16"), 80))
"""NAT64 and 6to4: networks, and how many bits stand behind the IPv4 address in them."""
_TEREDO = ipaddress.IPv6Network("2001::/32")


def is_public(address: str) -> bool:
    """Whether the address is one of the public internet's: what is inside an IPv6 address counts, too (F9).

    Not those that are private, of a link, of the machine itself, of a carrier (CGNAT), multicast or reserved.
    """
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(known, ipaddress.IPv4Address):
        return known.is_global and not known.is_multicast and not known.is_reserved
    if known.ipv4_mapped:
        return is_public(str(known.ipv4_mapped))
    for network_, behind in _HOLDS_V4:
        if known in network_:
            return is_public(str(ipaddress.IPv4Address(int(known) >> behind & 0xFFFFFFFF)))
    return known in _PUBLIC_V6 and known not in _TEREDO and known.is_global
