"""What identity needs from the outside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from tradesense.core.identity.models import (
    ActionToken,
    ExternalIdentity,
    Message,
    Purpose,
    RefreshToken,
    Session,
    TokenKind,
    User,
)
from tradesense.core.paging import Page
from tradesense.core.sensitive import Secret


class UserRepository(Protocol):
    """Accounts."""

    async def add(self, user: User) -> None:
        """Keep a new account. Of concurrent ones with the same ``email_key``, one is kept.

        :raises EmailTaken: the ``email_key`` is another account's.
        """
        ...

    async def get(self, user_id: str) -> User:
        """The account.

        :raises UserNotFound: there is none.
        """
        ...

    async def by_email(self, email_key: str) -> User | None:
        """The account with this uniqueness key, or ``None``."""
        ...

    async def update(self, user: User) -> User:
        """Replace the account whose version is ``user.version`` and return it with the next version.

        :raises UserNotFound: there is none.
        :raises Conflict: it has another version; nothing was written.
        :raises EmailTaken: the new ``email_key`` is another account's.
        """
        ...

    async def list(self, *, role: str = "", cursor: str | None = None, limit: int = 100) -> Page[User]:
        """Accounts by id, only those with ``role`` where one is given, ``limit`` (1 to 1000) a page.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...

    async def remove(self, user_id: str) -> bool:
        """Remove the account with its sessions and tokens of every kind; ``False`` when there was none."""
        ...


class SessionRepository(Protocol):
    """Sessions, found together with their user so that a request costs one look-up."""

    async def add(self, session: Session) -> None:
        """Keep a new session."""
        ...

    async def find(self, token_hash: bytes) -> tuple[Session, User] | None:
        """The session whose token hashes to this, expired or not, or ``None``."""
        ...

    async def find_by_id(self, session_id: str) -> tuple[Session, User] | None:
        """The session with this id, expired or not, or ``None``."""
        ...

    async def touch(self, session_id: str, at: datetime) -> None:
        """Note that the session was used at ``at``.

        No such session, or an earlier instant than the noted one, is a no-op.
        """
        ...

    async def end(self, session_id: str) -> bool:
        """Remove the session and its refresh tokens; ``False`` when there was none."""
        ...

    async def sweep(self, expired_before: datetime, idle_since: datetime, *, limit: int = 1000) -> int:
        """Remove up to ``limit`` sessions that ended before the first instant or were last seen before the second.

        Their refresh tokens go with them. Returns how many sessions were removed.
        """
        ...


class RefreshTokenRepository(Protocol):
    """Refresh tokens, by hash."""

    async def add(self, token: RefreshToken) -> None:
        """Keep a new, unspent token."""
        ...

    async def spend(self, token_hash: bytes, at: datetime) -> RefreshToken | None:
        """Spend the token; ``None`` when it is unknown.

        Of concurrent calls exactly one gets ``spent_at`` ``None``: it won. Every other gets the instant of the
        spending, which means that the token was used twice.
        """
        ...


class ActionTokenRepository(Protocol):
    """One-time tokens for what is confirmed by mail, by hash."""

    async def add(self, token: ActionToken) -> None:
        """Keep a new token. Others of the same account and purpose stay."""
        ...

    async def find(self, purpose: Purpose, token_hash: bytes) -> ActionToken | None:
        """The token with this hash, expired or not; ``None`` when there is none for this purpose."""
        ...

    async def take(self, purpose: Purpose, token_hash: bytes) -> ActionToken | None:
        """Remove the token and return it, expired or not.

        Of concurrent calls exactly one gets it; every other, and a call for another purpose, gets ``None``. With the
        transaction that it joins, the removal is rolled back.
        """
        ...

    async def drop(self, user_id: str) -> int:
        """Remove all tokens of the account; returns how many."""
        ...

    async def sweep(self, expired_before: datetime, *, limit: int = 1000) -> int:
        """Remove up to ``limit`` tokens that expired before this instant; returns how many."""
        ...


class IdentityStore(Protocol):
    """Everything about accounts, in one provider. Writes join the transaction of their task, if one is open.

    Every method of its parts may raise :class:`DatabaseUnavailable` and :class:`AdapterClosed`.
    """

    @property
    def users(self) -> UserRepository:
        """Accounts."""
        ...

    @property
    def sessions(self) -> SessionRepository:
        """Sessions."""
        ...

    @property
    def refresh_tokens(self) -> RefreshTokenRepository:
        """Refresh tokens."""
        ...

    @property
    def actions(self) -> ActionTokenRepository:
        """One-time tokens."""
        ...


class PasswordHasher(Protocol):
    """Hashes passwords slowly, off the event loop, a bounded number at a time (ASVS 11.4.2)."""

    async def hash(self, password: Secret) -> Secret:
        """A salted hash in PHC string form, with its parameters; never the same twice.

        :raises LimitExceeded: too many wait already.
        """
        ...

    async def verify(self, hashed: Secret, password: Secret) -> bool:
        """Whether ``password`` made ``hashed``. ``False`` also for a hash that cannot be read.

        :raises LimitExceeded: too many wait already.
        """
        ...

    def outdated(self, hashed: Secret) -> bool:
        """Whether ``hashed`` was made with weaker parameters than today's, or cannot be read."""
        ...


class TokenSigner(Protocol):
    """Signs and verifies tokens (RFC 7519) by the rules of RFC 8725: one algorithm family, one kind at a time."""

    async def sign(self, kind: TokenKind, claims: Mapping[str, Any]) -> Secret:
        """A compact JWS over ``claims``, which hold ``exp`` and ``iat``; the signer adds ``iss`` and ``aud``."""
        ...

    async def verify(self, kind: TokenKind, token: str) -> dict[str, Any]:
        """The claims of a token of exactly this kind.

        :raises TokenRefused: malformed, over 8 KiB, other algorithm, key, kind, issuer or audience, a claim missing,
            expired, or not canonical.
        """
        ...

    def public_keys(self) -> dict[str, Any]:
        """The JWK set (RFC 7517) that verifies our tokens; no keys where signatures are symmetric."""
        ...


class Messenger(Protocol):
    """Sends mail, or text messages."""

    async def send(self, message: Message) -> None:
        """Hand the message over; returning means that the provider took it.

        :raises MessengerUnavailable: it did not; sending again may work.
        :raises InvalidInput: it never will, as the address is wrong.
        :raises AdapterClosed: before opening and after closing.
        """
        ...


class IdentityProvider(Protocol):
    """An external login: OAuth 2.0 with PKCE, and OpenID Connect where the provider speaks it."""

    async def authorization_url(self, *, state: str, nonce: str, code_challenge: str, redirect_uri: str) -> str:
        """Where to send the browser. ``code_challenge`` is S256 (RFC 7636).

        :raises IdentityProviderUnavailable: its metadata cannot be read.
        """
        ...

    async def exchange(self, *, code: str, code_verifier: str, nonce: str, redirect_uri: str) -> ExternalIdentity:
        """Trade the code for a proved identity.

        :raises CredentialsRefused: the provider refused the code, or what it answered does not hold.
        :raises IdentityProviderUnavailable: it did not answer.
        """
        ...


class BreachedPasswords(Protocol):
    """Passwords that are known to attackers (ASVS 6.2.12)."""

    async def contains(self, password: Secret) -> bool:
        """Whether the password is known.

        :raises Unavailable: the source did not answer; the caller refuses the password or says that it was not checked.
        """
        ...
