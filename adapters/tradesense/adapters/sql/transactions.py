"""Transactions of the database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.transactions import Transactions
from tradesense.plugins.manifest import AdapterContext


class SqlTransactions(Room):
    """Transactions that every SQL adapter of the same container joins.

    PostgreSQL runs them at READ COMMITTED; on SQLite a transaction takes the write lock when it begins. A cancellation
    that arrives while the commit is under way waits for it, and then goes on.
    """

    def begin(self) -> AbstractAsyncContextManager[None]:
        """See :meth:`Transactions.begin`. A part that failed cannot be committed, even if its caller goes on."""
        return self._ready().begin()

    def after_commit(self, call: Callable[[], None]) -> None:
        """See :meth:`Transactions.after_commit`."""
        self._ready().after_commit(call)


def transactions(settings: SqlSettings, context: AdapterContext) -> SqlTransactions:
    """The factory that the manifest names."""
    return SqlTransactions(database_of(settings, context))


_: type[Transactions] = SqlTransactions
