"""Proof that our own page sent a cookie-borne request: an HMAC bound to the session (ASVS 3.5.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from tradesense.core.ambient import Random
from tradesense.core.errors import CsrfRefused

_NONCE_BYTES = 16


class CsrfTokens:
    """Issues and checks tokens. Each key has at least 32 bytes and serves no other purpose."""

    def __init__(self, *, key: bytes, random: Random, other: bytes = b"") -> None:
        """Make it of its parts.

        :param other: a second key whose tokens are taken as well, while the key is changed.
        """
        self._key = key
        self._taken = (key, other) if other else (key,)
        self._random = random

    def issue(self, binding: str) -> str:
        """A token that is good for ``binding`` alone: a session's id, or the id of a visit before login."""
        nonce = self._random.bytes(_NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + _mac(self._key, nonce, binding)).decode()

    def check(self, binding: str, token: str) -> None:
        """Go on only if ``token`` was issued for ``binding``.

        :raises CsrfRefused: it was not.
        """
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except ValueError as error:
            raise CsrfRefused("the CSRF token is malformed", mend="ask GET /api/v1/auth/csrf for one") from error
        nonce, mac = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(key, nonce, binding)) for key in self._taken):
            raise CsrfRefused(
                "the CSRF token is missing or belongs to another session", mend="ask GET /api/v1/auth/csrf for one"
            )


def _mac(key: bytes, nonce: bytes, binding: str) -> bytes:
    return hmac.new(key, nonce + binding.encode(), hashlib.sha256).digest()
