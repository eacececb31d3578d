"""Tests of addresses against networks in CIDR notation (RFC 4632, RFC 4291)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

MAX_ADDRESS = 45
"""Characters of the longest address."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse(value: Any) -> Network | None:
    """The network that ``value`` spells, or ``None``. An address alone is a network of one; host bits are dropped."""
    if not isinstance(value, str):
        return None
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def within(values: Iterable[Any]) -> Callable[[Any], bool]:
    """Whether an address is in any of the networks; it takes one look for each length of prefix among them."""
    known: dict[tuple[int, int], set[int]] = {}
    for network in [one for one in map(parse, values) if one is not None]:
        shift = network.max_prefixlen - network.prefixlen
        known.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
    looks = tuple((version, shift, frozenset(found)) for (version, shift), found in known.items())

    def holds(value: Any) -> bool:
        address = _address(value)
        if address is None:
            return False
        number, family = int(address), address.version
        return any(family == version and number >> shift in found for version, shift, found in looks)

    return holds


def _address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address; an IPv4 one in IPv6 clothes (RFC 4291, section 2.5.5.2) is an IPv4 one."""
    if not isinstance(value, str) or len(value) > MAX_ADDRESS:
        return None
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
