"""Hybrid caches for tests: several "processes" over one shared store, whose server and backplane can be away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryBackplane, MemoryCache, MemoryLocks
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.adapters.redis._backplane import RedisBackplane
from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis._locks import RedisLocks
from tradesense.adapters.redis.cache import RedisCache
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.cache.service import HybridCache
from tradesense.core.errors import BackplaneUnavailable, CacheUnavailable, LocksUnavailable
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock, eventually


class Fragile(MemoryCache):
    """A shared store whose server can be away or full; it keeps what it was asked for."""

    away = False
    full = False
    largest = None
    """Bytes of the largest entry that it takes."""
    meanwhile = None
    """What is awaited while the answer to a read is on its way."""
    written = staticmethod(lambda count: None)  # noqa: ARG005  # who wants to know sets it
    """Is told how many entries are set at once."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked = []

    async def get(self, key):
        self._answer(key)
        return await super().get(key)

    async def get_many(self, keys):
        self._answer(*keys)
        found = await super().get_many(keys)
        if self.meanwhile is not None:
            await self.meanwhile()
        return found

    async def set(self, key, value, ttl):
        self._answer()
        self._room(value)
        await super().set(key, value, ttl)

    async def set_many(self, items, ttl):
        self._answer()
        self._room(*items.values())
        self.written(len(items))
        await super().set_many(items, ttl)

    async def delete(self, *keys):
        self._answer()
        return await super().delete(*keys)

    async def expire(self, key, ttl):
        self._answer()
        return await super().expire(key, ttl)

    async def remaining(self, keys):
        self._answer()
        return await super().remaining(keys)

    def looked(self, key):
        """How often it was asked for this key."""
        return self.asked.count(key)

    def _answer(self, *keys):
        if self.away:
            raise CacheUnavailable("the store is away")
        self.asked.extend(keys)

    def _room(self, *values):
        if self.full or (self.largest is not None and any(len(value) > self.largest for value in values)):
            raise CacheUnavailable("the store is full")


class FragileBackplane(MemoryBackplane):
    away = False
    published = 0

    async def publish(self, topic, payload):
        if self.away:
            raise BackplaneUnavailable("the backplane is away")
        self.published += 1
        await super().publish(topic, payload)


class FragileLocks(MemoryLocks):
    away = False
    renewed = 0

    async def renew(self, lease):
        self.renewed += 1
        return await super().renew(lease)

    async def acquire(self, name, ttl, *, wait=0):
        if self.away:
            raise LocksUnavailable("the locks are away")
        return await super().acquire(name, ttl, wait=wait)


class Ahead:
    """A clock that shows another day than the one beside it."""

    def __init__(self, clock, seconds):
        self._clock = clock
        self._seconds = timedelta(seconds=seconds)

    def now(self):
        return self._clock.now() + self._seconds

    def monotonic(self):
        return self._clock.monotonic()


class World:
    """What the processes share, and the clock that is theirs as well."""

    def __init__(self):
        self.clock = ManualClock()
        state = MemoryState()
        self.far = Fragile(state, clock=self.clock)
        self.backplane = FragileBackplane(state)
        self.locks = FragileLocks(state, clock=self.clock, random=SystemRandom())
        self.telemetry = MemoryTelemetry(clock=self.clock)

    def process(self, **options) -> HybridCache:
        """One more process; it hears nothing until it runs."""
        parts = {
            "far": self.far,
            "backplane": self.backplane,
            "locks": self.locks,
            "clock": self.clock,
            "random": SystemRandom(),
            "telemetry": self.telemetry,
        }
        return HybridCache(**parts | options)

    def away(self, *, away: bool = True) -> None:
        """The server behind the store, the backplane and the locks goes, or comes back."""
        self.far.away = self.backplane.away = self.locks.away = away


@asynccontextmanager
async def a_world():
    world = World()
    async with world.far, world.backplane, world.locks:
        yield world


@asynccontextmanager
async def running(*caches):
    """The caches hear each other and recover."""
    tasks = [asyncio.create_task(cache.run()) for cache in caches]
    for cache in caches:
        await until(lambda cache=cache: listening(cache))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def over_valkey(url, prefix, *, answer_within=5.0, **options):
    """One process over a server, hearing the others."""
    clients = RedisClients(RedisSettings(url=Secret(url), prefix=f"{prefix}:", timeout=answer_within))
    clock, random = SystemClock(), SystemRandom()
    far, backplane, locks = RedisCache(clients), RedisBackplane(clients), RedisLocks(clients, random)
    async with clients, far, backplane, locks:
        hybrid = HybridCache(
            far=far,
            backplane=backplane,
            locks=locks,
            clock=clock,
            random=random,
            telemetry=MemoryTelemetry(clock=clock),
            **options,
        )
        async with running(hybrid):
            yield hybrid
        await hybrid.aclose()


def listening(cache):
    return cache._engine.notices.listening


async def until(holds, seconds=5):
    """Wait for it."""

    async def seen():
        """the condition of the test"""
        return bool(holds())

    await eventually(seen, seconds=seconds)


class Source:
    """A factory that counts its runs, may fail, and may be held up."""

    def __init__(self, value=b"made"):
        self.value = value
        self.runs = 0
        self.refreshes = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, refresh):
        self.runs += 1
        self.refreshes.append(refresh)
        await self.gate.wait()
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value
