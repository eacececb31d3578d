"""Access and refresh tokens over a session (RFC 9068, RFC 9700)."""

from __future__ import annotations

import base64
import hashlib
import hmac
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
SEED_BYTES = 32


def mint(random: Random) -> Secret:
    """A fresh 256-bit token in URL-safe base64 (ASVS 7.2.3)."""
    return Secret(base64.urlsafe_b64encode(random.bytes(TOKEN_BYTES)).rstrip(b"="))


def digest(token: str | Secret) -> bytes:
    """What is stored of a token: its SHA-256. The token has 256 random bits, so no salt is needed."""
    raw = token.reveal_bytes() if isinstance(token, Secret) else token.encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).digest()


def derived(token: str, seed: bytes) -> Secret:
    """The successor of a refresh token: whoever has sent the token and the seed that was kept make the same one.

    Neither is enough alone: the database does not hold the token, and the client never sees the seed.
    """
    mac = hmac.new(token.encode("utf-8", "surrogatepass"), seed, hashlib.sha256).digest()
    return Secret(base64.urlsafe_b64encode(mac).rstrip(b"="))


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
        """The first pair of a session. The change that it is part of has the row."""
        refresh = mint(self._random)
        await self._keep(refresh, session)
        return await self._pair(session, refresh)

    async def refresh(self, token: str, *, actor: Actor, correlation_id: str = "") -> TokenPair:
        """Spend a refresh token for the next pair. Using one twice ends its session (RFC 9700, section 4.14.2).

        A client that sends it twice at once gets the same successor both times, for ``refresh_grace`` seconds and
        until the successor is spent itself.

        :raises TokenRefused: unknown, expired, spent, or its session has ended.
        """
        now = self._clock.now()
        event = Event("identity.refresh", "", actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            pair = await self._exchange(token, now, event)
        if pair is None:
            raise TokenRefused("the refresh token is not accepted")
        return pair

    async def revoke(self, token: str, *, actor: Actor, correlation_id: str = "") -> None:
        """End the session that a refresh or access token belongs to, and with it all of its tokens (RFC 7009).

        A token that is not one of ours, or no longer good, is none to revoke: nothing happens.
        """
        session_id = await self.session_of(token)
        if session_id is None:
            return
        event = Event("identity.revoke", session_id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            event.unchanged = not await self._store.sessions.end(session_id)

    async def session_of(self, token: str) -> str | None:
        """The session that an access token that still verifies, or a refresh token, names; ``None`` for others."""
        known = await self._store.refresh_tokens.find(digest(token))
        if known is not None:
            return known.session_id
        try:
            claims = await self._signer.verify(TokenKind.ACCESS, token)
        except TokenRefused:
            return None
        named = claims.get("sid")
        return named if isinstance(named, str) else None

    async def _exchange(self, token: str, now: datetime, event: Event) -> TokenPair | None:
        """The next pair; ``None`` when the token was spent before, and its session has therefore been ended."""
        seed = self._random.bytes(SEED_BYTES)
        spent = await self._store.refresh_tokens.spend(digest(token), now, seed)
        if spent is None or spent.expires_at <= now:
            raise TokenRefused("the refresh token is not accepted")
        event.subject = spent.session_id
        successor = derived(token, seed if spent.spent_at is None else spent.seed)
        if spent.spent_at is not None and not await self._in_grace(spent.spent_at, successor, now):
            event.action = "identity.refresh-reuse"
            await self._store.sessions.end(spent.session_id)
            return None
        found = await self._store.sessions.find_by_id(spent.session_id)
        if found is None or not alive(*found, policy=self._policy, now=now):
            raise TokenRefused("the refresh token is not accepted")
        if spent.spent_at is None:
            await self._store.sessions.touch(spent.session_id, now)
            await self._keep(successor, found[0])
        else:
            event.detail["again"] = "yes"
        return await self._pair(found[0], successor)

    async def _in_grace(self, spent_at: datetime, successor: Secret, now: datetime) -> bool:
        """Whether a second use may be the same client's first: it is soon, and the successor was not used yet.

        Of two at once the one that asked later may have been the first to write, in another process too.
        """
        if abs(now - spent_at) > timedelta(seconds=self._policy.refresh_grace):
            return False
        next_one = await self._store.refresh_tokens.find(digest(successor))
        return next_one is None or next_one.spent_at is None

    async def _keep(self, refresh: Secret, session: Session) -> None:
        ends = self._clock.now() + timedelta(seconds=self._policy.refresh_ttl)
        await self._store.refresh_tokens.add(
            RefreshToken(token_hash=digest(refresh), session_id=session.id, expires_at=min(ends, session.expires_at))
        )

    async def _pair(self, session: Session, refresh: Secret) -> TokenPair:
        issued = int(self._clock.now().timestamp())
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
