"""Accounts, sessions and refresh tokens in one database."""

from __future__ import annotations

from tradesense.adapters.sql._actions import SqlActionTokens
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._grants import SqlApiKeys, SqlRoles
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._sessions import SqlRefreshTokens, SqlSessions, SqlUserSessions
from tradesense.adapters.sql._users import SqlUsers
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.identity.ports import IdentityStore
from tradesense.plugins.manifest import AdapterContext


class SqlIdentityStore(Room):
    """See :class:`IdentityStore`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._users = SqlUsers(self._ready)
        self._sessions = SqlSessions(self._ready)
        self._refresh_tokens = SqlRefreshTokens(self._ready)
        self._actions = SqlActionTokens(self._ready)
        self._user_sessions = SqlUserSessions(self._ready)
        self._api_keys = SqlApiKeys(self._ready)
        self._roles = SqlRoles(self._ready)

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
    return SqlIdentityStore(database_of(settings, context))


_: type[IdentityStore] = SqlIdentityStore
