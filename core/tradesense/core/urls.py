"""Addresses in settings, read before anything is connected."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import unquote, urlsplit

import msgspec

from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

REFERENCE = "secret"
"""The scheme of a setting that names a secret instead of being one; what it names is checked once it is known."""


def check_url(url: Secret, *, key: str, schemes: Collection[str], form: str) -> None:
    """Refuse what cannot be an address with one of ``schemes``. The URL may hold a password: no message holds it.

    :param key: the dotted setting, as in ``database.url``.
    :param form: how such an address is written, for the mend.
    :raises ConfigurationError: it cannot be read, its port is no number up to 65535, or it has another scheme.
    """
    mend = f"write it as in {form}; a character with a meaning in addresses, as in a password, is %-encoded"
    try:
        parts = urlsplit(url.reveal())
        _ = parts.port
    except ValueError:
        # Its text may quote the part that could not be read, which may be the password: it is not even the cause.
        raise ConfigurationError("it is not an address that can be read", origin=key, mend=mend) from None
    if parts.scheme not in {*schemes, REFERENCE}:
        named = f"{parts.scheme!r} is no scheme of it" if "://" in url.reveal() else "it has no scheme"
        raise ConfigurationError(named, origin=key, mend=mend)


SENTINEL = "+sentinel"
SENTINEL_PORT = 26379


class Sentinels(msgspec.Struct, frozen=True, kw_only=True):
    """Sentinels, and the one primary that they are asked for."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    """What the sentinels call the primary and its replicas."""
    database: int = 0
    username: str = ""
    password: Secret = Secret("")
    tls: bool = False

    @property
    def address(self) -> str:
        """What errors call it, without user name and password."""
        return f"{self.service} by sentinels {','.join(f'{host}:{port}' for host, port in self.hosts)}"


def sentinels_of(url: Secret, *, key: str) -> Sentinels | None:
    """The sentinels of ``redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DATABASE``.

    Port and database may be left out, as user name and password may; with ``rediss`` all connections are TLS. ``None``
    where the URL has another scheme. No message holds any of it.

    :param key: the dotted setting.
    :raises ConfigurationError: it has that scheme and not that form.
    """
    scheme, separator, rest = url.reveal().partition("://")
    if not separator or not scheme.endswith(SENTINEL):
        return None
    wrong = ConfigurationError(
        "it is not an address of sentinels that can be read",
        origin=key,
        mend="write it as in redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DATABASE; a character with a "
        "meaning in addresses, as in a password, is %-encoded",
    )
    place, _, path = rest.partition("/")
    login, _, hosts = place.rpartition("@")
    username, _, password = login.partition(":")
    service, _, database = path.partition("/")
    found = [_host(host) for host in hosts.split(",")]
    if scheme.removesuffix(SENTINEL) not in {"redis", "rediss"} or not service or None in found:
        raise wrong
    if database and not (database.isascii() and database.isdigit()):
        raise wrong
    return Sentinels(
        hosts=tuple(host for host in found if host is not None),
        service=unquote(service),
        database=int(database or 0),
        username=unquote(username),
        password=Secret(unquote(password)),
        tls=scheme.startswith("rediss"),
    )


def _host(text: str) -> tuple[str, int] | None:
    """A host and its port; ``None`` for what is none."""
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname, SENTINEL_PORT if port is None else port
