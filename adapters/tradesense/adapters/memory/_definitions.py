"""Definitions of one kind, flags or segments, in memory with their histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table, page
from tradesense.core.ambient import Clock
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.kinds import Kind
from tradesense.core.flags.models import Flag, Segment, Stored
from tradesense.core.paging import Page, check_cursor

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)

_GENERATION = "generation"


class _Rows:
    """Definitions are kept encoded, as the values of variants could be changed by who was given them."""

    def __init__(self, state: MemoryState) -> None:
        self.current: SortedTable[str, bytes] = SortedTable(state)
        self.histories: Table[str, tuple[bytes, ...]] = Table(state)


class _FlagRows(_Rows):
    """Those of flags."""


class _SegmentRows(_Rows):
    """Those of segments."""


class _Numbers(Table[str, int]):
    """The generation, which flags and segments have in common."""


class MemoryDefinitions(Lifecycle, Generic[D, S]):
    """Definitions that end with the process. See :class:`WritableDefinitionStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock, kind: Kind[D, S]) -> None:
        super().__init__()
        self.state = state
        self._rows: _Rows = state.part(_FlagRows if kind.name == "flag" else _SegmentRows)
        self._numbers = state.part(_Numbers)
        self._kind = kind
        self._clock = clock

    async def get(self, key: str) -> S:
        """See :meth:`DefinitionStore.get`."""
        self.check_open()
        row = self._rows.current.get(key)
        if row is None:
            raise self._kind.missing(key)
        return self._decode(row)

    async def put(self, definition: D, /, *, expected: int | None = None, by: str = "") -> S:
        """See :meth:`WritableDefinitionStore.put`."""
        self.check_open()
        key = definition.key
        async with self.state.begin():
            self._kind.expect(key, self._current(key), expected)
            row = self._add(key, definition, by=by)
            self._rows.current.put(key, row)
        return self._decode(row)

    async def delete(self, key: str, *, expected: int | None = None, by: str = "") -> None:
        """See :meth:`WritableDefinitionStore.delete`."""
        self.check_open()
        async with self.state.begin():
            row = self._rows.current.get(key)
            if row is None:
                raise self._kind.missing(key)
            self._kind.expect(key, self._current(key), expected)
            self._add(key, self._kind.of(self._decode(row)), by=by, deleted=True)
            self._rows.current.remove(key)

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[S]:
        """See :meth:`DefinitionStore.list`."""
        self.check_open()
        check_cursor(cursor, check_key)
        rows = self._rows.current.scan(cursor or "", after=cursor is not None)
        return page(((key, self._decode(row)) for key, row in rows), limit)

    async def history(self, key: str) -> Sequence[S]:
        """See :meth:`WritableDefinitionStore.history`."""
        self.check_open()
        return tuple(self._decode(row) for row in self._rows.histories.get(key) or ())

    async def generation(self) -> int:
        """See :meth:`DefinitionStore.generation`."""
        self.check_open()
        return self._numbers.get(_GENERATION) or 0

    def _current(self, key: str) -> int:
        row = self._rows.current.get(key)
        return 0 if row is None else self._decode(row).revision

    def _add(self, key: str, definition: D, *, by: str, deleted: bool = False) -> bytes:
        """Add the next revision to the history of ``key``, and return its row."""
        history = self._rows.histories.get(key) or ()
        stored = self._kind.revision(
            definition, revision=len(history) + 1, at=self._clock.now(), by=by, deleted=deleted
        )
        row = msgspec.json.encode(stored)
        self._rows.histories.put(key, (*history, row))
        self._numbers.put(_GENERATION, (self._numbers.get(_GENERATION) or 0) + 1)
        return row

    def _decode(self, row: bytes) -> S:
        return msgspec.json.decode(row, type=self._kind.stored)
