"""Sessions and refresh tokens in tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, or_, select, update

from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._tables import refresh_tokens, sessions, user_roles, users
from tradesense.adapters.sql._users import AFTER_USER, USER_COLUMNS, user_of
from tradesense.core.identity.models import RefreshToken, Session, User
from tradesense.core.identity.repositories import RefreshTokenRepository, SessionRepository, UserSessionRepository
from tradesense.core.paging import Page, check_cursor

_COLUMNS = (
    sessions.c.id,
    sessions.c.token_hash,
    sessions.c.user_epoch,
    sessions.c.created_at,
    sessions.c.last_seen_at,
    sessions.c.expires_at,
    sessions.c.methods,
    sessions.c.address,
    sessions.c.user_agent,
)
_FOUND = (
    select(*USER_COLUMNS, *_COLUMNS)
    .select_from(
        sessions.join(users, users.c.id == sessions.c.user_id).outerjoin(user_roles, user_roles.c.user_id == users.c.id)
    )
    .order_by(user_roles.c.position)
)
BY_TOKEN = Query(_FOUND.where(sessions.c.token_hash == bindparam("token_hash")))
BY_ID = Query(_FOUND.where(sessions.c.id == bindparam("id")))

_ADD = insert(sessions)
_TOUCH = (
    update(sessions)
    .where(sessions.c.id == bindparam("of"), sessions.c.last_seen_at < bindparam("at"))
    .values(last_seen_at=bindparam("at"))
)
_END = delete(sessions).where(sessions.c.id == bindparam("of"))
_OVER = (
    select(sessions.c.id)
    .where(or_(sessions.c.expires_at < bindparam("expired"), sessions.c.last_seen_at < bindparam("idle")))
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)  # two sweepers share the work instead of waiting for each other
)
_SWEEP = delete(sessions).where(sessions.c.id.in_(_OVER))

_OF_USER = Query(
    select(*_COLUMNS)
    .where(sessions.c.user_id == bindparam("user"), sessions.c.id > bindparam("after"))
    .order_by(sessions.c.id)
    .limit(bindparam("limit"))
)
_END_OF_USER = delete(sessions).where(sessions.c.user_id == bindparam("user"), sessions.c.id != bindparam("keep"))

_ADD_TOKEN = insert(refresh_tokens)
_SPEND = (
    update(refresh_tokens)
    .where(refresh_tokens.c.token_hash == bindparam("hash"), refresh_tokens.c.spent_at.is_(None))
    .values(spent_at=bindparam("at"), seed=bindparam("seed"))
    .returning(refresh_tokens.c.session_id, refresh_tokens.c.expires_at)
)
_SPENT = select(
    refresh_tokens.c.session_id, refresh_tokens.c.expires_at, refresh_tokens.c.spent_at, refresh_tokens.c.seed
).where(refresh_tokens.c.token_hash == bindparam("hash"))
_TOKEN = Query(_SPENT)


class SqlSessions:
    """See :class:`SessionRepository`. The database removes the refresh tokens of a session with it."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def add(self, session: Session) -> None:
        """See :meth:`SessionRepository.add`."""
        await self._database().change(
            _ADD,
            {
                "id": session.id,
                "token_hash": session.token_hash,
                "user_id": session.user_id,
                "user_epoch": session.user_epoch,
                "created_at": session.created_at,
                "last_seen_at": session.last_seen_at,
                "expires_at": session.expires_at,
                "methods": " ".join(session.methods),
                "address": session.address,
                "user_agent": session.user_agent,
            },
        )

    async def find(self, token_hash: bytes) -> tuple[Session, User] | None:
        """See :meth:`SessionRepository.find`."""
        return await self._find(BY_TOKEN, {"token_hash": token_hash})

    async def find_by_id(self, session_id: str) -> tuple[Session, User] | None:
        """See :meth:`SessionRepository.find_by_id`."""
        return await self._find(BY_ID, {"id": session_id})

    async def touch(self, session_id: str, at: datetime) -> None:
        """See :meth:`SessionRepository.touch`."""
        await self._database().change(_TOUCH, {"of": session_id, "at": at})

    async def end(self, session_id: str) -> bool:
        """See :meth:`SessionRepository.end`."""
        return await self._database().change(_END, {"of": session_id}) > 0

    async def sweep(self, expired_before: datetime, idle_since: datetime, *, limit: int = 1000) -> int:
        """See :meth:`SessionRepository.sweep`."""
        return await self._database().change(_SWEEP, {"expired": expired_before, "idle": idle_since, "limit": limit})

    async def _find(self, query: Query, key: dict[str, Any]) -> tuple[Session, User] | None:
        rows = await self._database().fetch(query, key)
        if not rows:
            return None
        user = user_of(rows)
        return _session(user.id, rows[0][AFTER_USER:]), user


