"""What identity needs from the outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tradesense.core.identity.models import (
    ExternalIdentity,
    Message,
    TokenKind,
)
from tradesense.core.identity.repositories import (
    ActionTokenRepository,
    ApiKeyRepository,
    RefreshTokenRepository,
    RoleRepository,
    SessionRepository,
    UserRepository,
    UserSessionRepository,
)
from tradesense.core.sensitive import Secret


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

    @property
    def user_sessions(self) -> UserSessionRepository:
        """The sessions of one user."""
        ...

    @property
    def api_keys(self) -> ApiKeyRepository:
        """API keys."""
        ...

    @property
    def roles(self) -> RoleRepository:
        """Roles."""
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

    def readable(self, hashed: Secret) -> bool:
        """Whether ``hashed`` is of a form, and of a cost, that :meth:`verify` works with: ours, or another system's."""
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
            expired, good for longer than its kind ever is, or not canonical.
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


class WebhookSender(Protocol):
    """Posts signed events to URLs that others have chosen (ASVS 15.3.2)."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post ``body`` and return the status of the answer, of which nothing else is read.

        The name is resolved once and the connection goes to an address that was checked. No redirect is followed.

        :raises InvalidInput: the URL is not one that anybody may be sent to.
        :raises WebhookRefused: its host has an address that is not public.
        :raises WebhookUnavailable: the host was not reached, or did not answer within five seconds.
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
