"""One-time tokens in a table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._tables import action_tokens
from tradesense.core.identity.models import ActionToken, Purpose
from tradesense.core.identity.repositories import ActionTokenRepository

_TOKENS = action_tokens.c
_COLUMNS = (_TOKENS.token_hash, _TOKENS.purpose, _TOKENS.user_id, _TOKENS.state, _TOKENS.created_at, _TOKENS.expires_at)
_WANTED = (_TOKENS.token_hash == bindparam("hash"), _TOKENS.purpose == bindparam("wanted"))

_ADD = insert(action_tokens)
_FIND = Query(select(*_COLUMNS).where(*_WANTED))
_TAKE = delete(action_tokens).where(*_WANTED).returning(*_COLUMNS)
_DROP = delete(action_tokens).where(_TOKENS.user_id == bindparam("of"))
_EXPIRED = (
    select(_TOKENS.token_hash)
    .where(_TOKENS.expires_at < bindparam("expired"))
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)  # two sweepers share the work instead of waiting for each other
)
_SWEEP = delete(action_tokens).where(_TOKENS.token_hash.in_(_EXPIRED))


class SqlActionTokens:
    """See :class:`ActionTokenRepository`."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def add(self, token: ActionToken) -> None:
        """See :meth:`ActionTokenRepository.add`."""
        row: dict[str, Any] = {
            "token_hash": token.token_hash,
            "purpose": token.purpose.value,
            "user_id": token.user_id,
            "state": token.state,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
        await self._database().change(_ADD, row)

    async def find(self, purpose: Purpose, token_hash: bytes) -> ActionToken | None:
        """See :meth:`ActionTokenRepository.find`."""
        rows = await self._database().fetch(_FIND, {"hash": token_hash, "wanted": purpose.value})
        return _token(rows[0]) if rows else None

    async def take(self, purpose: Purpose, token_hash: bytes) -> ActionToken | None:
        """See :meth:`ActionTokenRepository.take`.

        The deletion is the decision: of two that meet at the row, the second waits for the first to commit and finds
        the row gone.
        """
        async with self._database().committing() as connection:
            row = (await connection.execute(_TAKE, {"hash": token_hash, "wanted": purpose.value})).first()
        return None if row is None else _token(row)

    async def drop(self, user_id: str) -> int:
        """See :meth:`ActionTokenRepository.drop`."""
        return await self._database().change(_DROP, {"of": user_id})

    async def sweep(self, expired_before: datetime, *, limit: int = 1000) -> int:
        """See :meth:`ActionTokenRepository.sweep`."""
        return await self._database().change(_SWEEP, {"expired": expired_before, "limit": limit})


def _token(row: Row) -> ActionToken:
    return ActionToken(
        token_hash=row[0],
        purpose=Purpose(row[1]),
        user_id=row[2],
        state=row[3],
        created_at=row[4],
        expires_at=row[5],
    )


_: type[ActionTokenRepository] = SqlActionTokens
