"""The shared store as the cache sees it: it may be away, and what is outstanding for it counts as written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from tradesense.core.cache.envelope import Unreadable, unseal
from tradesense.core.cache.link import Link
from tradesense.core.cache.ports import CacheStore
from tradesense.core.cache.recovery import Action, Pending, Recovery
from tradesense.core.cache.tags import PREFIX, unseal_stamp
from tradesense.core.errors import CacheUnavailable

PROBE = "#probe"
AT_ONCE = 8
"""Writes that are made up for at one time, well below the connections of a process."""


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
                self._written(items)
                return True
        keeps = self._wall() + life
        for key, data in items.items():
            self._recovery.add(Pending(key=key, action=Action.SET, stamp=stamp, data=data, keeps=keeps))
        return False

    async def delete(self, keys: Sequence[str], stamp: float) -> int | None:
        """Remove ``keys`` and return how many there were; ``None`` when it has to wait for the store."""
        if self.writes.usable():
            try:
                removed = await self._store.delete(*keys)
            except CacheUnavailable as error:
                self.writes.failed(error.detail)
            else:
                self._written(keys)
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

    async def probe(self) -> bool:
        """Ask whether the store is there."""
        try:
            await self._store.get(PROBE)
        except CacheUnavailable as error:
            self.reads.failed(error.detail)
            return False
        self.reads.worked()
        return True

    async def make_up(self, changes: Sequence[Pending]) -> bool:
        """Carry out outstanding changes, but those that younger ones have overtaken; ``False`` when they wait on."""
        wanted = [change for change in changes if change.action is not Action.TELL]
        try:
            found = await self._store.get_many([change.key for change in wanted]) if wanted else {}
            due = [change for change in wanted if not _overtaken(change, found.get(change.key))]
            ended = [change.key for change in due if change.action is Action.DELETE or change.keeps <= self._wall()]
            if ended:
                await self._store.delete(*ended)
            lasting = [change for change in due if change.key not in ended]
            for start in range(0, len(lasting), AT_ONCE):
                await asyncio.gather(*(self._write_again(change) for change in lasting[start : start + AT_ONCE]))
        except CacheUnavailable as error:
            self.writes.failed(error.detail)
            return False
        self.writes.worked()
        return True

    async def _write_again(self, change: Pending) -> None:
        life = change.keeps - self._wall()
        if life <= 0:
            return
        try:
            await self._store.set(change.key, change.data, life)
        except CacheUnavailable:
            # A store that is out of memory still removes: better nothing than what has been replaced.
            await self._store.delete(change.key)
            raise

    def _written(self, keys: Sequence[str] | Mapping[str, bytes]) -> None:
        self.writes.worked()
        for key in keys:
            self._recovery.discard(key)


def _overtaken(change: Pending, data: bytes | None) -> bool:
    """Whether what the store holds is younger than the change."""
    if data is None:
        return False
    try:
        born = unseal_stamp(data) if change.key.startswith(PREFIX) else unseal(data).created
    except Unreadable:
        return False
    return born > change.stamp
