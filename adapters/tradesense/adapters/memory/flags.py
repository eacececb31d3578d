"""Flag definitions and exposures in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table, page
from tradesense.core.ambient import Clock
from tradesense.core.errors import FlagConflict, FlagNotFound
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.models import Exposure, Flag, StoredFlag
from tradesense.core.flags.ports import ExposureSink, FlagStore
from tradesense.core.paging import Page, check_cursor
from tradesense.plugins.manifest import AdapterContext, NoSettings

KEPT_EXPOSURES = 10_000
_GENERATION = "generation"


class _Rows:
    """Definitions are kept encoded, as the values of variants could be changed by who was given them."""

    def __init__(self, state: MemoryState) -> None:
        self.flags: SortedTable[str, bytes] = SortedTable(state)
        self.revisions: Table[str, int] = Table(state)
        """The last revision of each key; it outlives the flag."""
        self.numbers: Table[str, int] = Table(state)
        self.exposures: deque[Exposure] = deque(maxlen=KEPT_EXPOSURES)


class MemoryFlagStore(Lifecycle):
    """Flags that end with the process. A removal takes a revision too. See :class:`FlagStore`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)
        self._clock = clock

    async def get(self, key: str) -> StoredFlag:
        """See :meth:`FlagStore.get`."""
        self.check_open()
        row = self._rows.flags.get(key)
        if row is None:
            raise FlagNotFound(f"there is no flag {key!r}")
        return _decode(row)

    async def put(self, flag: Flag, *, expected: int | None = None) -> StoredFlag:
        """See :meth:`FlagStore.put`."""
        self.check_open()
        async with self.state.begin():
            self._expect(flag.key, expected)
            stored = StoredFlag(flag=flag, revision=self._advance(flag.key), updated_at=self._clock.now())
            row = msgspec.json.encode(stored)
            self._rows.flags.put(flag.key, row)
        return _decode(row)

    async def delete(self, key: str, *, expected: int | None = None) -> None:
        """See :meth:`FlagStore.delete`."""
        self.check_open()
        async with self.state.begin():
            if self._rows.flags.get(key) is None:
                raise FlagNotFound(f"there is no flag {key!r}")
            self._expect(key, expected)
            self._advance(key)
            self._rows.flags.remove(key)

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[StoredFlag]:
        """See :meth:`FlagStore.list`."""
        self.check_open()
        check_cursor(cursor, check_key)
        rows = self._rows.flags.scan(cursor or "", after=cursor is not None)
        return page(((key, _decode(row)) for key, row in rows), limit)

    async def generation(self) -> int:
        """See :meth:`FlagStore.generation`."""
        self.check_open()
        return self._rows.numbers.get(_GENERATION) or 0

    def _expect(self, key: str, expected: int | None) -> None:
        """:raises FlagConflict: ``expected`` is not the current revision."""
        row = self._rows.flags.get(key)
        current = 0 if row is None else _decode(row).revision
        if expected is not None and expected != current:
            raise FlagConflict(f"flag {key!r} has revision {current}, not {expected}", mend="read it again")

    def _advance(self, key: str) -> int:
        revision = (self._rows.revisions.get(key) or 0) + 1
        self._rows.revisions.put(key, revision)
        self._rows.numbers.put(_GENERATION, (self._rows.numbers.get(_GENERATION) or 0) + 1)
        return revision


class MemoryExposures(Lifecycle):
    """Keeps the last 10,000 exposures. See :class:`ExposureSink`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self.recorded = state.part(_Rows).exposures
        """The exposures, oldest first."""

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """See :meth:`ExposureSink.record`."""
        self.check_open()
        self.recorded.extend(exposures)


def _decode(row: bytes) -> StoredFlag:
    return msgspec.json.decode(row, type=StoredFlag)


def store(_: NoSettings, context: AdapterContext) -> MemoryFlagStore:
    """The factory of the store."""
    return MemoryFlagStore(context.share(MemoryState, MemoryState), clock=context.clock)


def exposures(_: NoSettings, context: AdapterContext) -> MemoryExposures:
    """The factory of the sink."""
    return MemoryExposures(context.share(MemoryState, MemoryState))


_: type[FlagStore] = MemoryFlagStore
_exposures: type[ExposureSink] = MemoryExposures
