"""One-time tokens in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice

from tradesense.adapters.memory._accounts import Rows
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.identity.models import ActionToken, Purpose
from tradesense.core.identity.repositories import ActionTokenRepository


class MemoryActionTokens:
    """See :class:`ActionTokenRepository`."""

    def __init__(self, state: MemoryState, check_open: Callable[[], None]) -> None:
        self._state = state
        self._rows = state.part(Rows)
        self._check_open = check_open

    async def add(self, token: ActionToken) -> None:
        """See :meth:`ActionTokenRepository.add`."""
        self._check_open()
        async with self._state.begin():
            self._rows.actions.put(token.token_hash, token)

    async def find(self, purpose: Purpose, token_hash: bytes) -> ActionToken | None:
        """See :meth:`ActionTokenRepository.find`."""
        self._check_open()
        token = self._rows.actions.get(token_hash)
        return token if token is not None and token.purpose is purpose else None

    async def take(self, purpose: Purpose, token_hash: bytes) -> ActionToken | None:
        """See :meth:`ActionTokenRepository.take`."""
        self._check_open()
        async with self._state.begin():
            token = await self.find(purpose, token_hash)
            if token is not None:
                self._rows.actions.remove(token_hash)
        return token

    async def drop(self, user_id: str) -> int:
        """See :meth:`ActionTokenRepository.drop`."""
        self._check_open()
        async with self._state.begin():
            return self._remove(self._rows.actions.visible(lambda token: token.user_id == user_id))

    async def sweep(self, expired_before: datetime, *, limit: int = 1000) -> int:
        """See :meth:`ActionTokenRepository.sweep`."""
        self._check_open()
        async with self._state.begin():
            expired = self._rows.actions.visible(lambda token: token.expires_at < expired_before)
            return self._remove(list(islice(expired, limit)))

    def _remove(self, hashes: list[bytes]) -> int:
        for token_hash in hashes:
            self._rows.actions.remove(token_hash)
        return len(hashes)


_: type[ActionTokenRepository] = MemoryActionTokens
