"""One-time tokens for what is confirmed by mail.

A token has 256 random bits; what is stored is its SHA-256, beside a digest of what the account was when it was made. It
is good once, for one purpose, for a while, and only as long as that digest holds: a link to reset a password is dead as
soon as the password, the address or the epoch of the account is another one.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock, Random
from tradesense.core.errors import TokenRefused, UserNotFound
from tradesense.core.identity.models import ActionToken, IdentityPolicy, Purpose, User
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.tokens import digest, mint
from tradesense.core.sensitive import Secret

TOKEN_LENGTH = 43
"""Characters of a token; what has another length is none."""


class Actions:
    """Makes one-time tokens and takes them back."""

    def __init__(self, *, store: IdentityStore, clock: Clock, random: Random, policy: IdentityPolicy) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._lives = {
            Purpose.VERIFY_EMAIL: policy.verify_ttl,
            Purpose.RESET_PASSWORD: policy.reset_ttl,
            Purpose.CHANGE_EMAIL_OLD: policy.change_email_ttl,
            Purpose.CHANGE_EMAIL_NEW: policy.change_email_ttl,
        }

    def life(self, purpose: Purpose) -> int:
        """Seconds for which a token of this purpose is good."""
        return self._lives[purpose]

    async def issue(self, purpose: Purpose, user: User) -> Secret:
        """A new token for ``user``, as the account is now. The change that it is part of has the row."""
        now = self._clock.now()
        token = mint(self._random)
        await self._store.actions.add(
            ActionToken(
                token_hash=digest(token),
                purpose=purpose,
                user_id=user.id,
                state=state_of(purpose, user),
                created_at=now,
                expires_at=now + timedelta(seconds=self._lives[purpose]),
            )
        )
        return token

    async def owner(self, purpose: Purpose, token: Secret) -> User:
        """Whose token this is. It stays good: what costs time is done before it is redeemed.

        :raises TokenRefused: it is unknown, used, expired, for another purpose, or the account has changed.
        """
        if len(token) != TOKEN_LENGTH:
            raise _refused()
        return await self._owner(await self._store.actions.find(purpose, digest(token)))

    async def redeem(self, purpose: Purpose, token: Secret) -> User:
        """Use the token up and return whose it is. Of concurrent calls exactly one goes on.

        :raises TokenRefused: as :meth:`owner`, or another call was first.
        """
        if len(token) != TOKEN_LENGTH:
            raise _refused()
        return await self._owner(await self._store.actions.take(purpose, digest(token)))

    @as_system()
    async def sweep(self) -> int:
        """Remove tokens that have expired; returns how many."""
        now = self._clock.now()
        removed = 0
        while batch := await self._store.actions.sweep(now):
            removed += batch
        return removed

    async def _owner(self, found: ActionToken | None) -> User:
        if found is None or not found.created_at <= self._clock.now() < found.expires_at:
            raise _refused()
        try:
            user = await self._store.users.get(found.user_id)
        except UserNotFound as error:
            raise _refused() from error
        if user.disabled or not hmac.compare_digest(found.state, state_of(found.purpose, user)):
            raise _refused()
        return user


def state_of(purpose: Purpose, user: User) -> bytes:
    """A digest of all that has to stay as it is for a token of this purpose to stay good."""
    state: tuple[object, ...]
    match purpose:
        case Purpose.VERIFY_EMAIL:
            state = (user.email, user.verified)
        case Purpose.RESET_PASSWORD:
            state = (user.email, user.epoch)
        case Purpose.CHANGE_EMAIL_OLD | Purpose.CHANGE_EMAIL_NEW:
            state = (user.email, user.next_email, user.epoch)
    return hashlib.sha256(msgspec.json.encode((purpose, user.id, *state))).digest()


def _refused() -> TokenRefused:
    return TokenRefused("the link is not good, or not any more", mend="ask for a new one")
