"""The hybrid cache: a first level in the process, a second one shared, and notices between the processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from tradesense.core.cache.models import CacheStats, check_key, check_value
from tradesense.core.cache.ports import Backplane, CacheStore
from tradesense.core.errors import BackplaneUnavailable, CacheUnavailable

TOPIC = "tradesense.cache.invalidated"
Factory = Callable[[], Awaitable[bytes]]


class HybridCache:
    """``get`` looks in the process first, then in the shared store; a change is told to the other processes.

    Without the shared store it goes on in the process alone. ``near_ttl`` bounds, in seconds, how long a process may
    serve a value that another one has replaced while the notice was lost.
    """

    def __init__(self, *, near: CacheStore, far: CacheStore, backplane: Backplane, near_ttl: float = 1.0) -> None:
        self._near = near
        self._far = far
        self._backplane = backplane
        self._near_ttl = near_ttl
        self._loading: dict[str, asyncio.Future[bytes]] = {}
        self._hits = 0
        self._misses = 0
        self._up = True

    async def get(self, key: str) -> bytes | None:
        """The value, or ``None``.

        :raises InvalidCacheKey: the key is not valid.
        """
        value = await self._near.get(check_key(key))
        if value is None and (value := await self._far_get(key)) is not None:
            await self._near.set(key, value, self._near_ttl)
        if value is None:
            self._misses += 1
        else:
            self._hits += 1
        return value

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep ``value`` for ``ttl`` seconds in both levels and tell the other processes.

        :raises InvalidCacheKey: the key is not valid.
        :raises CacheValueTooLarge: the value is over 8 MiB.
        """
        check_value(value)
        await self._near.set(check_key(key), value, min(ttl, self._near_ttl))
        try:
            await self._far.set(key, value, ttl)
            self._up = True
        except CacheUnavailable:
            self._up = False
        await self._tell([key])

    async def get_or_set(self, key: str, factory: Factory, ttl: float) -> bytes:
        """The value, made by ``factory`` when absent. Of callers in one process at one time, one runs the factory.

        An error of the factory reaches every caller that waited for it and is not kept.
        """
        if (value := await self._near.get(check_key(key))) is not None:
            self._hits += 1
            return value
        running = self._loading.get(key)
        if running is None:
            running = self._loading[key] = asyncio.ensure_future(self._load(key, factory, ttl))
            running.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(running)

    async def invalidate(self, keys: Sequence[str]) -> int:
        """Remove the keys everywhere and return how many the shared store held."""
        for key in keys:
            check_key(key)
        await self._near.delete(*keys)
        removed = await self._far.delete(*keys)
        await self._tell(keys)
        return removed

    async def listen(self) -> None:
        """Drop from the first level what other processes report as changed. Runs until it is cancelled.

        :raises BackplaneUnavailable: the subscription was lost.
        """
        async with self._backplane.subscribe(TOPIC) as messages:
            async for message in messages:
                await self._near.delete(*msgspec.msgpack.decode(message, type=tuple[str, ...]))

    def stats(self) -> CacheStats:
        """Counts since this process opened the cache."""
        return CacheStats(hits=self._hits, misses=self._misses, backend_up=self._up)

    async def _load(self, key: str, factory: Factory, ttl: float) -> bytes:
        # The look into the shared store is part of the flight: its answer may be older than another caller's load.
        if (value := await self.get(key)) is not None:
            return value
        value = await factory()
        await self.set(key, value, ttl)
        return value

    async def _far_get(self, key: str) -> bytes | None:
        try:
            value = await self._far.get(key)
        except CacheUnavailable:
            self._up = False
            return None
        self._up = True
        return value

    async def _tell(self, keys: Sequence[str]) -> None:
        try:
            await self._backplane.publish(TOPIC, msgspec.msgpack.encode(tuple(keys)))
        except BackplaneUnavailable:
            self._up = False
