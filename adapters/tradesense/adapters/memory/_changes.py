"""Changes that wait for approval or for their time, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, page
from tradesense.core.errors import ChangeConflict, ChangeNotFound
from tradesense.core.flags.ports import ChangeStore
from tradesense.core.flags.requests import ChangeRequest, State, check_id
from tradesense.core.paging import Page, check_cursor


class _Rows:
    """Requests are kept encoded, as the values of variants could be changed by who was given them."""

    def __init__(self, state: MemoryState) -> None:
        self.requests: SortedTable[str, bytes] = SortedTable(state)


class MemoryChanges(Lifecycle):
    """Ends with the process. See :class:`ChangeStore`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)

    async def add(self, request: ChangeRequest) -> None:
        """See :meth:`ChangeStore.add`."""
        self.check_open()
        async with self.state.begin():
            self._rows.requests.put(request.id, msgspec.json.encode(request))

    async def get(self, request_id: str) -> ChangeRequest:
        """See :meth:`ChangeStore.get`."""
        self.check_open()
        row = self._rows.requests.get(request_id)
        if row is None:
            raise ChangeNotFound(f"there is no change {request_id[:80]!r}")
        return _decode(row)

    async def list(
        self, *, state: State | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page[ChangeRequest]:
        """See :meth:`ChangeStore.list`."""
        self.check_open()
        check_cursor(cursor, check_id)
        rows = self._rows.requests.scan(cursor or "", after=cursor is not None)
        found = ((request_id, _decode(row)) for request_id, row in rows)
        return page((row for row in found if state is None or row[1].state is state), limit)

    async def replace(self, request: ChangeRequest) -> None:
        """See :meth:`ChangeStore.replace`."""
        self.check_open()
        async with self.state.begin():
            row = self._rows.requests.get(request.id)
            if row is None or _decode(row).version != request.version - 1:
                raise ChangeConflict(f"the change {request.id} has gone on meanwhile", mend="read it again")
            self._rows.requests.put(request.id, msgspec.json.encode(request))

    async def due(self, now: datetime, *, limit: int) -> Sequence[ChangeRequest]:
        """See :meth:`ChangeStore.due`."""
        self.check_open()
        found = [_decode(row) for _, row in self._rows.requests.scan("")]
        ripe = [
            (one.not_before, one.id, one)
            for one in found
            if one.state is State.SCHEDULED and one.not_before is not None and one.not_before <= now
        ]
        return tuple(one for _, _, one in sorted(ripe, key=lambda row: row[:2])[:limit])


def _decode(row: bytes) -> ChangeRequest:
    return msgspec.json.decode(row, type=ChangeRequest)


_: type[ChangeStore] = MemoryChanges
