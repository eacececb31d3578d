"""Access and refresh tokens over a session (RFC 9068, RFC 9700)."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import TokenRefused
from tradesense.core.identity.liveness import alive
from tradesense.core.identity.models import IdentityPolicy, RefreshToken, Session, TokenKind, TokenPair
from tradesense.core.identity.ports import IdentityStore, TokenSigner
from tradesense.core.sensitive import Secret

TOKEN_BYTES = 32


def mint(random: Random) -> Secret:
    """A fresh 256-bit token in URL-safe base64 (ASVS 7.2.3)."""
    return Secret(base64.urlsafe_b64encode(random.bytes(TOKEN_BYTES)).rstrip(b"="))


def digest(token: str | Secret) -> bytes:
    """What is stored of a token: its SHA-256. The token has 256 random bits, so no salt is needed."""
    raw = token.reveal_bytes() if isinstance(token, Secret) else token.encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).digest()


class Tokens:
    """Issues pairs of tokens and rotates them."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        signer: TokenSigner,
        trail: AuditTrail,
        clock: Clock,
        random: Random,
        ids: Ids,
        policy: IdentityPolicy,
        joined: bool,
    ) -> None:
        self._store = store
        self._signer = signer
        self._trail = trail
        self._clock = clock
        self._random = random
        self._ids = ids
        self._policy = policy
        self._joined = joined

    async def issue(self, session: Session) -> TokenPair:
        """The first pair of a session, or the next. The change that it is part of has the row."""
        now = self._clock.now()
        refresh = mint(self._random)
        await self._store.refresh_tokens.add(
            RefreshToken(
                token_hash=digest(refresh),
                session_id=session.id,
                expires_at=min(now + timedelta(seconds=self._policy.refresh_ttl), session.expires_at),
            )
        )
        issued = int(now.timestamp())
        access = await self._signer.sign(
            TokenKind.ACCESS,
            {
                "sub": session.user_id,
                "sid": session.id,
                "jti": self._ids.new(),
                "iat": issued,
                "exp": issued + self._policy.access_ttl,
            },
        )
        return TokenPair(access_token=access, refresh_token=refresh, expires_in=self._policy.access_ttl)

    async def refresh(self, token: str, *, actor: Actor, correlation_id: str = "") -> TokenPair:
        """Spend a refresh token for the next pair. Using one twice ends its session (RFC 9700, section 4.14.2).

        :raises TokenRefused: unknown, expired, spent, or its session has ended.
        """
        now = self._clock.now()
        event = Event("identity.refresh", "", actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            pair = await self._exchange(digest(token), now, event)
        if pair is None:
            raise TokenRefused("the refresh token is not accepted")
        return pair

    async def _exchange(self, token_hash: bytes, now: datetime, event: Event) -> TokenPair | None:
        """The next pair; ``None`` when the token was spent before, and its session has therefore been ended."""
        spent = await self._store.refresh_tokens.spend(token_hash, now)
        if spent is None or spent.expires_at <= now:
            raise TokenRefused("the refresh token is not accepted")
        event.subject = spent.session_id
        if spent.spent_at is not None:
            event.action = "identity.refresh-reuse"
            await self._store.sessions.end(spent.session_id)
            return None
        found = await self._store.sessions.find_by_id(spent.session_id)
        if found is None or not alive(*found, policy=self._policy, now=now):
            raise TokenRefused("the refresh token is not accepted")
        await self._store.sessions.touch(spent.session_id, now)
        return await self.issue(found[0])
