"""What a deployment's address means for requests: its hosts, origins and proxies, and the names of its cookies."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from tradesense.core.errors import ConfigurationError
from tradesense.settings.schema import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_HOST = "*"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class CookieNames(NamedTuple):
    """How our cookies are called, and whether they are for TLS only."""

    session: str
    visit: str
    browser: str
    secure: bool


class Site:
    """The outer address of this deployment, taken from settings once."""

    def __init__(self, settings: Settings) -> None:
        http = settings.http
        self.base_url = http.base_url.rstrip("/") or f"http://{_bracketed(http.host)}:{http.port}"
        base = urlsplit(self.base_url)
        host = base.hostname or ""
        at_home = host in LOOPBACK and settings.environment in {"development", "testing"}
        self.cookies = _cookie_names(plain=base.scheme == "http" and at_home)
        self._hosts = frozenset(name.lower() for name in http.allowed_hosts) or {host, *LOOPBACK}
        own = {_origin(base.scheme, host, base.port)}
        if at_home:
            own |= {_origin(base.scheme, name, base.port) for name in LOOPBACK}
        self.foreign_origins = frozenset(origin.encode() for origin in http.allowed_origins)
        self.origins = self.foreign_origins | {origin.encode() for origin in own}
        self._proxies = tuple(_network(text) for text in http.trusted_proxies)
        self._known_hosts: dict[bytes, bool] = {}

    def knows_host(self, header: bytes) -> bool:
        """Whether the Host header names us. The port is not compared: a proxy may listen on another."""
        known = self._known_hosts.get(header)
        if known is None:
            known = ANY_HOST in self._hosts or _host_name(header) in self._hosts
            if known and len(self._known_hosts) < 100:  # noqa: PLR2004  # names are ours, ports are the caller's
                self._known_hosts[header] = True
        return known

    def client_address(self, peer: str, forwarded: bytes | None) -> str:
        """The address of the client: the socket's, or the rightmost one that no trusted proxy vouches for.

        ``X-Forwarded-For`` of anyone else is not read (ASVS 4.1.3).
        """
        if not self._proxies or forwarded is None or not self._trusts(peer):
            return peer
        address = peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            candidate = _address(hop.strip())
            if candidate is None:
                break
            address = candidate
            if not self._trusts(candidate):
                break
        return address

    def _trusts(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def _cookie_names(*, plain: bool) -> CookieNames:
    if plain:
        return CookieNames("session", "visit", "browser", secure=False)
    return CookieNames("__Host-session", "__Host-visit", "__Host-browser", secure=True)


def _host_name(header: bytes) -> str:
    """The name in a Host header, without its port, in lower case; empty when the header is malformed."""
    text = header.decode("latin-1").lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        port = port.removeprefix(":") if bracket and (not port or port.startswith(":")) else "?"
    else:
        name, _, port = text.partition(":")
    return name.removesuffix(".") if not port or port.isdecimal() else ""


def _origin(scheme: str, host: str, port: int | None) -> str:
    """An origin exactly as browsers send it: without a default port."""
    default = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{_bracketed(host)}" + (f":{port}" if port is not None and port != default else "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"{text!r} is not a network", origin="http.trusted_proxies", mend="write it as in 10.0.0.0/8"
        ) from error


def _address(text: str) -> str | None:
    """The address in one element of ``X-Forwarded-For``, which some proxies give with a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
