"""What the shared cache, limits and leases cost beside redis-py itself, over one Valkey, 50 tasks at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from statistics import median
from typing import Any

from pyrate_limiter import Limiter, Rate, RedisBucket
from redis.asyncio import Redis

from servers import Valkey, own
from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis._limiter import RedisLimiter
from tradesense.adapters.redis._locks import RedisLocks
from tradesense.adapters.redis.cache import RedisCache
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.cache.models import Limit
from tradesense.core.sensitive import Secret

TASKS = 50
SECONDS = 0.5
"""Per sample."""
SAMPLES = 7
VALUE = bytes(1024)
LIFE = 300.0

Call = Callable[[int], Awaitable[Any]]


class SystemRandom:
    """The system's random bytes."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


async def micros(call: Call, *, tasks: int = TASKS) -> float:
    """Microseconds per call, with so many tasks that call again and again."""
    done, began = 0, time.perf_counter()
    end = began + SECONDS

    async def repeat(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call(number)
            done += 1

    await asyncio.gather(*(repeat(number) for number in range(tasks)))
    return (time.perf_counter() - began) / done * 1e6


async def side_by_side(ours: Call, peer: Call) -> tuple[float, float]:
    """The medians of both, sampled in turn."""
    await micros(ours), await micros(peer)
    pairs = [(await micros(ours), await micros(peer)) for _ in range(SAMPLES)]
    return _medians(pairs)


def _medians(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    ours, peers = zip(*pairs, strict=True)
    return median(ours), median(peers)


def measured(compare: Callable[[RedisClients, Any], Awaitable[tuple[float, float]]]) -> tuple[float, float]:
    """Run one comparison over a server of its own."""

    async def run(url: str) -> tuple[float, float]:
        peer = Redis.from_url(url)
        try:
            await peer.mset({f"peer{number}": VALUE for number in range(TASKS)})
            async with RedisClients(RedisSettings(url=Secret(url), timeout=5)) as clients:
                return await compare(clients, peer)
        finally:
            await peer.aclose()

    with own(Valkey) as server:
        return asyncio.run(run(server.server.url()))


async def gets(clients: RedisClients, peer: Any) -> tuple[float, float]:
    """A get of the shared cache, and a GET."""
    async with RedisCache(clients) as cache:
        await cache.set_many({f"{number}": VALUE for number in range(TASKS)}, LIFE)
        return await side_by_side(lambda n: cache.get(f"{n}"), lambda n: peer.get(f"peer{n}"))


async def limits(clients: RedisClients, peer: Any) -> tuple[float, float]:
    """A check of a limit, and a GET."""
    limit = Limit(name="bench", count=1_000, period=60)
    async with RedisLimiter(clients) as limiter:
        return await side_by_side(lambda n: limiter.hit(f"{n}", limit), lambda n: peer.get(f"peer{n}"))


async def limits_beside_pyrate(clients: RedisClients, peer: Any) -> tuple[float, float]:
    """A check of a limit, and the same with pyrate-limiter, each caller with a bucket of its own."""
    limit, rate = Limit(name="bench", count=1_000, period=60), Rate(1_000, 60_000)
    buckets = [await RedisBucket.init([rate], peer, f"pyrate{number}") for number in range(TASKS)]
    limiters = [Limiter(bucket) for bucket in buckets]
    async with RedisLimiter(clients) as limiter:
        found = await side_by_side(
            lambda n: limiter.hit(f"{n}", limit), lambda n: limiters[n].try_acquire_async("x", blocking=False)
        )
    for one in limiters:
        one.close()
    return found


async def leases(clients: RedisClients, peer: Any) -> tuple[float, float]:
    """A lease taken and given back, and the same with redis-py's lock."""
    async with RedisLocks(clients, SystemRandom()) as locks:

        async def ours(number: int) -> None:
            lease = await locks.acquire(f"{number}", 30)
            assert lease is not None
            await locks.release(lease)

        async def theirs(number: int) -> None:
            async with peer.lock(f"lock{number}", timeout=30):
                pass

        return await side_by_side(ours, theirs)


async def hand_overs(clients: RedisClients, peer: Any) -> tuple[float, float]:
    """One lease going to and fro between two processes' worth of connections, and the same with redis-py's lock."""
    async with (
        RedisLocks(clients, SystemRandom()) as here,
        RedisClients(clients.settings) as others,
        RedisLocks(others, SystemRandom()) as there,
    ):

        async def ours(number: int) -> None:
            locks = (here, there)[number]
            lease = await locks.acquire("one", 30, wait=30)
            assert lease is not None
            _changed(number)
            await asyncio.sleep(0)
            await locks.release(lease)

        async def theirs(number: int) -> None:
            async with peer.lock("one", timeout=30):
                _changed(number)
                await asyncio.sleep(0)

        changes: list[int] = []

        def _changed(number: int) -> None:
            if not changes or changes[-1] != number:
                changes.append(number)

        async def per_change(call: Call) -> float:
            changes.clear()
            began = time.perf_counter()
            await micros(call, tasks=2)
            return (time.perf_counter() - began) / len(changes) * 1e6

        return _medians([(await per_change(ours), await per_change(theirs)) for _ in range(SAMPLES)])
