"""The greatest fencing token of each name."""

from __future__ import annotations

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, Table
from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import Fences
from tradesense.core.errors import DatabaseUnavailable, LeaseLost


def _tokens(state: MemoryState) -> Table[str, int]:
    return Table(state)


class MemoryFences(Lifecycle):
    """Fences over the transactions of one :class:`MemoryState`. See :class:`Fences`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self.state = state
        self._tokens = state.part(_tokens)

    async def guard(self, lease: Lease) -> None:
        """See :meth:`Fences.guard`."""
        self.check_open()
        if not self.state.inside():
            raise DatabaseUnavailable("a guarded write needs a transaction", mend="open one around guard and write")
        if lease.token < (self._tokens.get(lease.name) or 0):
            self.state.spoil()
            raise LeaseLost(f"the lease {lease.name!r} has a later holder, who has written since")
        self._tokens.put(lease.name, lease.token)


_: type[Fences] = MemoryFences
