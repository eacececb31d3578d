"""Signatures that were verified a moment ago are not verified again."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import Any

from tradesense.core.ambient import Clock
from tradesense.core.errors import TokenRefused
from tradesense.core.identity.models import TokenKind
from tradesense.core.identity.ports import TokenSigner

VERIFIED = 10_000
"""Tokens whose claims are kept."""
LONGEST = 8192
"""Characters of a token that is looked up at all."""
LOOKED_AT_AGAIN = 60.0
"""Seconds after which a token is verified anew, so that a clock that was set, or a machine that slept, is noticed."""


class VerifiedTokens:
    """The claims of tokens of one kind, by the SHA-256 of the token. Expiry is checked every time.

    What it does not know, the signer verifies. Whether the session that a token names still lives is for who asks: a
    signature says nothing about that, verified or remembered.
    """

    def __init__(self, kind: TokenKind, *, signer: TokenSigner, clock: Clock, most: int = VERIFIED) -> None:
        self._kind = kind
        self._signer = signer
        self._clock = clock
        self._monotonic = clock.monotonic
        self._most = most
        self._known: OrderedDict[bytes, tuple[float, dict[str, Any]]] = OrderedDict()

    async def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token of exactly this kind. Leave them as they are: the next caller gets them too.

        :raises TokenRefused: see :meth:`TokenSigner.verify`.
        """
        if len(token) > LONGEST:
            raise TokenRefused("the token is malformed")
        try:
            key = sha256(token.encode()).digest()
        except UnicodeEncodeError as error:
            raise TokenRefused("the token is malformed") from error
        known = self._known.get(key)
        if known is not None and self._monotonic() < known[0]:
            return known[1]
        return await self._first(token, key)

    async def _first(self, token: str, key: bytes) -> dict[str, Any]:
        moment, now = self._monotonic(), self._clock.now().timestamp()
        self._known.pop(key, None)
        claims = await self._signer.verify(self._kind, token)
        # Seconds that pass, and not the time of day, which takes longer to read; it is asked for again soon enough.
        self._known[key] = (moment + min(float(claims["exp"]) - now, LOOKED_AT_AGAIN), claims)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return claims
