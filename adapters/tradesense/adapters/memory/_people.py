"""The identity store in memory."""

from __future__ import annotations

from tradesense.adapters.memory._accounts import MemoryRefreshTokens, MemorySessions, MemoryUsers
from tradesense.adapters.memory._actions import MemoryActionTokens
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
    def actions(self) -> MemoryActionTokens:
        """See :attr:`IdentityStore.actions`."""
        return self._actions


_: type[IdentityStore] = MemoryIdentityStore
