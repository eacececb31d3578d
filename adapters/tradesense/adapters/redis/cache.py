"""Cached values on Redis or Valkey, and the factories of this provider's five ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tradesense.adapters.redis._backplane import RedisBackplane
from tradesense.adapters.redis._client import RedisAdapter, RedisClients, milliseconds, shared
from tradesense.adapters.redis._commands import Client
from tradesense.adapters.redis._limiter import RedisLimiter
from tradesense.adapters.redis._locks import RedisLocks
from tradesense.adapters.redis._topics import RedisTopics
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.cache.ports import CacheStore
from tradesense.core.errors import CacheUnavailable
from tradesense.plugins import AdapterContext

MOST_GETS = 128
"""Gets that one MGET answers."""


class RedisCache(RedisAdapter):
    """One string per entry; the server removes it when its time is over.

    What many tasks get in one turn of the event loop is got with one MGET.
    """

    def __init__(self, clients: RedisClients) -> None:
        super().__init__(clients, CacheUnavailable)
        self._gets = self._batched(_get_all, most=MOST_GETS)
        self._prefix = self._key("cache", "")

    async def get(self, key: str) -> bytes | None:
        """A part of one MGET."""
        self._check_open()
        return await self._gets.ask(self._prefix + key).answer

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """One SET with PX, so that value and time change together."""
        async with self._bounded():
            await self._redis.set(self._entry(key), value, px=milliseconds(ttl))

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """One MGET."""
        redis = self._redis
        if not keys:
            return {}
        async with self._bounded():
            values = await redis.mget([self._entry(key) for key in keys])
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    async def set_many(self, items: Mapping[str, bytes], ttl: float) -> None:
        """One pipeline of SETs: a single round trip, not a transaction."""
        redis = self._redis
        if not items:
            return
        life = milliseconds(ttl)
        async with self._bounded(), redis.pipeline(transaction=False) as pipeline:
            for key, value in items.items():
                pipeline.set(self._entry(key), value, px=life)
            await pipeline.execute()

    async def delete(self, *keys: str) -> int:
        """One UNLINK: the server frees large values in the background."""
        redis = self._redis
        if not keys:
            return 0
        async with self._bounded():
            return await redis.unlink(*(self._entry(key) for key in keys))

    async def expire(self, key: str, ttl: float) -> bool:
        """One PEXPIRE."""
        async with self._bounded():
            return bool(await self._redis.pexpire(self._entry(key), milliseconds(ttl)))

    async def remaining(self, keys: Sequence[str]) -> dict[str, float]:
        """One pipeline of PTTLs."""
        redis = self._redis
        if not keys:
            return {}
        async with self._bounded(), redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.pttl(self._entry(key))
            lives: list[int] = await pipeline.execute()
        return {key: life / 1000 for key, life in zip(keys, lives, strict=True) if life > 0}

    def _entry(self, key: str) -> str:
        return self._prefix + key


async def _get_all(redis: Client, entries: list[str]) -> Sequence[bytes | None]:
    return await redis.mget(entries)


def cache(settings: RedisSettings, context: AdapterContext) -> RedisCache:
    """A :class:`CacheStore`."""
    return RedisCache(shared(settings, context))


def backplane(settings: RedisSettings, context: AdapterContext) -> RedisBackplane:
    """A :class:`Backplane`."""
    return RedisBackplane(shared(settings, context))


def topics(settings: RedisSettings, context: AdapterContext) -> RedisTopics:
    """A :class:`Topics` with groups and dead letters."""
    return RedisTopics(shared(settings, context))


def locks(settings: RedisSettings, context: AdapterContext) -> RedisLocks:
    """A :class:`LockProvider`."""
    return RedisLocks(shared(settings, context), context.random)


def limiter(settings: RedisSettings, context: AdapterContext) -> RedisLimiter:
    """A :class:`RateLimiter`."""
    return RedisLimiter(shared(settings, context))


_: type[CacheStore] = RedisCache
