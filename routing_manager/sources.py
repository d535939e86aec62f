"""Which clients count as one source of connections."""

import ipaddress
from functools import lru_cache
from typing import Final

_IPV6_PREFIX: Final = 64
"""Bits; whoever has one IPv6 address has a whole network of this size (RFC 6177, section 2)."""


@lru_cache(maxsize=4096)
def group(address: str | None) -> str | None:
    """The IPv4 address itself, or the IPv6 network it is in; None for what is no address."""
    if address is None:
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
