"""The identity store in memory."""

from __future__ import annotations

from tradesense.adapters.memory._accounts import MemoryRefreshTokens, MemorySessions, MemoryUsers
from tradesense.adapters.memory._actions import MemoryActionTokens
from tradesense.adapters.memory._grants import MemoryApiKeys, MemoryRoles, MemoryUserSessions
from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.identity.ports import IdentityStore


class MemoryIdentityStore(Lifecycle):
    """Accounts that end with the process. See :class:`IdentityStore`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self.state = state
        self._users = MemoryUsers(state, self.check_open)
        self._sessions = MemorySessions(state, self.check_open)
        self._refresh_tokens = MemoryRefreshTokens(state, self.check_open)
        self._user_sessions = MemoryUserSessions(state, self.check_open)
        self._api_keys = MemoryApiKeys(state, self.check_open)
        self._roles = MemoryRoles(state, self.check_open)
        self._actions = MemoryActionTokens(state, self.check_open)

    @property
    def users(self) -> MemoryUsers:
        """See :attr:`IdentityStore.users`."""
        return self._users

    @property
    def sessions(self) -> MemorySessions:
        """See :attr:`IdentityStore.sessions`."""
        return self._sessions

    @property
    def refresh_tokens(self) -> MemoryRefreshTokens:
        """See :attr:`IdentityStore.refresh_tokens`."""
        return self._refresh_tokens

    @property
    def user_sessions(self) -> MemoryUserSessions:
        """See :attr:`IdentityStore.user_sessions`."""
        return self._user_sessions

    @property
    def api_keys(self) -> MemoryApiKeys:
        """See :attr:`IdentityStore.api_keys`."""
        return self._api_keys

    @property
    def roles(self) -> MemoryRoles:
        """See :attr:`IdentityStore.roles`."""
        return self._roles

    @property
    def actions(self) -> MemoryActionTokens:
        """See :attr:`IdentityStore.actions`."""
        return self._actions


_: type[IdentityStore] = MemoryIdentityStore
