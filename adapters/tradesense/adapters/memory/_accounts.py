"""Accounts, sessions and refresh tokens in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from tradesense.adapters.memory._state import MemoryState, SortedTable, Table, page
from tradesense.core.errors import Conflict, EmailTaken, UserNotFound
from tradesense.core.identity.models import ActionToken, ApiKey, RefreshToken, Session, StoredRole, User
from tradesense.core.identity.repositories import RefreshTokenRepository, SessionRepository, UserRepository
from tradesense.core.paging import Page, check_cursor

LOOKED_AT = 5_000
"""Sessions that a sweep looks at before it lets other tasks run."""


class Rows:
    """The tables of the room."""

    def __init__(self, state: MemoryState) -> None:
        self.users: SortedTable[str, User] = SortedTable(state)
        self.emails: Table[str, str] = Table(state)
        self.sessions: Table[str, Session] = Table(state)
        self.hashes: Table[bytes, str] = Table(state)
        self.tokens: Table[bytes, RefreshToken] = Table(state)
        self.tokens_of: Table[str, tuple[bytes, ...]] = Table(state)
        self.of_user: SortedTable[str, str] = SortedTable(state)
        """Session ids under their user's and their own, parted by a slash."""
        self.actions: Table[bytes, ActionToken] = Table(state)
        self.keys: SortedTable[str, ApiKey] = SortedTable(state)
        self.key_hashes: Table[bytes, str] = Table(state)
        self.roles: SortedTable[str, StoredRole] = SortedTable(state)

    def remove_key(self, key_id: str) -> None:
        """Remove an API key, if it is there."""
        key = self.keys.get(key_id)
        if key is not None:
            self.keys.remove(key_id)
            self.key_hashes.remove(key.key_hash)

    def remove_session(self, session_id: str) -> bool:
        """Remove a session and its refresh tokens; ``False`` when there was none."""
        session = self.sessions.get(session_id)
        if session is None:
            return False
        self.sessions.remove(session_id)
        self.hashes.remove(session.token_hash)
        self.of_user.remove(f"{session.user_id}/{session_id}")
        for token_hash in self.tokens_of.get(session_id) or ():
            self.tokens.remove(token_hash)
        self.tokens_of.remove(session_id)
        return True


class MemoryUsers:
    """See :class:`UserRepository`."""

    def __init__(self, state: MemoryState, check_open: Callable[[], None]) -> None:
        self._state = state
        self._rows = state.part(Rows)
        self._check_open = check_open

    async def add(self, user: User) -> None:
        """See :meth:`UserRepository.add`."""
        self._check_open()
        async with self._state.begin():
            if self._rows.emails.get(user.email_key) is not None:
                raise EmailTaken
            self._rows.users.put(user.id, user)
            self._rows.emails.put(user.email_key, user.id)

    async def get(self, user_id: str) -> User:
        """See :meth:`UserRepository.get`."""
        self._check_open()
        user = self._rows.users.get(user_id)
        if user is None:
            raise UserNotFound(f"there is no user {user_id!r}")
        return user

    async def by_email(self, email_key: str) -> User | None:
        """See :meth:`UserRepository.by_email`."""
        self._check_open()
        user_id = self._rows.emails.get(email_key)
        return None if user_id is None else self._rows.users.get(user_id)

    async def update(self, user: User) -> User:
        """See :meth:`UserRepository.update`."""
        self._check_open()
        async with self._state.begin():
            known = await self.get(user.id)
            if known.version != user.version:
                raise Conflict(f"user {user.id!r} has version {known.version}, not {user.version}")
            if user.email_key != known.email_key:
                if self._rows.emails.get(user.email_key) is not None:
                    raise EmailTaken
                self._rows.emails.remove(known.email_key)
                self._rows.emails.put(user.email_key, user.id)
            updated = replace(user, version=user.version + 1)
            self._rows.users.put(user.id, updated)
        return updated

    async def list(self, *, role: str = "", cursor: str | None = None, limit: int = 100) -> Page[User]:
        """See :meth:`UserRepository.list`."""
        self._check_open()
        check_cursor(cursor, UUID)
        rows = self._rows.users.scan(cursor or "", after=cursor is not None)
        return page(((user_id, user) for user_id, user in rows if not role or role in user.roles), limit)

    async def remove(self, user_id: str) -> bool:
        """See :meth:`UserRepository.remove`."""
        self._check_open()
        async with self._state.begin():
            user = self._rows.users.get(user_id)
            if user is None:
                return False
            self._rows.users.remove(user_id)
            self._rows.emails.remove(user.email_key)
            for session_id in self._rows.sessions.visible(lambda session: session.user_id == user_id):
                self._rows.remove_session(session_id)
            for token_hash in self._rows.actions.visible(lambda token: token.user_id == user_id):
                self._rows.actions.remove(token_hash)
            for key_id in self._rows.keys.visible(lambda key: key.user_id == user_id):
                self._rows.remove_key(key_id)
        return True


