"""What all named caches of one process share: both levels, the tags, the flights, the notices and the counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tradesense.core.ambient import Clock, Random
from tradesense.core.cache.far import Far
from tradesense.core.cache.flight import Flights
from tradesense.core.cache.near import Near
from tradesense.core.cache.notices import Notice, Notices
from tradesense.core.cache.ports import Backplane, CacheStore, Compressor, LockProvider
from tradesense.core.cache.recovery import Action, Pending, Recovery
from tradesense.core.cache.tags import AHEAD, PREFIX, TAG_LIFE, Tags, seal_stamp, tag_key

ORIGIN_BYTES = 8
TICK = 1e-6
"""The least time between two changes of one process, in seconds."""
TOLD = 1_000
"""Keys in one notice, which may have half a megabyte then."""
BATCH = 64
"""Outstanding changes that are carried out at once."""


@dataclass(slots=True)
class Counts:
    """What has happened since the cache was opened."""

    hits: int = 0
    misses: int = 0
    stale: int = 0
    factories: int = 0
    failures: int = 0
    timeouts: int = 0
    avoided: int = 0
    unreadable: int = 0


class Engine:
    """The parts, and the operations on keys that need several of them."""

    def __init__(
        self,
        *,
        near: Near,
        far: CacheStore,
        backplane: Backplane,
        locks: LockProvider | None,
        clock: Clock,
        random: Random,
        compressor: Compressor,
        compressors: Mapping[str, Compressor],
        compress_over: int,
        near_ttl: float,
        recovery: Recovery,
    ) -> None:
        self.now = clock.monotonic
        self._clock = clock
        self._random = random
        self.near = near
        self.recovery = recovery
        self.far = Far(far, recovery=recovery, now=self.now, wall=self.wall)
        self.locks = locks
        self.compressor = compressor
        self.compressors = compressors
        self.compress_over = compress_over
        self.near_ttl = near_ttl
        self.tags = Tags(trust=near_ttl, wall=self.wall)
        self.flights = Flights()
        self.counts = Counts()
        self.notices = Notices(
            backplane,
            origin=random.bytes(ORIGIN_BYTES).hex(),
            now=self.now,
            heard=self._heard,
            missed=near.recheck,
        )
        self._last = 0.0
        self._arrivals: dict[str, asyncio.Event] = {}

    def wall(self) -> float:
        """Seconds since 1970."""
        return self._clock.now().timestamp()

    def stamp(self) -> float:
        """An instant for a change: now, but after every change that this process has made or heard of.

        So a clock that is behind another's, or was set back, makes nothing that counts as older than it is.
        """
        self._last = max(self.wall(), self._last + TICK, self.tags.newest + TICK)
        return self._last

    def seen(self, stamp: float) -> bool:
        """Take note of the instant of another's change; ``False``, doing nothing, where no clock can have shown it."""
        if not 0 <= stamp <= self.wall() + AHEAD:
            return False
        self._last = max(self._last, stamp)
        return True

    def chance(self) -> float:
        """A number between 0 and 1."""
        return int.from_bytes(self._random.bytes(4)) / 2**32

    async def changed(self, keys: Sequence[str], stamp: float) -> None:
        """Tell the other processes that ``keys`` are no longer what they were."""
        for start in range(0, len(keys), TOLD):
            some = keys[start : start + TOLD]
            if not await self.notices.tell(stamp, keys=dict.fromkeys(some, stamp)):
                for key in some:
                    self.recovery.add(Pending(key=key, action=Action.TELL, stamp=stamp))

    async def remove(self, keys: Sequence[str]) -> int | None:
        """Remove ``keys`` everywhere; ``None`` instead of their number when the store has to be told later."""
        # One tick after now: what another process wrote in the same instant goes as well.
        self.stamp()
        stamp = self.stamp()
        for key in keys:
            self.forget(key, stamp)
        removed = await self.far.delete(keys, stamp)
        await self.changed(keys, stamp)
        return removed

    async def invalidate(self, tags: Sequence[str]) -> bool:
        """Let nothing be good any more that has one of ``tags``; ``False`` when others have to be told later."""
        # What the store has comes first: a later instant, of a clock that is ahead of ours, must not be set back.
        unknown, now = self.tags.unknown(tags, self.now()), self.now()
        if unknown:
            found, answered = await self.far.read([tag_key(tag) for tag in unknown])
            if answered:
                self.tags.read(unknown, found, now)
        stamp = self.stamp()
        items = {tag_key(tag): seal_stamp(stamp) for tag in tags}
        for tag in tags:
            self.tags.learn(tag, stamp, now)
        written = await self.far.write_many(items, TAG_LIFE, stamp)
        told = await self.notices.tell(stamp, tags=dict.fromkeys(tags, stamp))
        if not told:
            for key in items:
                self.recovery.add(Pending(key=key, action=Action.TELL, stamp=stamp))
        return written and told

    def expect(self, key: str) -> asyncio.Event:
        """What is set once ``key`` is heard to have changed; to be asked for before one looks."""
        return self._arrivals.setdefault(key, asyncio.Event())

    def expected(self, key: str) -> None:
        """Nobody waits for ``key`` any more."""
        self._arrivals.pop(key, None)

    async def recover(self) -> None:
        """Make up for what was missed while the store or the backplane was away, or the store was full."""
        links = (self.far.reads, self.far.writes, self.far.removals, self.notices.link)
        if (all(link.up for link in links) and not self.recovery) or not await self.far.probe():
            return
        if not await self.notices.tell(self._last, again=True):
            return
        changes = list(self.recovery)
        # Removals before all: a full store takes nothing else, and they make room. Then tags, of which much may hang.
        removals = [change for change in changes if change.action is Action.DELETE]
        tags = [change for change in changes if change.is_tag and change.action is not Action.DELETE]
        others = [change for change in changes if not change.is_tag and change.action is not Action.DELETE]
        if await self._remove_again(removals) and await self._write_again([*tags, *others]):
            self.far.writes.worked()
            self.far.removals.worked()

    async def _remove_again(self, removals: Sequence[Pending]) -> bool:
        for batch in _batches(removals):
            if not await self.far.remove_again(batch) or not await self._tell_again(batch):
                return False
            for change in batch:
                self.recovery.done(change)
        return True

    async def _write_again(self, changes: Sequence[Pending]) -> bool:
        """Whether the store has taken everything."""
        full = False
        for batch in _batches(changes):
            made = await self.far.write_again([one for one in batch if not (full and one.cleared)], full=full)
            if made is None or not await self._tell_again([*made.settled, *made.cleared]):
                return False
            for change in made.settled:
                self.recovery.done(change)
            for change in made.cleared:
                self.recovery.cleared(change)
            full = made.full
        return not full

    async def _tell_again(self, changes: Sequence[Pending]) -> bool:
        if not changes:
            return True
        tags = {one.key.removeprefix(PREFIX): one.stamp for one in changes if one.is_tag}
        keys = {one.key: one.stamp for one in changes if not one.is_tag}
        return await self.notices.tell(self._last, keys=keys, tags=tags, again=True)

    def _heard(self, notice: Notice) -> None:
        stamps = (notice.stamp, *notice.keys.values(), *notice.tags.values())
        if not all(self.seen(stamp) for stamp in stamps):
            # Something has changed, and nobody can say when.
            self.notices.unreadable += 1
            self.near.recheck()
            return
        for key, stamp in notice.keys.items():
            self.forget(key, stamp)
            event = self._arrivals.pop(key, None)
            if event is not None:
                event.set()
        now = self.now()
        for tag, stamp in notice.tags.items():
            self.tags.learn(tag, stamp, now)

    def forget(self, key: str, stamp: float) -> None:
        """Drop ``key`` from this process, and let nothing come back that was made before ``stamp``."""
        self.near.drop(key, stamp)
        self.flights.outdate(key, stamp)


def _batches(changes: Sequence[Pending]) -> Iterator[Sequence[Pending]]:
    for start in range(0, len(changes), BATCH):
        yield changes[start : start + BATCH]
