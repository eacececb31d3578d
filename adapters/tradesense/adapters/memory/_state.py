"""What the memory adapters of one container share: tables, and the one transaction that may be open over them.

Writers take turns. What a transaction writes stays beside the tables until it commits, so that everyone else reads
what was committed, never waits, and a roll-back costs nothing.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from heapq import merge
from itertools import islice
from typing import Any, Generic, TypeVar

from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.paging import Page

TURN_SECONDS = 30.0
"""How long a transaction waits for its turn. Only a body that waits for another transaction ever reaches it."""

K = TypeVar("K", str, int, bytes, tuple[str, str, str])
V = TypeVar("V")
Part = TypeVar("Part")


class MemoryState:
    """The one backend of all memory adapters that are given it. It belongs to one event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._changed: dict[Table[Any, Any], None] = {}
        self._after: list[Callable[[], None]] = []
        self._spoilt = False
        self._parts: dict[Callable[[MemoryState], Any], Any] = {}

    def part(self, make: Callable[[MemoryState], Part]) -> Part:
        """What ``make`` made of this state, once for all who ask."""
        if make not in self._parts:
            self._parts[make] = make(self)
        found: Part = self._parts[make]
        return found

    def inside(self) -> bool:
        """Whether this task, and not the task that began it, has the open transaction."""
        return self._owner is not None and asyncio.current_task() is self._owner

    def change(self, table: Table[Any, Any]) -> None:
        """Let ``table`` take part in this task's transaction."""
        if not self.inside():
            raise RuntimeError("memory tables are written inside a transaction only")
        self._changed[table] = None

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[None]:
        """Enter this task's transaction, or begin it.

        :raises DatabaseUnavailable: other transactions did not end in time.
        """
        if self.inside():
            yield
            return
        await self._take_turn()
        self._owner = asyncio.current_task()
        after: list[Callable[[], None]] = []
        try:
            yield
            self._check_whole()
            for table in self._changed:
                table.commit()
            after = self._after
        finally:
            for table in self._changed:
                table.forget()
            self._changed.clear()
            self._after = []
            self._spoilt = False
            self._owner = None
            self._turn.release()
        for call in after:
            call()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call once this task's transaction has committed, or now where there is none."""
        if self.inside():
            self._after.append(call)
        else:
            call()

    def spoil(self) -> None:
        """Let this task's transaction be one that can only be rolled back."""
        self._spoilt = True

    def _check_whole(self) -> None:
        """Go on to commit only what is whole.

        :raises DatabaseUnavailable: a part was refused, and its caller went on regardless.
        """
        if self._spoilt:
            raise DatabaseUnavailable("a part of the transaction failed, so nothing was changed", origin="memory")

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable(
                f"another transaction was open for {TURN_SECONDS:g} s",
                origin="memory",
                mend="do not wait, inside a transaction, for a task that begins another",
            ) from error


class Table(Generic[K, V]):
    """Rows by key."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._rows: dict[K, V] = {}
        self._changes: dict[K, V | None] = {}

    def get(self, key: K) -> V | None:
        """The row, as this task sees it."""
        if key in self._changes and self._state.inside():
            return self._changes[key]
        return self._rows.get(key)

    def committed(self, key: K) -> V | None:
        """The row, as everyone else sees it."""
        return self._rows.get(key)

    def put(self, key: K, row: V) -> None:
        """Write a row in this task's transaction."""
        self._state.change(self)
        self._changes[key] = row

    def remove(self, key: K) -> None:
        """Remove a row, if it is there, in this task's transaction."""
        self._state.change(self)
        self._changes[key] = None

    def keys(self) -> list[K]:
        """The keys of all committed rows, in no order."""
        return list(self._rows)

    def visible(self, wanted: Callable[[V], bool]) -> list[K]:
        """The keys of all rows, as this task sees them, that are ``wanted``, in no order."""
        keys = {**self._rows, **self._changes} if self._state.inside() else self._rows
        return [key for key in keys if (row := self.get(key)) is not None and wanted(row)]

    def commit(self) -> None:
        """Let everyone see what the transaction wrote."""
        for key, row in self._changes.items():
            if row is None:
                self._drop(key)
            else:
                self._keep(key, row)

    def forget(self) -> None:
        """Drop what the transaction wrote."""
        self._changes.clear()

    def _keep(self, key: K, row: V) -> None:
        self._rows[key] = row

    def _drop(self, key: K) -> None:
        self._rows.pop(key, None)


class SortedTable(Table[K, V]):
    """Rows that are listed in the order of their keys."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__(state)
        self._keys: list[K] = []

    def scan(self, start: K, *, after: bool = False) -> Iterator[tuple[K, V]]:
        """Key and row, ascending from ``start``, as this task sees them. Do not wait between two of them."""
        first = (bisect_right if after else bisect_left)(self._keys, start)
        committed = (self._keys[index] for index in range(first, len(self._keys)))
        if not self._changes or not self._state.inside():
            yield from ((key, self._rows[key]) for key in committed)
            return
        added = [key for key in self._changes if key not in self._rows and (key > start if after else key >= start)]
        for key in merge(committed, sorted(added)):
            row = self.get(key)
            if row is not None:
                yield key, row

    def _keep(self, key: K, row: V) -> None:
        if key not in self._rows:
            insort(self._keys, key)
        self._rows[key] = row

    def _drop(self, key: K) -> None:
        if self._rows.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]


def page(rows: Iterator[tuple[str, V]], limit: int) -> Page[V]:
    """The first ``limit`` of the rows; the cursor is the last one's key."""
    taken = list(islice(rows, limit + 1))
    cursor = taken[limit - 1][0] if len(taken) > limit else None
    return Page(items=tuple(row for _, row in taken[:limit]), cursor=cursor)
