"""The compiled definitions that a process evaluates by, and how they are kept fresh."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

from tradesense.core.ambient import Clock
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.flags.library import Library
from tradesense.core.flags.models import Evaluation, Stored
from tradesense.core.flags.ports import DefinitionStore
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import Toolkit
from tradesense.core.paging import MAX_PAGE

S = TypeVar("S", bound=Stored)

PATIENCE = 0.2
"""Seconds that an evaluation waits for a store that is slow to say whether anything has changed."""


class Definitions:
    """Reads the store at most every ``refresh`` seconds, and all of it only when its generation has grown.

    Whoever finds the definitions old starts one reading for all. While none were ever read, everyone waits for it;
    afterwards a slow or absent store costs the callers :data:`PATIENCE` once, and the last known definitions go on.
    """

    def __init__(self, *, stores: Stores, clock: Clock, refresh: float, toolkit: Toolkit) -> None:
        self._stores = stores
        self._clock = clock
        self._refresh = refresh
        self._library = Library(toolkit)
        self._generation = -1
        self._fresh_until = float("-inf")
        self._changes = 0
        self._told = 0
        self._reading: asyncio.Task[None] | None = None
        self._began = 0.0
        self._loaded = asyncio.Event()
        """Set, and replaced, whenever other definitions are in force."""

    def changed(self) -> None:
        """This process has changed a flag: what is read from now on, and not before, counts as fresh."""
        self._changes += 1
        self._fresh_until = float("-inf")
        self._reading = None  # what that reading finds may be older than the change
        self._wake()

    def stale(self) -> None:
        """Somebody says that a definition has changed: whoever comes next asks the store.

        A reading under way is taken, as with many notices there would be no other, and counts as old at once.
        """
        self._told += 1
        self._fresh_until = float("-inf")
        self._wake()

    @property
    def tag(self) -> str:
        """Names the definitions in force, alike in every process."""
        return str(self._generation)

    def measured(self, found: Evaluation) -> bool:
        """Whether chance decided this answer of an experiment."""
        return found.reason in self._library.measured.get(found.key, ())

    async def changed_since(self, tag: str, seconds: float) -> str:
        """The tag in force: as soon as it is another than ``tag``, or as it is after ``seconds``.

        :raises DatabaseUnavailable: no definitions were ever read.
        """
        until = self._clock.monotonic() + seconds
        while True:
            await self.current()
            left = until - self._clock.monotonic()
            if self.tag != tag or left <= 0:
                return self.tag
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._refresh)):
                    await self._loaded.wait()

    def _wake(self) -> None:
        self._loaded.set()
        self._loaded = asyncio.Event()

    async def current(self) -> Library:
        """The definitions.

        :raises DatabaseUnavailable: none were ever read.
        """
        now = self._clock.monotonic()
        if now >= self._fresh_until:
            await self._read(now)
        return self._library

    async def latest(self) -> Library:
        """The definitions as the store has them now, for those who are about to change one.

        :raises DatabaseUnavailable: none were ever read.
        """
        self._changes += 1
        self._fresh_until = float("-inf")
        self._reading = None  # what that reading finds may be older than the call
        return await self.current()

    async def _read(self, now: float) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._load(self._changes))
            self._began = now
        reading = self._reading
        if self._generation < 0:
            await asyncio.shield(reading)
        elif now - self._began < PATIENCE:
            await asyncio.wait({reading}, timeout=PATIENCE)

    async def _load(self, changes: int) -> None:
        asked, told = self._clock.monotonic(), self._told
        try:
            generation = await self._stores.flags.generation()
            if generation != self._generation:
                flags, segments = await _all(self._stores.flags), await _all(self._stores.segments)
                if changes != self._changes:
                    return  # a change was made meanwhile; whoever comes next reads again
                self._library.load(flags, [stored.segment for stored in segments])
                self._generation = generation
                self._wake()
        except DatabaseUnavailable:
            if self._generation < 0:
                raise
            # The last known definitions are better than none; they are asked for again after `refresh`.
        if changes == self._changes and told == self._told:
            self._fresh_until = asked + self._refresh


async def _all(store: DefinitionStore[S]) -> list[S]:
    found: list[S] = []
    cursor: str | None = None
    while True:
        page = await store.list(cursor=cursor, limit=MAX_PAGE)
        found += page.items
        if (cursor := page.cursor) is None:
            return found