class MemorySessions:
    """See :class:`SessionRepository`."""

    def __init__(self, state: MemoryState, check_open: Callable[[], None]) -> None:
        self._state = state
        self._rows = state.part(Rows)
        self._check_open = check_open

    async def add(self, session: Session) -> None:
        """See :meth:`SessionRepository.add`."""
        self._check_open()
        async with self._state.begin():
            self._rows.sessions.put(session.id, session)
            self._rows.hashes.put(session.token_hash, session.id)
            self._rows.of_user.put(f"{session.user_id}/{session.id}", session.id)

    async def find(self, token_hash: bytes) -> tuple[Session, User] | None:
        """See :meth:`SessionRepository.find`."""
        self._check_open()
        session_id = self._rows.hashes.get(token_hash)
        return None if session_id is None else self._found(session_id)

    async def find_by_id(self, session_id: str) -> tuple[Session, User] | None:
        """See :meth:`SessionRepository.find_by_id`."""
        self._check_open()
        return self._found(session_id)

    async def touch(self, session_id: str, at: datetime) -> None:
        """See :meth:`SessionRepository.touch`."""
        self._check_open()
        async with self._state.begin():
            session = self._rows.sessions.get(session_id)
            if session is not None and at > session.last_seen_at:
                self._rows.sessions.put(session_id, replace(session, last_seen_at=at))

    async def end(self, session_id: str) -> bool:
        """See :meth:`SessionRepository.end`."""
        self._check_open()
        async with self._state.begin():
            return self._remove(session_id)

    async def sweep(self, expired_before: datetime, idle_since: datetime, *, limit: int = 1000) -> int:
        """See :meth:`SessionRepository.sweep`."""
        self._check_open()

        def over(session_id: str) -> bool:
            session = self._rows.sessions.get(session_id)
            return session is not None and (session.expires_at < expired_before or session.last_seen_at < idle_since)

        ended: list[str] = []
        for looked_at, session_id in enumerate(self._rows.sessions.keys(), start=1):
            if over(session_id):
                ended.append(session_id)
            if len(ended) == limit:
                break
            if looked_at % LOOKED_AT == 0:
                await asyncio.sleep(0)
        async with self._state.begin():
            return sum(self._remove(session_id) for session_id in ended if over(session_id))

    def _found(self, session_id: str) -> tuple[Session, User] | None:
        session = self._rows.sessions.get(session_id)
        user = session and self._rows.users.get(session.user_id)
        return (session, user) if session and user else None

    def _remove(self, session_id: str) -> bool:
        return self._rows.remove_session(session_id)


class MemoryRefreshTokens:
    """See :class:`RefreshTokenRepository`."""

    def __init__(self, state: MemoryState, check_open: Callable[[], None]) -> None:
        self._state = state
        self._rows = state.part(Rows)
        self._check_open = check_open

    async def add(self, token: RefreshToken) -> None:
        """See :meth:`RefreshTokenRepository.add`."""
        self._check_open()
        async with self._state.begin():
            self._rows.tokens.put(token.token_hash, token)
            known = self._rows.tokens_of.get(token.session_id) or ()
            self._rows.tokens_of.put(token.session_id, (*known, token.token_hash))

    async def spend(self, token_hash: bytes, at: datetime, seed: bytes) -> RefreshToken | None:
        """See :meth:`RefreshTokenRepository.spend`."""
        self._check_open()
        async with self._state.begin():
            token = self._rows.tokens.get(token_hash)
            if token is not None and token.spent_at is None:
                self._rows.tokens.put(token_hash, replace(token, spent_at=at, seed=seed))
        return token

    async def find(self, token_hash: bytes) -> RefreshToken | None:
        """See :meth:`RefreshTokenRepository.find`."""
        self._check_open()
        return self._rows.tokens.get(token_hash)


_users: type[UserRepository] = MemoryUsers
_sessions: type[SessionRepository] = MemorySessions
_refresh_tokens: type[RefreshTokenRepository] = MemoryRefreshTokens
