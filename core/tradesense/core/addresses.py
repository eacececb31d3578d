"""Which addresses on the network we may be sent to by somebody else's word (ASVS 1.3.6, 15.3.2). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from tradesense.core.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HTTPS = 443
MAX_URL = 2048

_RESERVED: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")
_RESERVED_V6: tuple[Network, ...] = tuple(
    map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
"""What of the public range is documentation, a tunnel or a special purpose: Teredo and 6to4 carry an IPv4 address."""

_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OWN = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "localdomain"})
"""Last labels that name hosts of one's own network, such as the metadata service of a cloud."""


class Target(NamedTuple):
    """Where a request goes."""

    host: str
    port: int
    path: str


def target_of(url: str, *, allowed: Iterable[Network] = ()) -> Target:
    """Where ``url`` leads, if it is one that we may be sent to: https, a full name, nothing hidden in it.

    :param allowed: networks whose addresses may be named although they are not public.
    :raises InvalidInput: it is not.
    """
    if len(url) > MAX_URL or not re.fullmatch(r"[!-~]+", url) or "\\" in url:
        raise InvalidInput("the URL has characters that no URL has, or too many")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput("the URL cannot be read") from error
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or "@" in parts.netloc or parts.fragment or port == 0 or "%" in parts.netloc:
        raise InvalidInput("the URL is not a plain https one", mend="write https://HOST/PATH")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _NAME.fullmatch(host) or host.rpartition(".")[2] in _OWN:
            raise InvalidInput("the URL's host is not a public name") from None
    else:
        if not may_connect(address, allowed):
            raise InvalidInput("the URL's address is not public")
    return Target(host, port or HTTPS, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def may_connect(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether the address is a public one, or in one of the networks that are allowed besides."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in allowed):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _RESERVED)
    return address in _PUBLIC_V6 and not any(address in network for network in _RESERVED_V6)
