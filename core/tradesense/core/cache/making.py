"""Making a value once: in this process by a flight, among all processes by a lease, and in time or not at all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

from tradesense.core.cache.flight import Flight
from tradesense.core.cache.leases import Held, LeaseKeeper
from tradesense.core.cache.levels import Kept, Levels
from tradesense.core.cache.near import Entry
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.packed import pack
from tradesense.core.cache.ports import LockProvider
from tradesense.core.cache.refresh import Factory, Refresh
from tradesense.core.errors import CacheFactoryTimedOut, CacheValueTooLarge, InvalidCacheValue, LocksUnavailable

LEASE_SECONDS = 5.0
"""How long the lease outlasts a process that has died while it made a value. While it makes it the lease is renewed."""
LEASE_NAME = "cache:"
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.25
"""Seconds between two looks at the shared store while another process makes the value; a notice cuts them short."""
HEARING_LOOK = 0.1
"""The same where notices are heard: for a maker that failed, which says nothing."""
T = TypeVar("T")


class Making(Generic[T]):
    """Runs one factory for everybody who wants its value."""

    def __init__(
        self,
        levels: Levels[T],
        key: str,
        factory: Factory[T],
        options: EntryOptions,
        tags: tuple[str, ...],
        *,
        eager: bool = False,
    ) -> None:
        self._levels = levels
        self._engine = levels.engine
        self._counts = levels.engine.counts
        self._key = key
        self._factory = factory
        self._options = options
        self._tags = tags
        self._eager = eager

    async def run(self, flight: Flight[T]) -> None:
        """The flight, from the look into the shared store to the value in it."""
        found = await self._levels.look(self._key)
        if found is not None and self._served(flight, found):
            self._counts.hits += flight.callers
            if found.sliding:
                await self._levels.touch(self._key, found)
            if not self._options.eager or found.eager_at > self._engine.now():
                self._engine.flights.close(self._key, flight)
                return
            self._eager = True  # everybody has an answer, and a new one is made for those to come
        self._counts.misses += not self._eager
        await self._begin(flight, found)

    async def _begin(self, flight: Flight[T], found: Entry | None) -> None:
        """Make it, unless another process does."""
        if not self._options.lease or self._engine.locks is None or not self._engine.far.reads.up:
            await self._unless_served(flight, None, found)
            return
        try:
            held, found = await self._turn(self._engine.locks, found)
        except LocksUnavailable:
            await self._unless_served(flight, None, found)
            return
        if held is not None:
            async with LeaseKeeper(self._engine.locks).keep(held):
                await self._unless_served(flight, found, found)
        elif self._engine.far.reads.up and not (found is not None and self._good(found)):
            # Its lease is renewed: it is alive, and makes it still.
            self._counts.timeouts += not self._eager
            self._cover(flight, found, CacheFactoryTimedOut("another process is making it", origin=self._key))
        else:
            await self._unless_served(flight, found, found)

    async def _unless_served(self, flight: Flight[T], found: Entry | None, stale: Entry | None) -> None:
        """Make it, unless it was ``found`` meanwhile."""
        if found is not None and self._served(flight, found):
            self._counts.avoided += 1
        else:
            await self._make(flight, stale)
        self._counts.avoided += max(0, flight.callers - 1)

    def _served(self, flight: Flight[T], found: Entry) -> bool:
        """Whether the entry that was found is answer enough."""
        if not self._good(found):
            return False
        flight.settle(self._levels.value(found))
        return True

    def _good(self, found: Entry) -> bool:
        return self._levels.fresh(found) and not (self._eager and found.eager_at <= self._engine.now())

    async def _turn(self, locks: LockProvider, found: Entry | None) -> tuple[Held | None, Entry | None]:
        """The lease, if it was to be had, and what the store holds since.

        While another process has it, this one waits: for the value, for the lease, or until it has waited too long.

        :raises LocksUnavailable: nobody can say who makes it.
        """
        time = asyncio.get_running_loop().time
        until, nap = time() + self._patience(found), FIRST_LOOK
        heard = waited = False
        while True:
            arrived = self._engine.expect(self._key)
            try:
                asked = time()
                lease = None if heard else await locks.acquire(LEASE_NAME + self._key, LEASE_SECONDS)
                if heard or waited or lease is not None:
                    # Whoever had it before may have made the value since the last look.
                    found = await self._levels.look(self._key)
                over = self._eager or time() >= until or not self._engine.far.reads.up
                if lease is not None or over or (found is not None and self._good(found)):
                    return None if lease is None else Held(lease, asked + LEASE_SECONDS), found
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARING_LOOK if self._engine.notices.listening else nap):
                        await arrived.wait()
                heard, waited = arrived.is_set() and not heard, True
            finally:
                self._engine.expected(self._key)
            nap = min(nap * 2, LONGEST_LOOK)

    def _patience(self, stale: Entry | None) -> float:
        """Seconds that a caller waits; without end when the options say so."""
        hard = self._options.hard_timeout or float("inf")
        soft = self._options.soft_timeout
        return min(soft, hard) if stale is not None and soft else hard

    async def _make(self, flight: Flight[T], stale: Entry | None) -> None:
        refresh = self._refresh(stale)
        created = self._engine.stamp()
        self._counts.factories += 1
        work = asyncio.ensure_future(self._factory(refresh))
        try:
            await self._in_time(flight, work, stale)
        finally:
            work.add_done_callback(_looked_at)
            work.cancel()
        if not work.done() or work.cancelled():
            if not flight.settled:
                self._cover(flight, stale, CacheFactoryTimedOut("the factory was cancelled", origin=self._key))
            return
        self._engine.flights.close(self._key, flight)
        error = work.exception()
        if error is not None:
            self._failed(flight, stale, error)
            return
        value = work.result()
        try:
            kept = self._kept(flight, refresh, value, created)
        except (InvalidCacheValue, CacheValueTooLarge) as refused:
            self._failed(flight, stale, refused)
            return
        flight.settle(value)
        if kept is not None:
            await self._levels.hand_on(kept)
            if flight.outdated > created:  # removed while it was being written
                await self._engine.remove((self._key,))

    def _failed(self, flight: Flight[T], stale: Entry | None, error: BaseException) -> None:
        self._counts.failures += 1
        self._cover(flight, stale, error)

    def _refresh(self, stale: Entry | None) -> Refresh[T]:
        return Refresh(
            self._key,
            self._options,
            self._tags,
            stale=self._levels.value(stale) if stale is not None else None,
            has_stale=stale is not None,
            stale_etag=stale.etag if stale is not None else "",
            stale_modified=stale.modified if stale is not None else "",
        )

    async def _in_time(self, flight: Flight[T], work: asyncio.Future[T | None], stale: Entry | None) -> None:
        """Return when the work is done, or nobody should wait for it any longer; callers are answered before that."""
        patience = self._patience(stale)
        done, _ = await asyncio.wait((work,), timeout=None if patience == float("inf") else patience)
        if not done:
            self._counts.timeouts += 1
            self._cover(flight, stale, CacheFactoryTimedOut(f"not made within {patience:g} s", origin=self._key))
            await asyncio.wait((work,), timeout=self._options.background)

    def _cover(self, flight: Flight[T], stale: Entry | None, error: BaseException) -> None:
        """Answer with the stale value, which nobody tries to renew for a while; with the error if there is none."""
        now = self._engine.now()
        if stale is None or now >= stale.stale_until:
            flight.fail(error)
            return
        self._counts.stale += not self._eager
        stale.eager_at = max(stale.eager_at, now + self._options.throttle)
        if now >= stale.fresh_until:
            stale.fresh_until = min(now + self._options.throttle, stale.stale_until)
        stale.ready()
        flight.settle(self._levels.value(stale))

    def _kept(self, flight: Flight[T], refresh: Refresh[T], value: T | None, created: float) -> Kept | None:
        """The value in the first level, unless it is not to be kept or no longer good."""
        options = refresh.options
        if not refresh.keep or flight.outdated > created or (value is None and not options.negative_ttl):
            return None
        if self._engine.tags.outdated(created, refresh.tags):
            return None
        return self._levels.keep(
            {self._key: pack(self._levels.codec, value)},
            options,
            refresh.tags,
            created=created,
            etag=refresh.etag,
            modified=refresh.modified,
        )


def _looked_at(work: asyncio.Future[T]) -> None:
    """Take note of an error that comes when nobody waits any more, so that nobody is told of it twice."""
    if not work.cancelled():
        work.exception()