def _session(user_id: str, row: Row) -> Session:
    """The session whose row this is, made of :data:`_COLUMNS`."""
    return Session(
        id=row[0],
        token_hash=row[1],
        user_id=user_id,
        user_epoch=row[2],
        created_at=row[3],
        last_seen_at=row[4],
        expires_at=row[5],
        methods=tuple(row[6].split()),
        address=row[7],
        user_agent=row[8],
    )


class SqlRefreshTokens:
    """See :class:`RefreshTokenRepository`."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def add(self, token: RefreshToken) -> None:
        """See :meth:`RefreshTokenRepository.add`."""
        await self._database().change(
            _ADD_TOKEN,
            {
                "token_hash": token.token_hash,
                "session_id": token.session_id,
                "expires_at": token.expires_at,
                "spent_at": token.spent_at,
                "seed": token.seed or None,
            },
        )

    async def spend(self, token_hash: bytes, at: datetime, seed: bytes) -> RefreshToken | None:
        """See :meth:`RefreshTokenRepository.spend`.

        The update is the decision: of two that meet at the row, the second waits for the first to commit, looks again
        and finds the token spent.
        """
        async with self._database().committing() as connection:
            won = (await connection.execute(_SPEND, {"hash": token_hash, "at": at, "seed": seed})).first()
            if won is not None:
                return RefreshToken(token_hash=token_hash, session_id=won[0], expires_at=won[1])
            spent = (await connection.execute(_SPENT, {"hash": token_hash})).first()
        return None if spent is None else _token(token_hash, spent)

    async def find(self, token_hash: bytes) -> RefreshToken | None:
        """See :meth:`RefreshTokenRepository.find`."""
        rows = await self._database().fetch(_TOKEN, {"hash": token_hash})
        return _token(token_hash, rows[0]) if rows else None


def _token(token_hash: bytes, row: Row) -> RefreshToken:
    session_id, expires_at, spent_at, seed = row
    return RefreshToken(
        token_hash=token_hash, session_id=session_id, expires_at=expires_at, spent_at=spent_at, seed=seed or b""
    )


class SqlUserSessions:
    """See :class:`UserSessionRepository`."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def list(self, user_id: str, *, cursor: str | None = None, limit: int = 100) -> Page[Session]:
        """See :meth:`UserSessionRepository.list`."""
        after = check_cursor(cursor, UUID)
        rows = await self._database().fetch(_OF_USER, {"user": user_id, "after": after or "", "limit": limit + 1})
        return page([_session(user_id, row) for row in rows], limit, lambda session: session.id)

    async def end(self, user_id: str, *, keep: str = "") -> int:
        """See :meth:`UserSessionRepository.end`."""
        return await self._database().change(_END_OF_USER, {"user": user_id, "keep": keep})


_: type[SessionRepository] = SqlSessions
_tokens: type[RefreshTokenRepository] = SqlRefreshTokens
_of_user: type[UserSessionRepository] = SqlUserSessions
