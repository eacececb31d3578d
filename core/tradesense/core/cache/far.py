"""The shared store as the cache sees it: it may be away, and what is outstanding for it counts as written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tradesense.core.cache.envelope import Unreadable, unseal
from tradesense.core.cache.link import Link
from tradesense.core.cache.ports import CacheStore
from tradesense.core.cache.recovery import Action, Pending, Recovery
from tradesense.core.cache.tags import AHEAD, unseal_stamp
from tradesense.core.errors import CacheUnavailable

PROBE = "#probe"
AT_ONCE = 8
"""Writes that are made up for at one time, well below the connections of a process."""


@dataclass(slots=True)
class Rewritten:
    """What became of outstanding writes."""

    settled: list[Pending]
    """What is in the store now, or need not be."""
    cleared: list[Pending] = field(default_factory=list[Pending])
    """What was not taken, and what it would have replaced is gone."""
    full: bool = False
    """Whether the store takes nothing."""


class Far:
    """Reads and writes the store. No method raises :class:`CacheUnavailable`."""

    def __init__(
        self, store: CacheStore, *, recovery: Recovery, now: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._store = store
        self._recovery = recovery
        self._wall = wall
        self.reads = Link(now)
        self.writes = Link(now)
        self.removals = Link(now)
        """Apart from writes: a store that is out of memory still removes."""

    async def read(self, keys: Sequence[str]) -> tuple[dict[str, bytes], bool]:
        """What the store holds of ``keys``, and whether it has answered for all that is not outstanding."""
        found: dict[str, bytes] = {}
        asked: list[str] = []
        for key in keys:
            change = self._recovery.get(key)
            if change is None or change.action is Action.TELL:
                asked.append(key)
            elif change.action is Action.SET and change.keeps > self._wall():
                found[key] = change.data
        if not asked:
            return found, True
        if not self.reads.usable():
            return found, False
        try:
            if len(asked) == 1:
                data = await self._store.get(asked[0])
                if data is not None:
                    found[asked[0]] = data
            else:
                found |= await self._store.get_many(asked)
        except CacheUnavailable as error:
            self.reads.failed(error.detail)
            return found, False
        self.reads.worked()
        return found, True

    async def write(self, key: str, data: bytes, life: float, stamp: float) -> bool:
        """Keep ``data`` for ``life`` seconds; ``False`` when it has to wait for the store."""
        return await self.write_many({key: data}, life, stamp)

    async def write_many(self, items: Mapping[str, bytes], life: float, stamp: float) -> bool:
        """:meth:`write` for several keys."""
        if self.writes.usable():
            try:
                if len(items) == 1:
                    ((key, data),) = items.items()
                    await self._store.set(key, data, life)
                else:
                    await self._store.set_many(items, life)
            except CacheUnavailable as error:
                self.writes.failed(error.detail)
            else:
                self.writes.worked()
                self._told(items)
                return True
        keeps = self._wall() + life
        for key, data in items.items():
            self._recovery.add(Pending(key=key, action=Action.SET, stamp=stamp, data=data, keeps=keeps))
        return False

    async def delete(self, keys: Sequence[str], stamp: float) -> int | None:
        """Remove ``keys`` and return how many there were; ``None`` when it has to wait for the store."""
        if self.removals.usable():
            try:
                removed = await self._store.delete(*keys)
            except CacheUnavailable as error:
                self.removals.failed(error.detail)
            else:
                self.removals.worked()
                self._told(keys)
                return removed
        for key in keys:
            self._recovery.add(Pending(key=key, action=Action.DELETE, stamp=stamp))
        return None

    async def touch(self, key: str, ttl: float) -> None:
        """Give the entry a new time, if it is there and the store is."""
        if self.writes.usable():
            try:
                await self._store.expire(key, ttl)
            except CacheUnavailable as error:
                self.writes.failed(error.detail)

    async def remaining(self, keys: Sequence[str]) -> dict[str, float] | None:
        """Seconds for which ``keys`` last, without those that are gone; ``None`` when the store is away."""
        if not self.reads.usable():
            return None
        try:
            left = await self._store.remaining(keys)
        except CacheUnavailable as error:
            self.reads.failed(error.detail)
            return None
        self.reads.worked()
        return left

    async def probe(self) -> bool:
        """Ask whether the store is there."""
        try:
            await self._store.get(PROBE)
        except CacheUnavailable as error:
            self.reads.failed(error.detail)
            return False
        self.reads.worked()
        return True

    async def remove_again(self, changes: Sequence[Pending]) -> bool:
        """Carry out outstanding removals, but of what is younger than they; ``False`` when they wait on."""
        try:
            found = await self._store.get_many([change.key for change in changes])
            due = [change.key for change in self._still(changes) if not self._overtaken(change, found.get(change.key))]
            if due:
                await self._store.delete(*due)
        except CacheUnavailable as error:
            self.removals.failed(error.detail)
            return False
        self.removals.worked()
        return True

    async def write_again(self, changes: Sequence[Pending], *, full: bool = False) -> Rewritten | None:
        """Write what is outstanding, unless younger values have overtaken it; ``None`` when the store is away.

        Of what the store does not take it holds nothing older either: better nothing than what has been replaced. But
        the instant of a tag stays, as the older one still says something.

        :param full: do not try to write, as the store takes nothing.
        """
        made = Rewritten(settled=[change for change in changes if change.action is Action.TELL], full=full)
        wanted = [change for change in changes if change.action is Action.SET]
        if not wanted:
            return made
        try:
            found = await self._store.get_many([change.key for change in wanted])
            due = [change for change in self._still(wanted) if not self._overtaken(change, found.get(change.key))]
            refused = due if full else await self._write_all(due, made)
            made.cleared = [change for change in refused if not change.is_tag]
            outdated = [change.key for change in made.cleared if change.key in found]
            if outdated:
                await self._store.delete(*outdated)
        except CacheUnavailable as error:
            self.removals.failed(error.detail)
            return None
        kept = {id(change) for change in refused}
        made.settled += [change for change in wanted if id(change) not in kept]
        return made

    async def _write_all(self, due: Sequence[Pending], made: Rewritten) -> list[Pending]:
        """Write a few at a time and return what was not taken. Where none of these few was, the store is full."""
        refused: list[Pending] = []
        for start in range(0, len(due), AT_ONCE):
            few = due[start : start + AT_ONCE]
            taken = await asyncio.gather(*(self._write_again(change) for change in few))
            refused += [change for change, was in zip(few, taken, strict=True) if not was]
            if not any(taken):
                made.full = True
                return [*refused, *due[start + AT_ONCE :]]
        return refused

    async def _write_again(self, change: Pending) -> bool:
        life = change.keeps - self._wall()
        try:
            if life <= 0:
                await self._store.delete(change.key)
            else:
                await self._store.set(change.key, change.data, life)
        except CacheUnavailable as error:
            self.writes.failed(error.detail)
            return False
        self.writes.worked()
        return True

    def _still(self, changes: Sequence[Pending]) -> list[Pending]:
        """Those that no later change of this process has replaced while the store was asked."""
        return [change for change in changes if self._recovery.get(change.key) is change]

    def _told(self, keys: Sequence[str] | Mapping[str, bytes]) -> None:
        for key in keys:
            self._recovery.discard(key)

    def _overtaken(self, change: Pending, data: bytes | None) -> bool:
        """Whether what the store holds is younger than the change. What no clock can have shown is not."""
        if data is None:
            return False
        try:
            written = unseal_stamp(data) if change.is_tag else unseal(data).created
        except Unreadable:
            return False
        return change.stamp < written <= self._wall() + AHEAD
