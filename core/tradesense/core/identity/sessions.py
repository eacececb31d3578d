"""Logging in, being recognised, and logging out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.audit.models import WORKER, Actor, Outcome
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.cache.limits import Throttle
from tradesense.core.cache.models import Limit
from tradesense.core.errors import (
    Conflict,
    CredentialsRefused,
    InvalidEmail,
    LimitExceeded,
    SessionEnded,
    TokenRefused,
)
from tradesense.core.identity import emails, passwords
from tradesense.core.identity.liveness import alive
from tradesense.core.identity.models import (
    Client,
    IdentityPolicy,
    Login,
    Principal,
    Session,
    TokenKind,
    User,
    Via,
)
from tradesense.core.identity.ports import IdentityStore, PasswordHasher, TokenSigner
from tradesense.core.identity.roles import built_in
from tradesense.core.identity.tokens import Tokens, digest, mint
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.instruments import LOGINS
from tradesense.core.telemetry.ports import Telemetry

REMEMBERED = 10_000
"""Principals kept in the process."""

REMEMBER_SECONDS = 0.9
"""A revocation by another process holds after this at the latest; the promise is one second (SECURITY R15)."""

TOUCH_SECONDS = 60
"""``last_seen_at`` is written at most this often, so that reading does not cost a write."""

Find = Callable[[], Awaitable[tuple[Session, User] | None]]


class Sessions:
    """The sessions of one deployment."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        hasher: PasswordHasher,
        signer: TokenSigner,
        throttle: Throttle,
        trail: AuditTrail,
        telemetry: Telemetry,
        clock: Clock,
        random: Random,
        ids: Ids,
        policy: IdentityPolicy,
        joined: bool,
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._signer = signer
        self._throttle = throttle
        self._trail = trail
        self._telemetry = telemetry
        self._clock = clock
        self._random = random
        self._ids = ids
        self._policy = policy
        self._joined = joined
        self._decoy: Secret | None = None
        self._remembered: OrderedDict[bytes | str, tuple[float, Principal]] = OrderedDict()
        self._endings = 0

    async def login(
        self,
        email: str,
        password: Secret,
        *,
        client: Client,
        actor: Actor,
        correlation_id: str = "",
        tokens: Tokens | None = None,
    ) -> Login:
        """Check the password and begin a session with a fresh id (ASVS 7.2.4).

        The work is the same for an unknown, a disabled and a known account: one verification, always (ASVS 6.3.8).

        :param tokens: issue the session's first pair as part of the same change.
        :raises CredentialsRefused: for whatever reason.
        :raises LimitExceeded: too many attempts for this account or from this address.
        """
        secret = passwords.normalise(password)
        try:
            key = emails.uniqueness_key(emails.normalise(email))
        except InvalidEmail:
            key = ""
        event = Event("identity.login", "", actor, correlation_id)
        try:
            await self._count(key or email, client.address)
            user = await self._proved(key, secret)
        except (CredentialsRefused, LimitExceeded) as error:
            event.detail["reason"] = error.code
            await self._trail.note(event, Outcome.DENIED)
            self._telemetry.bind(LOGINS, (error.code,))(1)
            raise
        stronger = await self._hasher.hash(secret) if self._hasher.outdated(user.password_hash) else None
        login = self._begin(user, client)
        event.subject = user.id
        event.detail["session"] = login.session.id
        async with self._trail.change(event, joined=self._joined):
            if stronger is not None:
                await self._strengthen(user, stronger)
                event.detail["rehashed"] = "yes"
            await self._store.sessions.add(login.session)
            if tokens is not None:
                login = replace(login, pair=await tokens.issue(login.session))
        self._telemetry.bind(LOGINS, ("succeeded",))(1)
        return login

    async def begin(
        self, user: User, client: Client, *, methods: tuple[str, ...] = ("pwd",), tokens: Tokens | None = None
    ) -> Login:
        """Begin a session under a fresh id, as part of the change around it (ASVS 7.2.4).

        :param tokens: issue the session's first pair too.
        """
        login = self._begin(user, client, methods)
        await self._store.sessions.add(login.session)
        return login if tokens is None else replace(login, pair=await tokens.issue(login.session))

    def forget_user(self, user_id: str) -> None:
        """Look the sessions of this user up again at once; every other process does within a second."""
        self._forget(lambda known: known.user_id == user_id)

    async def by_cookie(self, token: str) -> Principal:
        """Who holds this session token.

        :raises SessionEnded: nobody: it is unknown, expired, idle or revoked.
        """
        key = digest(token)
        return await self._recognise(key, lambda: self._store.sessions.find(key), Via.COOKIE)

    async def by_bearer(self, token: str) -> Principal:
        """Who holds this access token, provided that its session is still alive.

        :raises TokenRefused: the token is not one of ours, or has expired.
        :raises SessionEnded: its session has ended.
        """
        claims = await self._signer.verify(TokenKind.ACCESS, token)
        session_id = claims.get("sid")
        if not isinstance(session_id, str):
            raise TokenRefused("the token names no session")
        return await self._recognise(session_id, lambda: self._store.sessions.find_by_id(session_id), Via.BEARER)

    async def logout(self, principal: Principal, *, actor: Actor, correlation_id: str = "") -> None:
        """End the session; this process forgets it at once, every other one within a second."""
        event = Event("identity.logout", principal.user_id, actor, correlation_id, {"session": principal.session_id})
        async with self._trail.change(event, joined=self._joined):
            await self._store.sessions.end(principal.session_id)
        self._forget(lambda known: known.session_id == principal.session_id)

    async def logout_all(self, principal: Principal, *, actor: Actor, correlation_id: str = "") -> None:
        """End every session of the user, this one included.

        :raises Conflict: the account changed meanwhile; nothing was ended.
        """
        event = Event("identity.logout-all", principal.user_id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            user = await self._store.users.get(principal.user_id)
            await self._store.users.update(replace(user, epoch=user.epoch + 1))
        self._forget(lambda known: known.user_id == principal.user_id)

    async def sweep(self) -> int:
        """Remove sessions that have ended by time; returns how many. A batch and its row are one transaction."""
        now = self._clock.now()
        removed = 0
        while batch := await self._sweep(now):
            removed += batch
        return removed

    async def _sweep(self, now: datetime) -> int:
        event = Event("identity.sweep", "", WORKER)
        # Where the store joins no transaction of ours, the row follows: what had ended by itself was nobody's wish.
        async with self._trail.change(event, joined=True):
            removed = await self._store.sessions.sweep(now, now - timedelta(seconds=self._policy.session_idle))
            event.detail["removed"] = str(removed)
            event.unchanged = removed == 0
        return removed

    async def _count(self, account: str, address: str) -> None:
        policy = self._policy
        await self._throttle.attempt(
            account.strip().casefold(),
            Limit(name="login-account", count=policy.login_attempts, period=policy.login_window),
        )
        if address:
            await self._throttle.attempt(
                address,
                Limit(name="login-address", count=policy.login_attempts_per_address, period=policy.login_window),
            )

    async def _proved(self, key: str, password: Secret) -> User:
        user = await self._store.users.by_email(key) if key else None
        correct = await self._hasher.verify(user.password_hash if user else await self._stand_in(), password)
        if user is None or user.disabled or not correct or (self._policy.verified_only and not user.verified):
            raise CredentialsRefused
        return user

    async def _strengthen(self, user: User, hashed: Secret) -> None:
        """Replace a hash of older parameters while the password is at hand (ASVS 11.4.2)."""
        with suppress(Conflict):  # another login of the same user has done it
            await self._store.users.update(replace(user, password_hash=hashed))

    async def _stand_in(self) -> Secret:
        """A hash that no password makes, for accounts that do not exist."""
        if self._decoy is None:
            self._decoy = await self._hasher.hash(mint(self._random))
        return self._decoy

    def _begin(self, user: User, client: Client, methods: tuple[str, ...] = ("pwd",)) -> Login:
        now = self._clock.now()
        token = mint(self._random)
        session = Session(
            id=self._ids.new(),
            token_hash=digest(token),
            user_id=user.id,
            user_epoch=user.epoch,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(seconds=self._policy.session_absolute),
            methods=methods,
            address=client.address,
            user_agent=client.user_agent[:256],
        )
        return Login(user=user, session=session, token=token)

    async def _recognise(self, key: bytes | str, find: Find, via: Via) -> Principal:
        moment = self._clock.monotonic()
        known = self._remembered.get(key)
        if known is not None and moment < known[0]:
            return known[1]
        endings = self._endings
        found = await find()
        now = self._clock.now()
        if found is None or not alive(*found, policy=self._policy, now=now):
            self._remembered.pop(key, None)
            raise SessionEnded(mend="log in again")
        session, user = found
        if now - session.last_seen_at >= timedelta(seconds=TOUCH_SECONDS):
            await self._store.sessions.touch(session.id, now)
        principal = Principal(
            user_id=user.id,
            email=user.email,
            session_id=session.id,
            roles=user.roles,
            rules=built_in(user.roles),
            authenticated_at=session.created_at,
            methods=session.methods,
            via=via,
        )
        if endings == self._endings:  # else a session that ended while it was looked up would be remembered
            self._remember(key, moment + REMEMBER_SECONDS, principal)
        return principal

    def _remember(self, key: bytes | str, until: float, principal: Principal) -> None:
        self._remembered[key] = (until, principal)
        self._remembered.move_to_end(key)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _forget(self, ended: Callable[[Principal], bool]) -> None:
        self._endings += 1
        for key, (_, known) in list(self._remembered.items()):
            if ended(known):
                self._remembered.pop(key, None)
