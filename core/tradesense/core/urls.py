"""Addresses in settings, read before anything is connected."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

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
