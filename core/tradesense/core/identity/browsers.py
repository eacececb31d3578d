"""Browsers in which somebody has logged in before: there, an attacker who uses attempts up locks nobody out.

A signed cookie says for which account a login has succeeded here. It opens nothing: the password is needed still.
It is counted apart, so that a stolen one allows no more attempts than an account has (SECURITY R10).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from tradesense.core.ambient import Clock, Random
from tradesense.core.sensitive import Secret

_PURPOSE = b"tradesense known browser 1"
_NONCE, _TIME, _MAC = 16, 8, 32
_LENGTH = 76
"""Characters of the cookie."""


class KnownBrowsers:
    """Signs such cookies and reads them. The key is derived from ``key``, and serves nothing else."""

    def __init__(self, *, key: bytes, clock: Clock, random: Random, ttl: int) -> None:
        self._key = hmac.new(key, _PURPOSE, hashlib.sha256).digest()
        self._clock = clock
        self._random = random
        self._ttl = ttl

    @property
    def ttl(self) -> int:
        """Seconds for which a browser is known after a login."""
        return self._ttl

    def issue(self, account: str) -> Secret:
        """A cookie for a browser in which the account with this uniqueness key has logged in."""
        until = int(self._clock.now().timestamp()) + self._ttl
        head = self._random.bytes(_NONCE) + until.to_bytes(_TIME, "big")
        return Secret(base64.urlsafe_b64encode(head + self._mac(head, account)).rstrip(b"="))

    def known(self, cookie: str, account: str) -> str:
        """The name of the browser if the account has logged in there before; else nothing."""
        if len(cookie) > _LENGTH or not cookie.isascii():
            return ""
        try:
            raw = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return ""
        if len(raw) != _NONCE + _TIME + _MAC:
            return ""
        head, mac = raw[: _NONCE + _TIME], raw[_NONCE + _TIME :]
        if not hmac.compare_digest(mac, self._mac(head, account)):
            return ""
        until = datetime.fromtimestamp(int.from_bytes(head[_NONCE:], "big"), UTC)
        return head[:_NONCE].hex() if self._clock.now() < until else ""

    def _mac(self, head: bytes, account: str) -> bytes:
        return hmac.new(self._key, head + account.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
