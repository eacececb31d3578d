"""Who a request comes from, by the database's word, remembered for less than a second."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from tradesense.core.ambient import Clock
from tradesense.core.errors import SessionEnded, TokenRefused
from tradesense.core.identity.liveness import alive
from tradesense.core.identity.models import IdentityPolicy, Principal, Session, TokenKind, User, Via
from tradesense.core.identity.ports import IdentityStore, TokenSigner
from tradesense.core.identity.roles import Roles
from tradesense.core.identity.tokens import digest
from tradesense.core.identity.verified import VerifiedTokens

REMEMBERED = 10_000
"""Principals kept in the process."""

REMEMBER_SECONDS = 0.9
"""A revocation by another process holds after this at the latest; the promise is one second (SECURITY R15)."""

TOUCH_SECONDS = 60
"""``last_seen_at`` is written at most this often, so that reading does not cost a write."""

API_KEY = "tsk_"
"""What every API key begins with, so that it is told apart from tokens, and found where it was left by mistake."""

Find = Callable[[], Awaitable[tuple[Session, User] | None]]


class Recognition:
    """Tells who holds a session, a token or a key. No server but the database is asked."""

    def __init__(
        self, *, store: IdentityStore, signer: TokenSigner, roles: Roles, clock: Clock, policy: IdentityPolicy
    ) -> None:
        self._store = store
        self._verified = VerifiedTokens(TokenKind.ACCESS, signer=signer, clock=clock)
        self._roles = roles
        self._clock = clock
        self._policy = policy
        self._remembered: OrderedDict[bytes | str, tuple[float, Principal]] = OrderedDict()
        self._endings = 0

    async def by_cookie(self, token: str) -> Principal:
        """Who holds this session token.

        :raises SessionEnded: nobody: it is unknown, expired, idle or revoked.
        """
        key = digest(token)
        return self._known(key) or await self._session(key, lambda: self._store.sessions.find(key), Via.COOKIE)

    async def by_bearer(self, token: str) -> Principal:
        """Who holds this access token, provided that its session is still alive, or this API key.

        :raises TokenRefused: the token is not one of ours, or has expired.
        :raises SessionEnded: its session has ended.
        """
        if token.startswith(API_KEY):
            return await self.by_key(token)
        claims = await self._verified.verify(token)
        session_id = claims.get("sid")
        if not isinstance(session_id, str):
            raise TokenRefused("the token names no session")
        return self._known(session_id) or await self._session(
            session_id, lambda: self._store.sessions.find_by_id(session_id), Via.BEARER
        )

    async def by_key(self, token: str) -> Principal:
        """Whose API key this is. It may do what its scopes and the roles of its user both permit.

        :raises TokenRefused: nobody's: it is unknown, expired or revoked, or its user is disabled.
        """
        if not token.startswith(API_KEY):
            raise TokenRefused("this is not an API key")
        key = digest(token)
        return self._known(key) or await self._key(key)

    async def recheck(self, principal: Principal) -> Principal:
        """Who this is now, where their session goes on. Being looked at is no use of it, and does not prolong it.

        :raises SessionEnded: it has expired, is idle or revoked.
        """
        session_id = principal.session_id
        find = partial(self._store.sessions.find_by_id, session_id)
        return await self._session(session_id, find, principal.via, used=False)

    def forget(self, ended: Callable[[Principal], bool] = lambda _: True) -> None:
        """Ask the database again about those for whom ``ended`` holds."""
        self._endings += 1
        for key, (_, known) in list(self._remembered.items()):
            if ended(known):
                self._remembered.pop(key, None)

    def _known(self, key: bytes | str) -> Principal | None:
        known = self._remembered.get(key)
        return known[1] if known is not None and self._clock.monotonic() < known[0] else None

    async def _session(self, key: bytes | str, find: Find, via: Via, *, used: bool = True) -> Principal:
        moment, endings = self._clock.monotonic(), self._endings
        found = await find()
        now = self._clock.now()
        if found is None or not alive(*found, policy=self._policy, now=now):
            self._remembered.pop(key, None)
            raise SessionEnded(mend="log in again")
        session, user = found
        if used and now - session.last_seen_at >= timedelta(seconds=TOUCH_SECONDS):
            await self._store.sessions.touch(session.id, now)
        rules, read = await self._roles.rules(user.roles)
        principal = Principal(
            user_id=user.id,
            email=user.email,
            session_id=session.id,
            roles=user.roles,
            rules=rules,
            authenticated_at=session.created_at,
            methods=session.methods,
            via=via,
        )
        self._remember(key, min(moment, read), principal, endings)
        return principal

    async def _key(self, key_hash: bytes) -> Principal:
        moment, endings = self._clock.monotonic(), self._endings
        found = await self._store.api_keys.find(key_hash)
        now = self._clock.now()
        if found is None or found[1].disabled or now >= found[0].expires_at:
            self._remembered.pop(key_hash, None)
            raise TokenRefused("the API key is not accepted")
        key, user = found
        if key.last_used_at is None or now - key.last_used_at >= timedelta(seconds=TOUCH_SECONDS):
            await self._store.api_keys.touch(key.id, now)
        rules, read = await self._roles.rules(user.roles)
        principal = Principal(
            user_id=user.id,
            email=user.email,
            session_id="",
            roles=user.roles,
            rules=rules.bounded(key.scopes),
            authenticated_at=key.created_at,
            methods=(),
            via=Via.KEY,
            key_id=key.id,
        )
        self._remember(key_hash, min(moment, read), principal, endings)
        return principal

    def _remember(self, key: bytes | str, moment: float, principal: Principal, endings: int) -> None:
        """Keep what was read at ``moment``, unless something ended meanwhile: it would be remembered as alive."""
        if endings != self._endings:
            return
        self._remembered[key] = (moment + REMEMBER_SECONDS, principal)
        self._remembered.move_to_end(key)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
