"""Transactions in memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.transactions import Transactions
from tradesense.plugins.manifest import AdapterContext, NoSettings


class MemoryTransactions(Lifecycle):
    """One transaction at a time over all stores of one :class:`MemoryState`. See :class:`Transactions`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self.state = state

    def begin(self) -> AbstractAsyncContextManager[None]:
        """See :meth:`Transactions.begin`."""
        self.check_open()
        return self.state.begin()

    def after_commit(self, call: Callable[[], None]) -> None:
        """See :meth:`Transactions.after_commit`."""
        self.check_open()
        self.state.after_commit(call)


def transactions(_: NoSettings, context: AdapterContext) -> MemoryTransactions:
    """The factory."""
    return MemoryTransactions(context.share(MemoryState, MemoryState))


_: type[Transactions] = MemoryTransactions
