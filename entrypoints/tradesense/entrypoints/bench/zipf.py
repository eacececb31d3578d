"""How much of an uneven load a cache answers: the n-th most popular key is read one n-th as often as the first."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from tradesense.entrypoints.bench import cache
from tradesense.entrypoints.bench.timing import TASKS
from tradesense.plugins.manager import Plugins
from tradesense.settings.schema import Settings

KEYS = 10_000
NEAR = 1_000
"""Entries that a process may hold, a tenth of the keys."""
READS = 100_000
POINTS = 50
"""How often during the reads it is noted how many were answered."""


class HitRate(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the reads over one adapter, in per cent of them."""

    adapter: str
    reads: int
    in_process: float
    in_store: float
    """Answered by the shared store."""
    made: float
    """Answered by neither."""
    seconds: float
    course: tuple[tuple[float, float], ...]
    """After so many reads, the per cent of them that were answered."""


def popular(keys: int, reads: int, *, seed: int) -> list[int]:
    """The numbers of the keys that are read, one after the other. The same seed gives the same."""
    weights = list(accumulate(1 / rank for rank in range(1, keys + 1)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=reads)  # noqa: S311  # a load, not a secret


async def hit_rate(name: str, settings: Settings, plugins: Plugins, *, seed: int) -> HitRate:
    """Read the load through the cache that ``name`` stands for, from several tasks, beginning with an empty one."""
    keys = cache.fresh_keys(KEYS)
    load = [keys[number] for number in popular(KEYS, READS, seed=seed)]
    async with cache.opened(name, settings, plugins, entries=NEAR) as subject:
        began = asyncio.get_running_loop().time()
        course = await read(subject, load)
        seconds = asyncio.get_running_loop().time() - began
        await subject.forget(keys)
    counts = subject.counts
    return HitRate(
        adapter=name,
        reads=counts.reads,
        in_process=(counts.reads - counts.asked) / counts.reads * 100,
        in_store=(counts.asked - counts.made) / counts.reads * 100,
        made=counts.made / counts.reads * 100,
        seconds=seconds,
        course=tuple(course),
    )


async def read(subject: cache.Subject, load: Sequence[str]) -> list[tuple[float, float]]:
    """Read ``load`` in its order from several tasks, and note how it goes."""
    counts, course, every = subject.counts, list[tuple[float, float]](), max(1, len(load) // POINTS)
    waiting = iter(load)

    async def one() -> None:
        for key in waiting:
            await subject.through(key)
            if counts.reads % every == 0:
                course.append((float(counts.reads), (1 - counts.made / counts.reads) * 100))
            await asyncio.sleep(0)  # what is in memory never waits, and would keep its turn to itself

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(one())
    return sorted(dict(course).items())
