"""Signatures that were verified a moment ago are not verified again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from tradesense.core.ambient import Clock
from tradesense.core.errors import TokenRefused
from tradesense.core.identity.models import TokenKind
from tradesense.core.identity.ports import TokenSigner

VERIFIED = 10_000
"""Tokens whose claims are kept."""
LONGEST = 8192
"""Characters of a token that is looked up at all."""


class VerifiedTokens:
    """The claims of tokens, by the SHA-256 of the token and its kind. Expiry is checked every time.

    What it does not know, the signer verifies. Whether the session that a token names still lives is for who asks: a
    signature says nothing about that, verified or remembered.
    """

    def __init__(self, *, signer: TokenSigner, clock: Clock, most: int = VERIFIED) -> None:
        self._signer = signer
        self._clock = clock
        self._most = most
        self._known: OrderedDict[bytes, tuple[datetime, dict[str, Any]]] = OrderedDict()

    async def verify(self, kind: TokenKind, token: str) -> dict[str, Any]:
        """The claims of a token of exactly this kind. Leave them as they are: the next caller gets them too.

        :raises TokenRefused: see :meth:`TokenSigner.verify`.
        """
        if len(token) > LONGEST or not token.isascii():
            raise TokenRefused("the token is malformed")
        key = hashlib.sha256((kind + " " + token).encode()).digest()
        known = self._known.get(key)
        if known is not None:
            if self._clock.now() < known[0]:
                return known[1]
            self._known.pop(key, None)
        claims = await self._signer.verify(kind, token)
        self._known[key] = (_instant(claims["exp"]), claims)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return claims


def _instant(expiry: float) -> datetime:
    """The instant, or one that has passed where no calendar has it: then the signer is asked each time."""
    try:
        return datetime.fromtimestamp(expiry, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.min.replace(tzinfo=UTC)
