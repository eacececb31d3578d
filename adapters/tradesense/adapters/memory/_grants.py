"""The sessions of one user, API keys and roles in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from tradesense.adapters.memory._accounts import Rows
from tradesense.adapters.memory._state import MemoryState, page
from tradesense.core.errors import Conflict
from tradesense.core.identity.models import ApiKey, Session, StoredRole, User
from tradesense.core.identity.repositories import ApiKeyRepository, RoleRepository, UserSessionRepository
from tradesense.core.identity.rules import Role
from tradesense.core.paging import Page, check_cursor


class MemoryUserSessions:
    """See :class:`UserSessionRepository`."""

    def __init__(self, state: MemoryState, check_open: Callable[[], None]) -> None:
        self._state = state
        self._rows = state.part(Rows)
        self._check_open = check_open

    async def list(self, user_id: str, *, cursor: str | None = None, limit: int = 100) -> Page[Session]:
        """See :meth:`UserSessionRepository.list`."""
        self._check_open()
        check_cursor(cursor, UUID)
        return page(self._of(user_id, cursor or ""), limit)

    async def end(self, user_id: str, *, keep: str = "") -> int:
        """See :meth:`UserSessionRepository.end`."""
        self._check_open()
        async with self._state.begin():
            ended = [session_id for session_id, _ in self._of(user_id, "") if session_id != keep]
            return sum(self._rows.remove_session(session_id) for session_id in ended)

    def _of(self, user_id: str, after: str) -> Iterator[tuple[str, Session]]:
        for key, session_id in self._rows.of_user.scan(f"{user_id}/{after}", after=True):
            if not key.startswith(f"{user_id}/"):
                return
            session = self._rows.sessions.get(session_id)
            if session is not None:
                yield session_id, session


class MemoryApiKeys:
    """See :class:`ApiKeyRepository`."""

    def __init__(self, state: MemoryState, check_open: Callable[[], None]) -> None:
        self._state = state
        self._rows = state.part(Rows)
        self._check_open = check_open

    async def add(self, key: ApiKey) -> None:
        """See :meth:`ApiKeyRepository.add`."""
        self._check_open()
        async with self._state.begin():
            self._rows.keys.put(key.id, key)
            self._rows.key_hashes.put(key.key_hash, key.id)

    async def find(self, key_hash: bytes) -> tuple[ApiKey, User] | None:
        """See :meth:`ApiKeyRepository.find`."""
        self._check_open()
        key_id = self._rows.key_hashes.get(key_hash)
        key = key_id and self._rows.keys.get(key_id)
        user = key and self._rows.users.get(key.user_id)
        return (key, user) if key and user else None

    async def of_user(self, user_id: str) -> Sequence[ApiKey]:
        """See :meth:`ApiKeyRepository.of_user`."""
        self._check_open()
        return [key for _, key in self._rows.keys.scan("") if key.user_id == user_id]

    async def touch(self, key_id: str, at: datetime) -> None:
        """See :meth:`ApiKeyRepository.touch`."""
        self._check_open()
        async with self._state.begin():
            key = self._rows.keys.get(key_id)
            if key is not None and (key.last_used_at is None or at > key.last_used_at):
                self._rows.keys.put(key_id, replace(key, last_used_at=at))

    async def remove(self, user_id: str, key_id: str) -> bool:
        """See :meth:`ApiKeyRepository.remove`."""
        self._check_open()
        async with self._state.begin():
            key = self._rows.keys.get(key_id)
            if key is None or key.user_id != user_id:
                return False
            self._rows.remove_key(key_id)
        return True


class MemoryRoles:
    """See :class:`RoleRepository`."""

    def __init__(self, state: MemoryState, check_open: Callable[[], None]) -> None:
        self._state = state
        self._rows = state.part(Rows)
        self._check_open = check_open

    async def all(self) -> Sequence[StoredRole]:
        """See :meth:`RoleRepository.all`."""
        self._check_open()
        return [role for _, role in self._rows.roles.scan("")]

    async def put(self, role: Role, at: datetime, *, expected: int | None = None) -> StoredRole:
        """See :meth:`RoleRepository.put`."""
        self._check_open()
        async with self._state.begin():
            known = self._rows.roles.get(role.name)
            current = known.revision if known else 0
            if expected is not None and expected != current:
                raise Conflict(f"the role {role.name!r} has revision {current}, not {expected}", mend="read it again")
            stored = StoredRole(role=role, revision=current + 1, updated_at=at)
            self._rows.roles.put(role.name, stored)
        return stored


_: type[ApiKeyRepository] = MemoryApiKeys
_roles: type[RoleRepository] = MemoryRoles
_sessions: type[UserSessionRepository] = MemoryUserSessions
