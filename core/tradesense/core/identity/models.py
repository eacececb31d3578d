"""Accounts, sessions, tokens, and who is asking."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.identity.permissions import Permission
from tradesense.core.identity.rules import Proof, Role, Rules
from tradesense.core.sensitive import Secret

ADMIN = "admin"
USER = "user"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    id: str
    email: str
    """As it was typed, with the domain in lower case; mail goes here and nowhere else."""
    email_key: str
    """What must be unique: see :func:`tradesense.core.identity.emails.uniqueness_key`."""
    password_hash: Secret
    roles: tuple[str, ...] = (USER,)
    disabled: bool = False
    verified: bool = False
    """Whether its owner has proved to receive what is sent to ``email``."""
    name: str = ""
    """What the person wants to be called."""
    locale: str = ""
    """The language to write to the person in, as in ``de`` or ``pt-BR`` (RFC 5646); the deployment's when empty."""
    next_email: str = ""
    """The address that the account moves to once its owner has confirmed it at both; empty when it stays."""
    next_email_proved: str = ""
    """Which of the two has been confirmed: ``old`` or ``new``; empty when neither has."""
    epoch: int = 0
    """Sessions of an earlier epoch are dead. Raising it ends all of the user's sessions at once."""
    version: int = 1
    """Grows with every update; an update names the one it was made from."""
    created_at: datetime


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One login. The token that carries it is never stored, its SHA-256 is (ASVS 7.2.3)."""

    id: str
    token_hash: bytes
    user_id: str
    user_epoch: int
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    """The absolute end; the idle end depends on ``last_seen_at``."""
    methods: tuple[str, ...] = ("pwd",)
    """How the user authenticated (RFC 8176)."""
    address: str = ""
    user_agent: str = ""


class RefreshToken(msgspec.Struct, frozen=True, kw_only=True):
    """A single-use token that brings the next access token (RFC 9700, section 4.14.2)."""

    token_hash: bytes
    session_id: str
    expires_at: datetime
    spent_at: datetime | None = None
    """``None`` while unspent. As an answer of ``spend``: when an *earlier* call spent it."""
    seed: bytes = b""
    """What the call that spent it left: with the token itself, which nobody keeps, it makes the successor."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a program authenticates with. The key itself is shown once; its SHA-256 is kept."""

    id: str
    key_hash: bytes
    prefix: str
    """How the key begins, for people to tell keys apart."""
    user_id: str
    name: str
    scopes: tuple[str, ...]
    """Permissions. The key may do what lies in them and is permitted to its user."""
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


class StoredRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role as it is kept."""

    role: Role
    revision: int
    """Counts from 1; 0 is a role that comes with the platform."""
    updated_at: datetime


FRESH = timedelta(minutes=5)
"""How old a login may be to count as a step-up (SECURITY R35)."""


class Purpose(StrEnum):
    """What a one-time token is good for; none is ever good for anything else (SECURITY R18)."""

    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105  # the name of a purpose
    CHANGE_EMAIL_OLD = "change-email-old"
    """Confirms a change of address at the address that the account has."""
    CHANGE_EMAIL_NEW = "change-email-new"
    """Confirms it at the one that the account is to have."""


class ActionToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a link in a mail carries: a token that is good once, for one purpose, while the account is as it was."""

    token_hash: bytes
    """The SHA-256 of the token, which is never stored."""
    purpose: Purpose
    user_id: str
    state: bytes
    """A digest of what the account was when the token was made; see :mod:`tradesense.core.identity.actions`."""
    created_at: datetime
    expires_at: datetime


class Via(StrEnum):
    """How the request carried its proof."""

    COOKIE = "cookie"
    BEARER = "bearer"
    KEY = "api-key"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, as the server's own rows say."""

    user_id: str
    email: str
    session_id: str
    roles: tuple[str, ...]
    rules: Rules
    """What the roles permit together."""
    authenticated_at: datetime
    methods: tuple[str, ...] = ("pwd",)
    """How (RFC 8176)."""
    via: Via
    key_id: str = ""
    """The API key, which has no session and no login."""

    def permits(self, wanted: Permission | str, now: datetime | None = None) -> bool:
        """Whether all of ``wanted`` may be done; without an instant no login counts as fresh."""
        return self.rules.permits(wanted, self.proof(now))

    def proof(self, now: datetime | None = None) -> Proof:
        """What this login can satisfy at ``now``."""
        fresh = bool(self.session_id) and now is not None and now - self.authenticated_at <= FRESH
        return Proof(fresh=fresh, strong="mfa" in self.methods)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Where a login came from."""

    address: str = ""
    user_agent: str = ""
    browser: str = ""
    """The cookie by which a browser is known; see :mod:`tradesense.core.identity.browsers`."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A login that succeeded. ``token`` is the session's, shown this once."""

    user: User
    session: Session
    token: Secret
    pair: TokenPair | None = None
    """The first pair of tokens, where they were asked for."""


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """What token mode answers with (RFC 6749, section 5.1)."""

    access_token: Secret
    refresh_token: Secret
    expires_in: int
    """Seconds."""


