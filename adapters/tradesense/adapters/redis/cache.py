"""Cached values on Redis or Valkey, and the factories of this provider's five ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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

MOST_TOGETHER = 1_000
"""Keys of one command or pipeline: the server and the event loop do nothing else meanwhile, and its time is bounded."""
MOST_BYTES = 4 * 1024 * 1024
"""The same of the values that are sent."""
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
        # Encoded here: a key that has no form fails for its own caller, and for nobody else in the MGET.
        return await self._gets.ask((self._prefix + key).encode()).answer

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """One SET with PX, so that value and time change together."""
        async with self._bounded():
            await self._redis.set(self._entry(key), value, px=milliseconds(ttl))

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """One MGET for a thousand keys."""
        redis, found = self._redis, dict[str, bytes]()
        for some in _parts(keys):
            async with self._bounded():
                values = await redis.mget([self._entry(key) for key in some])
            found.update((key, value) for key, value in zip(some, values, strict=True) if value is not None)
        return found

    async def set_many(self, items: Mapping[str, bytes], ttl: float) -> None:
        """One pipeline of SETs for a thousand keys or 4 MiB: a round trip for each of these, not a transaction."""
        redis = self._redis
        life = milliseconds(ttl)
        for some in _loads(items):
            async with self._bounded(), redis.pipeline(transaction=False) as pipeline:
                for key in some:
                    pipeline.set(self._entry(key), items[key], px=life)
                await pipeline.execute()

    async def delete(self, *keys: str) -> int:
        """One UNLINK for a thousand keys: the server frees large values in the background."""
        redis, removed = self._redis, 0
        for some in _parts(keys):
            async with self._bounded():
                removed += await redis.unlink(*(self._entry(key) for key in some))
        return removed

    async def expire(self, key: str, ttl: float) -> bool:
        """One PEXPIRE."""
        async with self._bounded():
            return bool(await self._redis.pexpire(self._entry(key), milliseconds(ttl)))

    async def remaining(self, keys: Sequence[str]) -> dict[str, float]:
        """One pipeline of PTTLs for a thousand keys."""
        redis, left = self._redis, dict[str, float]()
        for some in _parts(keys):
            async with self._bounded(), redis.pipeline(transaction=False) as pipeline:
                for key in some:
                    pipeline.pttl(self._entry(key))
                lives: list[int] = await pipeline.execute()
            left.update((key, life / 1000) for key, life in zip(some, lives, strict=True) if life > 0)
        return left

    def _entry(self, key: str) -> str:
        return self._prefix + key


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), MOST_TOGETHER):
        yield keys[start : start + MOST_TOGETHER]


def _loads(items: Mapping[str, bytes]) -> Iterator[list[str]]:
    load, size = list[str](), 0
    for key, value in items.items():
        if load and (len(load) == MOST_TOGETHER or size + len(value) > MOST_BYTES):
            yield load
            load, size = [], 0
        load.append(key)
        size += len(value)
    if load:
        yield load


async def _get_all(redis: Client, entries: list[bytes]) -> Sequence[bytes | None]:
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
