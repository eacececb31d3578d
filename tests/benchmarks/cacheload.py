"""What the cache rows of the performance table are measured with."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import accumulate
from statistics import median
from time import perf_counter

import cachetools
from cashews import Cache

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryBackplane, MemoryCache
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.cache import EntryOptions, HybridCache, cached
from tradesense.core.cache.near import Near

VALUE = b"x" * 1024
ROUNDS, SAMPLES, STAMPEDES = 20_000, 9, 25
KEYS, SLOTS, READS = 10_000, 1_000, 200_000
EVERYTHING_ON = EntryOptions(ttl=600, jitter=0.1, fail_safe=600, soft_timeout=1, hard_timeout=5, eager=0.9)


@asynccontextmanager
async def hybrid(**options: object):
    """A cache of one process, over memory."""
    clock, state = SystemClock(), MemoryState()
    far, backplane = MemoryCache(state, clock=clock), MemoryBackplane(state)
    async with far, backplane:
        cache = HybridCache(
            far=far,
            backplane=backplane,
            clock=clock,
            random=SystemRandom(),
            telemetry=MemoryTelemetry(clock=clock),
            **options,
        )
        yield cache
        await cache.aclose()


async def each(call: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> float:
    """Microseconds of one awaited call."""
    began = perf_counter()
    for _ in range(rounds):
        await call()
    return (perf_counter() - began) / rounds * 1e6


def plain(cache: cachetools.TTLCache[str, bytes]) -> float:
    """Microseconds of one hit of cachetools."""
    began = perf_counter()
    for _ in range(ROUNDS):
        cache["k"]
    return (perf_counter() - began) / ROUNDS * 1e6


async def hits() -> tuple[float, float, float]:
    """Microseconds of a hit in the first level, in cashews' memory and in cachetools, sampled in turn."""
    cashews, tools = Cache(), cachetools.TTLCache(SLOTS, 600)
    cashews.setup("mem://", size=SLOTS)
    await cashews.set("k", VALUE, expire=600)
    tools["k"] = VALUE
    async with hybrid(near_ttl=60.0) as ours:
        named = ours.named("bench", bytes, options=EVERYTHING_ON)
        await named.set("k", VALUE, tags=["a", "b"])
        await named.get("k")
        samples = [
            (await each(lambda: named.get("k")), await each(lambda: cashews.get("k"), ROUNDS // 10), plain(tools))
            for _ in range(SAMPLES)
        ]
        assert ours.stats().hits > SAMPLES * ROUNDS
    await cashews.close()
    return tuple(median(side) for side in zip(*samples, strict=True))


async def decorated() -> tuple[float, float]:
    """Microseconds of a decorated function whose result is kept: ours, cashews."""
    cashews = Cache()
    cashews.setup("mem://", size=SLOTS)

    @cashews(ttl=600, key="bench:{number}:{name}")
    async def theirs(number: int, name: str) -> bytes:
        return VALUE * number + name.encode()

    async with hybrid(near_ttl=60.0) as cache:

        @cached(cache.named("bench", bytes, options=EVERYTHING_ON))
        async def ours(number: int, name: str) -> bytes:
            return VALUE * number + name.encode()

        await ours(1, "a")
        await theirs(1, "a")
        samples = [
            (await each(lambda: ours(1, "a")), await each(lambda: theirs(1, "a"), ROUNDS // 10)) for _ in range(SAMPLES)
        ]
    await cashews.close()
    return tuple(median(side) for side in zip(*samples, strict=True))


async def one_process(callers: int, seconds: float) -> tuple[int, float]:
    """How often the loader ran for that many callers of one cold key, and how long it took until all were answered."""
    best, calls = 1e9, 0
    for number in range(STAMPEDES):
        async with hybrid() as cache:
            named, runs = cache.named("bench", bytes), []

            async def load(_: object, runs: list[int] = runs) -> bytes:
                runs.append(1)
                await asyncio.sleep(seconds)
                return VALUE

            began = perf_counter()
            answers = await asyncio.gather(*(named.get_or_set(f"cold-{number}", load) for _ in range(callers)))
            best = min(best, perf_counter() - began)
            assert answers == [VALUE] * callers
            calls = max(calls, len(runs))
    return calls, best


def zipf(seed: int) -> list[str]:
    """Reads of keys whose frequency is one over their rank."""
    weights = list(accumulate(1 / (rank + 1) for rank in range(KEYS)))
    return random.Random(seed).choices([str(rank) for rank in range(KEYS)], cum_weights=weights, k=READS)


def least_recently_read(reads: list[str]) -> float:
    """The part of the reads that an LRU of the same size answers."""
    held: OrderedDict[str, None] = OrderedDict()
    found = 0
    for key in reads:
        if key in held:
            held.move_to_end(key)
            found += 1
        else:
            held[key] = None
            if len(held) > SLOTS:
                held.popitem(last=False)
    return found / len(reads)


async def hit_rates() -> tuple[float, float, float]:
    """The parts of a Zipf load that are answered by the first level, by an LRU of its size, and by both levels."""
    reads = zipf(1)
    async with hybrid(near=Near(max_entries=SLOTS), near_ttl=60.0, options=EntryOptions(ttl=600)) as cache:
        named, far = cache.named("zipf", bytes), cache._engine.far
        asked, look = 0, far.read

        async def counted(keys: list[str]) -> object:
            nonlocal asked
            asked += 1
            return await look(keys)

        async def load(_: object) -> bytes:
            return b"v"

        far.read = counted
        for key in reads:
            await named.get_or_set(key, load)
        made = cache.stats().factories
    return 1 - asked / len(reads), least_recently_read(reads), 1 - made / len(reads)
