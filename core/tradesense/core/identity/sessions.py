"""Logging in, being recognised, and logging out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.audit.models import WORKER, Actor, Outcome
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import (
    Conflict,
    CredentialsRefused,
    InvalidEmail,
    LimitExceeded,
    SessionEnded,
)
from tradesense.core.identity import emails, passwords
from tradesense.core.identity.attempts import Attempts
from tradesense.core.identity.models import (
    Client,
    IdentityPolicy,
    Login,
    Principal,
    Session,
    User,
)
from tradesense.core.identity.ports import IdentityStore, PasswordHasher
from tradesense.core.identity.recognition import Recognition
from tradesense.core.identity.tokens import Tokens, digest, mint
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.instruments import LOGINS
from tradesense.core.telemetry.ports import Telemetry


class Sessions:
    """The sessions of one deployment."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        hasher: PasswordHasher,
        recognition: Recognition,
        attempts: Attempts,
        trail: AuditTrail,
        telemetry: Telemetry,
        clock: Clock,
        random: Random,
        ids: Ids,
        policy: IdentityPolicy,
        joined: bool,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pause = pause
        self._store = store
        self._hasher = hasher
        self._recognition = recognition
        self._attempts = attempts
        self._trail = trail
        self._telemetry = telemetry
        self._clock = clock
        self._random = random
        self._ids = ids
        self._policy = policy
        self._joined = joined
        self._decoy: Secret | None = None

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

        The work is the same for an unknown, a disabled and a known account: one verification, always (ASVS 6.3.8). A
        hash of another system takes another time; ``login_refusal`` of the policy makes up for it.

        :param tokens: issue the session's first pair as part of the same change.
        :raises CredentialsRefused: for whatever reason.
        :raises LimitExceeded: too many attempts for this account or from this address.
        """
        secret = passwords.normalise(password)
        try:
            key = emails.uniqueness_key(emails.normalise(email))
        except InvalidEmail:
            key = ""
        event, began = Event("identity.login", "", actor, correlation_id), self._clock.monotonic()
        try:
            await self._attempts.count(key or email, client)
            user = await self._proved(key, secret)
        except (CredentialsRefused, LimitExceeded) as error:
            event.detail["reason"] = error.code
            await self._trail.note(event, Outcome.DENIED)
            self._telemetry.bind(LOGINS, (error.code,))(1)
            if isinstance(error, CredentialsRefused):
                await self._even_out(began)
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
        await self._attempts.succeeded(key, client)
        self._telemetry.bind(LOGINS, ("succeeded",))(1)
        return login

    async def begin(
        self, user: User, client: Client, *, methods: tuple[str, ...] = ("pwd",), tokens: Tokens | None = None
    ) -> Login:
        """Begin a session under a fresh id, as part of the change around it (ASVS 7.2.4).

        :param tokens: issue the session's first pair too.
        """
        login = self._begin(user, client, methods=methods)
        await self._store.sessions.add(login.session)
        return login if tokens is None else replace(login, pair=await tokens.issue(login.session))

    async def forgive(self, email_key: str) -> None:
        """Count no failed attempts at an account any more, as it was proved by its mail."""
        await self._attempts.forgive(email_key)

    def forget_user(self, user_id: str) -> None:
        """Look the sessions of this user up again at once; every other process does within a second."""
        self._recognition.forget(lambda known: known.user_id == user_id)

    async def step_up(
        self,
        principal: Principal,
        password: Secret,
        *,
        client: Client,
        actor: Actor,
        correlation_id: str = "",
        tokens: Tokens | None = None,
    ) -> Login:
        """Check the password once more and go on in a session with a fresh id; the one before ends (ASVS 7.2.4).

        It lasts no longer than the one before would have, and counts as a fresh login.

        :param tokens: issue a pair of tokens as part of the same change.
        :raises CredentialsRefused: the password is wrong.
        :raises SessionEnded: the session has ended meanwhile.
        :raises LimitExceeded: too many attempts for this account or from this address.
        """
        secret = passwords.normalise(password)
        event = Event("identity.step-up", principal.user_id, actor, correlation_id)
        try:
            key = (await self._store.users.get(principal.user_id)).email_key
            await self._attempts.count(key, client)
            user = await self._proved(key, secret)
        except (CredentialsRefused, LimitExceeded) as error:
            event.detail["reason"] = error.code
            await self._trail.note(event, Outcome.DENIED)
            raise
        async with self._trail.change(event, joined=self._joined):
            found = await self._store.sessions.find_by_id(principal.session_id)
            if found is None or not await self._store.sessions.end(principal.session_id):
                raise SessionEnded(mend="log in again")
            login = self._begin(user, client, after=found[0])
            event.detail |= {"session": login.session.id, "before": principal.session_id}
            await self._store.sessions.add(login.session)
            if tokens is not None:
                login = replace(login, pair=await tokens.issue(login.session))
        await self._attempts.succeeded(key, client)
        self._recognition.forget(lambda known: known.session_id == principal.session_id)
        return login

    async def by_cookie(self, token: str) -> Principal:
        """See :meth:`Recognition.by_cookie`."""
        return await self._recognition.by_cookie(token)

    async def by_bearer(self, token: str) -> Principal:
        """See :meth:`Recognition.by_bearer`."""
        return await self._recognition.by_bearer(token)

    async def logout(self, principal: Principal, *, actor: Actor, correlation_id: str = "") -> None:
        """End the session; this process forgets it at once, every other one within a second."""
        event = Event("identity.logout", principal.user_id, actor, correlation_id, {"session": principal.session_id})
        async with self._trail.change(event, joined=self._joined):
            await self._store.sessions.end(principal.session_id)
        self._recognition.forget(lambda known: known.session_id == principal.session_id)

    async def logout_all(self, principal: Principal, *, actor: Actor, correlation_id: str = "") -> None:
        """End every session of the user, this one included.

        :raises Conflict: the account changed meanwhile; nothing was ended.
        """
        event = Event("identity.logout-all", principal.user_id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            user = await self._store.users.get(principal.user_id)
            await self._store.users.update(replace(user, epoch=user.epoch + 1))
            await self._store.user_sessions.end(user.id)
        self._recognition.forget(lambda known: known.user_id == principal.user_id)

    @as_system("identity.sweep")
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

    async def _proved(self, key: str, password: Secret) -> User:
        user = await self._store.users.by_email(key) if key else None
        known = user is not None and self._hasher.readable(user.password_hash)
        hashed = user.password_hash if user is not None and known else await self._stand_in()
        correct = await self._hasher.verify(hashed, password)
        if user is None or user.disabled or not correct or (self._policy.verified_only and not user.verified):
            raise CredentialsRefused
        return user

    async def _even_out(self, began: float) -> None:
        """Let a refusal take as long as any other does, whichever hash it took to check."""
        left = began + self._policy.login_refusal - self._clock.monotonic()
        if left > 0:
            await self._pause(left)

    async def _strengthen(self, user: User, hashed: Secret) -> None:
        """Replace a hash of older parameters while the password is at hand (ASVS 11.4.2)."""
        with suppress(Conflict):  # another login of the same user has done it
            await self._store.users.update(replace(user, password_hash=hashed))

    async def _stand_in(self) -> Secret:
        """A hash that no password makes, for accounts that do not exist or have no password."""
        if self._decoy is None:
            self._decoy = await self._hasher.hash(mint(self._random))
        return self._decoy

    def _begin(
        self, user: User, client: Client, *, methods: tuple[str, ...] = ("pwd",), after: Session | None = None
    ) -> Login:
        now = self._clock.now()
        token = mint(self._random)
        session = Session(
            id=self._ids.new(),
            token_hash=digest(token),
            user_id=user.id,
            user_epoch=user.epoch,
            created_at=now,
            last_seen_at=now,
            expires_at=after.expires_at if after else now + timedelta(seconds=self._policy.session_absolute),
            methods=after.methods if after else methods,
            address=client.address,
            user_agent=client.user_agent[:256],
        )
        return Login(user=user, session=session, token=token)
