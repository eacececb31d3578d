"""Accounts, sessions and refresh tokens in one database."""

from __future__ import annotations

from typing import Self

from sqlalchemy import func, select

from tradesense.adapters.sql._actions import SqlActionTokens
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._grants import SqlApiKeys, SqlRoles
from tradesense.adapters.sql._query import Query
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._sessions import SqlRefreshTokens, SqlSessions, SqlUserSessions
from tradesense.adapters.sql._tables import action_tokens, sessions
from tradesense.adapters.sql._users import SqlUsers
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.steady import SteadyClock
from tradesense.plugins.manifest import AdapterContext

_LATEST = tuple(Query(select(func.max(column))) for column in (sessions.c.last_seen_at, action_tokens.c.created_at))


class SqlIdentityStore(Room):
    """See :class:`IdentityStore`."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        super().__init__(database)
        self._clock = clock
        self._users = SqlUsers(self._ready)
        self._sessions = SqlSessions(self._ready)
        self._refresh_tokens = SqlRefreshTokens(self._ready)
        self._actions = SqlActionTokens(self._ready)
        self._user_sessions = SqlUserSessions(self._ready)
        self._api_keys = SqlApiKeys(self._ready)
        self._roles = SqlRoles(self._ready)

    async def __aenter__(self) -> Self:
        """Open the database; where it has no time of its own, it is not earlier now than what was written last."""
        await super().__aenter__()
        if isinstance(self._clock, SteadyClock) and self._shared.dialect == "sqlite":
            for query in _LATEST:
                ((latest,),) = await self._shared.fetch(query, {})
                if latest is not None:
                    self._clock.not_before(latest)
        return self

    @property
    def users(self) -> SqlUsers:
        """See :attr:`IdentityStore.users`."""
        return self._users

    @property
    def sessions(self) -> SqlSessions:
        """See :attr:`IdentityStore.sessions`."""
        return self._sessions

    @property
    def refresh_tokens(self) -> SqlRefreshTokens:
        """See :attr:`IdentityStore.refresh_tokens`."""
        return self._refresh_tokens

    @property
    def actions(self) -> SqlActionTokens:
        """See :attr:`IdentityStore.actions`."""
        return self._actions

    @property
    def user_sessions(self) -> SqlUserSessions:
        """See :attr:`IdentityStore.user_sessions`."""
        return self._user_sessions

    @property
    def api_keys(self) -> SqlApiKeys:
        """See :attr:`IdentityStore.api_keys`."""
        return self._api_keys

    @property
    def roles(self) -> SqlRoles:
        """See :attr:`IdentityStore.roles`."""
        return self._roles


def identity_store(settings: SqlSettings, context: AdapterContext) -> SqlIdentityStore:
    """The factory that the manifest names."""
    return SqlIdentityStore(database_of(settings, context), context.clock)


_: type[IdentityStore] = SqlIdentityStore