LONGEST_ACCESS = 900
"""Seconds that an access token is good for at most (SECURITY R17)."""


class TokenKind(StrEnum):
    """The ``typ`` of a signed token; no kind ever stands in for another (RFC 8725, section 3.11)."""

    ACCESS = "at+jwt"

    @property
    def longest(self) -> int:
        """Seconds between ``iat`` and ``exp`` at most: what says that it is good for longer is none of ours."""
        return LONGEST_ACCESS


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something to send to a person."""

    to: str
    """An email address, or a telephone number in E.164."""
    subject: str
    text: str
    html: str = ""
    key: str = ""
    """The same key is the same message: a provider that can tell sends it once."""

    def __repr__(self) -> str:
        """Without the words, which may hold a link that proves who reads it."""
        return f"Message(to={self.to!r}, subject={self.subject!r}, key={self.key!r})"


class ExternalIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Who an external provider says this is. The identity is (provider, subject), never the email (ASVS 6.8.1)."""

    provider: str
    subject: str
    email: str = ""
    email_verified: bool = False
    name: str = ""


class IdentityPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of accounts and sessions; the defaults are SECURITY R02, R14 and R17."""

    password_min: Annotated[int, Meta(ge=8, le=64)] = 15
    """Code points. NIST SP 800-63B-4 asks for 15 where the password is the only factor."""
    password_max: Annotated[int, Meta(ge=64, le=1024)] = 256
    """Code points."""
    session_idle: Annotated[int, Meta(ge=1, le=2_592_000)] = 3600
    """Seconds without a request."""
    session_absolute: Annotated[int, Meta(ge=1, le=2_592_000)] = 86_400
    """Seconds after the login."""
    access_ttl: Annotated[int, Meta(ge=1, le=LONGEST_ACCESS)] = 600
    """Seconds."""
    refresh_ttl: Annotated[int, Meta(ge=1, le=31_536_000)] = 2_592_000
    """Seconds."""
    verify_ttl: Annotated[int, Meta(ge=1, le=2_592_000)] = 86_400
    """Seconds in which an address can be verified by the link that was sent to it."""
    reset_ttl: Annotated[int, Meta(ge=1, le=86_400)] = 1_800
    """Seconds in which a password can be reset by the link that was sent."""
    change_email_ttl: Annotated[int, Meta(ge=1, le=604_800)] = 3_600
    """Seconds in which a change of address can be confirmed by the links that were sent."""
    verified_only: bool = False
    """Whether only who has verified the address may log in. Else signing up and logging in tells a stranger whether an
    address had an account."""
    mails_per_account: Annotated[int, Meta(ge=1, le=1_000_000)] = 5
    """Links that may be asked for by one address within ``mails_window``."""
    mails_window: Annotated[float, Meta(ge=0.1, le=2_678_400)] = 3_600.0
    """Seconds."""
    refresh_grace: Annotated[float, Meta(ge=0, le=60)] = 10.0
    """Seconds in which a refresh token that is sent twice brings the same successor; after that it ends the session."""
    api_key_ttl: Annotated[int, Meta(ge=1, le=315_360_000)] = 31_536_000
    """Seconds that an API key lives at most."""
    login_attempts: Annotated[int, Meta(ge=1, le=1_000_000)] = 5
    """Attempts at an account, one after the other, before each further one has to wait."""
    login_delay: Annotated[float, Meta(ge=0.1, le=86_400)] = 1.0
    """Seconds that the first of those waits after the one before, and each next one twice as long."""
    login_delay_max: Annotated[float, Meta(ge=0.1, le=86_400)] = 900.0
    """Seconds that none of them waits longer than."""
    login_refusal: Annotated[float, Meta(ge=0, le=10)] = 0.0
    """Seconds that a refused login takes at least. With hashes of other systems about, set more than the dearest of
    them takes to check: else the time tells who has one, as checking ours takes another (ASVS 6.3.8)."""
    login_failures: Annotated[int, Meta(ge=1, le=100)] = 100
    """Failed attempts in a row after which only a known browser, or a new password by mail, opens the account."""
    login_failures_window: Annotated[float, Meta(ge=60, le=31_536_000)] = 2_592_000.0
    """Seconds for which a failed attempt is remembered."""
    login_attempts_per_address: Annotated[int, Meta(ge=1, le=10_000_000)] = 60
    """Attempts per block of network addresses, /24 of IPv4 and /48 of IPv6, within ``login_window``."""
    login_attempts_per_day: Annotated[int, Meta(ge=1, le=10_000_000)] = 100
    """Attempts per account within a day, whether they fail or not."""
    login_attempts_in_all: Annotated[int, Meta(ge=1, le=100_000_000)] = 6_000
    """Attempts of everybody together within ``login_window``."""
    browser_ttl: Annotated[int, Meta(ge=1, le=31_536_000)] = 2_592_000
    """Seconds for which a browser in which an account has logged in is not slowed down by attempts from elsewhere."""
    login_window: Annotated[float, Meta(ge=0.1, le=86_400)] = 60.0
    """Seconds."""
