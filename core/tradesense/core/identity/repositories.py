"""The parts of the identity store: each keeps one kind of thing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from tradesense.core.identity.models import (
    ActionToken,
    ApiKey,
    Purpose,
    RefreshToken,
    Session,
    StoredRole,
    User,
)
from tradesense.core.identity.rules import Role
from tradesense.core.paging import Page


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

    async def spend(self, token_hash: bytes, at: datetime, seed: bytes) -> RefreshToken | None:
        """Spend the token; ``None`` when it is unknown.

        Of concurrent calls exactly one gets ``spent_at`` ``None``: it won, and its ``seed`` is kept. Every other gets
        the instant and the seed of the spending, which means that the token was used twice.
        """
        ...

    async def find(self, token_hash: bytes) -> RefreshToken | None:
        """The token, spent or expired or not, or ``None``."""
        ...


class UserSessionRepository(Protocol):
    """The sessions of one user, who may have thousands."""

    async def list(self, user_id: str, *, cursor: str | None = None, limit: int = 100) -> Page[Session]:
        """Sessions by id, which is by birth, expired or not, ``limit`` (1 to 1000) a page.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...

    async def end(self, user_id: str, *, keep: str = "") -> int:
        """Remove all of the user's sessions but the one with the id ``keep``, and their refresh tokens.

        Returns how many sessions were removed.
        """
        ...


class ApiKeyRepository(Protocol):
    """API keys, by hash, found together with their user so that a request costs one look-up."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        ...

    async def find(self, key_hash: bytes) -> tuple[ApiKey, User] | None:
        """The key that hashes to this, expired or not, or ``None``."""
        ...

    async def of_user(self, user_id: str) -> Sequence[ApiKey]:
        """All keys of the user, by id, which is by birth."""
        ...

    async def touch(self, key_id: str, at: datetime) -> None:
        """Note that the key was used at ``at``.

        No such key, or an earlier instant than the noted one, is a no-op.
        """
        ...

    async def remove(self, user_id: str, key_id: str) -> bool:
        """Remove a key of this user; ``False`` when the user has none with this id."""
        ...


class RoleRepository(Protocol):
    """The roles that a deployment has defined: some dozens, read together."""

    async def all(self) -> Sequence[StoredRole]:
        """Every role, by name."""
        ...

    async def put(self, role: Role, at: datetime, *, expected: int | None = None) -> StoredRole:
        """Keep the role, written at ``at``, under its name with the next revision.

        :param expected: the revision that must be current, 0 for none; any when ``None``.
        :raises Conflict: another is; nothing was written. Of concurrent calls that expect the same, one succeeds.
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
