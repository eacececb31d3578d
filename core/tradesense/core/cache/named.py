"""A named cache: what services hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

from msgspec.structs import replace

from tradesense.core.cache.engine import Engine
from tradesense.core.cache.envelope import Codec
from tradesense.core.cache.levels import Levels
from tradesense.core.cache.making import Making
from tradesense.core.cache.models import check_key
from tradesense.core.cache.near import Entry
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.packed import pack_many
from tradesense.core.cache.refresh import Factory
from tradesense.core.cache.tags import tag_key, whole

MOST_TOGETHER = 512
"""Keys that are kept, and that the shared store is told of, in one turn of the event loop."""
T = TypeVar("T")


class NamedCache(Generic[T]):
    """Values of one type under one name. Its keys are ``NAME:KEY`` in the shared store and for operators.

    A value that can be changed in place is decoded anew for each caller; one that cannot is shared. Where the shared
    store or the backplane is away, every method goes on in the process, and what others must know is told them later.
    Every method may raise :class:`InvalidCacheKey`.
    """

    def __init__(self, engine: Engine, name: str, codec: Codec[T], options: EntryOptions) -> None:
        self.name = name
        self.options = options
        self._engine = engine
        self._levels = Levels(engine, name, codec, options)
        self._prefix = f"{name}:"
        # The quickest way to a hit: no attribute of an attribute, no call but that of the clock.
        self._entries = engine.near.entries
        self._tags = engine.tags
        self._now = engine.now
        self._counts = engine.counts

    def full(self, key: str) -> str:
        """``key`` as the shared store and operators know it."""
        return check_key(self._prefix + key)

    def quick(self, full: str) -> Entry | None:
        """The entry of a whole key, if a look at the clock is all that it takes to serve its ``value``."""
        entry = self._entries.get(full)
        if entry is not None and self._now() < entry.quick_until and entry.generation == self._tags.generation:
            entry.used += 1
            self._counts.hits += 1
            return entry
        return None

    async def get(self, key: str) -> T | None:
        """The value; ``None`` when there is none that is good."""
        full = self._prefix + key
        # The same as `quick`, written out: a call costs a third of a hit.
        entry = self._entries.get(full)
        if entry is not None and self._now() < entry.quick_until and entry.generation == self._tags.generation:
            entry.used += 1
            self._counts.hits += 1
            value: T | None = entry.value
            return value
        return await self._get(check_key(full))

    async def get_or_set(
        self,
        key: str,
        factory: Factory[T],
        *,
        ttl: float | None = None,
        tags: Sequence[str] = (),
        options: EntryOptions | None = None,
    ) -> T | None:
        """The value, made by ``factory`` when there is none. Of all callers at one time, one runs the factory.

        :param ttl: in place of that of the options.
        :param options: in place of those of this cache.
        :raises CacheFactoryTimedOut: it was not made in time, and no stale value was at hand.

        An error of the factory reaches every caller that waited for it, unless a stale value covers it, and is not
        kept.
        """
        full = self._prefix + key
        entry = self._entries.get(full)
        if entry is not None and self._now() < entry.quick_until and entry.generation == self._tags.generation:
            entry.used += 1
            self._counts.hits += 1
            value: T | None = entry.value
            return value
        return await self._get_or_set(full, factory, self._chosen(options, ttl), tuple(tags))

    async def set(
        self,
        key: str,
        value: T,
        *,
        ttl: float | None = None,
        tags: Sequence[str] = (),
        options: EntryOptions | None = None,
        etag: str = "",
        modified: str = "",
    ) -> None:
        """Keep ``value`` in both levels and tell the other processes.

        :raises InvalidCacheValue: it has no MessagePack form, or is of another type than the cache's.
        :raises CacheValueTooLarge: it is over 8 MiB.
        """
        await self._set({self.full(key): value}, self._chosen(options, ttl), tags, etag, modified)

    async def get_many(self, keys: Sequence[str]) -> dict[str, T | None]:
        """The values that are good; other keys are left out. The shared store is asked once."""
        found: dict[str, Entry] = {}
        missing: list[str] = []
        for key in keys:
            full = self.full(key)
            entry = self._levels.known(full)
            if entry is not None:
                found[full] = entry
            else:
                missing.append(full)
        if missing:
            found |= await self._levels.look_far(missing)
        fresh = {full: entry for full, entry in found.items() if self._levels.fresh(entry)}
        await self._levels.touch_many(fresh)
        values: dict[str, T | None] = {}
        for key in keys:
            entry = fresh.get(self._prefix + key)
            if entry is not None:
                entry.used += 1
                values[key] = self._levels.value(entry)
        self._counts.hits += len(values)
        self._counts.misses += len(set(keys)) - len(values)
        return values

    async def set_many(
        self,
        values: Mapping[str, T],
        *,
        ttl: float | None = None,
        tags: Sequence[str] = (),
        options: EntryOptions | None = None,
    ) -> None:
        """:meth:`set` for several keys with the same options. The shared store is told once for 512 of them.

        Where one value cannot be kept, none is. Who ends it before its time leaves some of them kept, perhaps.
        """
        if values:
            whole_keys = {self.full(key): value for key, value in values.items()}
            await self._set(whole_keys, self._chosen(options, ttl), tags, "", "")

    async def remove(self, *keys: str) -> int | None:
        """Remove the keys everywhere and return how many there were; ``None`` when the store is told later."""
        return await self._engine.remove([self.full(key) for key in keys])

    async def expire(self, key: str) -> None:
        """End the life of the value; where ``fail_safe`` keeps it on, it still covers a factory that fails."""
        full, engine = self.full(key), self._engine
        found, answered = await engine.far.read([full])
        known = full in found or not answered
        ended = self._levels.ended(full, found.get(full), engine.stamp()) if known else None
        if ended is None:
            await engine.remove([full])
            return
        engine.forget(full, ended.stamp)
        await engine.far.write(full, ended.data, ended.life, ended.stamp)
        await engine.changed([full], ended.stamp)

    async def clear(self) -> bool:
        """Let no entry of this cache be good any more; ``False`` when other processes are told later."""
        return await self._engine.invalidate([whole(self.name)])

    def _chosen(self, options: EntryOptions | None, ttl: float | None) -> EntryOptions:
        chosen = self.options if options is None else options
        return chosen if ttl is None else replace(chosen, ttl=ttl)

    async def _get(self, full: str) -> T | None:
        entry = await self._levels.look(full)
        if entry is None or not self._levels.fresh(entry):
            self._counts.misses += 1
            return None
        self._counts.hits += 1
        return await self._serve(full, entry)

    async def _serve(self, full: str, entry: Entry) -> T | None:
        entry.used += 1
        if entry.sliding:
            await self._levels.touch(full, entry)
        return self._levels.value(entry)

    async def _get_or_set(
        self, full: str, factory: Factory[T], options: EntryOptions, tags: tuple[str, ...]
    ) -> T | None:
        flights = self._engine.flights
        entry = self._levels.known(full)
        if entry is not None and self._levels.fresh(entry):
            self._counts.hits += 1
            if options.eager and entry.eager_at <= self._now() and full not in flights:
                flights.start(full, self._making(full, factory, options, tags, eager=True).run)
            return await self._serve(full, entry)
        flight = flights.get(full)
        if flight is None:
            flight = flights.start(check_key(full), self._making(full, factory, options, tags).run)
        return await flight.result()

    def _making(
        self, full: str, factory: Factory[T], options: EntryOptions, tags: tuple[str, ...], *, eager: bool = False
    ) -> Making[T]:
        for tag in tags:
            tag_key(tag)
        return Making(self._levels, full, factory, options, tags, eager=eager)

    async def _set(
        self, values: Mapping[str, T], options: EntryOptions, tags: Sequence[str], etag: str, modified: str
    ) -> None:
        for tag in tags:
            tag_key(tag)
        packed = await pack_many(self._levels.codec, values)
        waiting = iter(packed)
        while keys := tuple(islice(waiting, MOST_TOGETHER)):
            stamp, some = self._engine.stamp(), {key: packed[key] for key in keys}
            kept = self._levels.keep(some, options, tuple(tags), created=stamp, etag=etag, modified=modified)
            for key in keys:
                self._engine.flights.outdate(key, stamp)
            await self._levels.hand_on(kept)
