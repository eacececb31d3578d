"""How an operation is timed, and what is kept of its times."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any

import msgspec

TASKS = 50
"""How many tasks call at once in the concurrent rows."""

BOUNDS = tuple(10.0 ** (power / 10) for power in range(-10, 71))
"""Microseconds, ten to a power of ten: between them calls are counted, from a tenth of a microsecond to ten seconds."""

LESS = 0.999
"""Finds a bound whose last digits are not those of a number that was written down."""

Operation = Callable[[int], Awaitable[Any]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One operation over one adapter. Its times are in microseconds."""

    adapter: str
    operation: str
    tasks: int
    per_second: float
    median_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    worst_us: float
    counts: tuple[int, ...]
    """How many calls took less than each of :data:`BOUNDS`, and not less than the one before; the last: all others."""

    @property
    def label(self) -> str:
        """The operation with what tells it from the same one of a single task."""
        return self.operation if self.tasks == 1 else f"{self.operation}, {self.tasks} tasks"

    def share_within(self, bound: float) -> float:
        """The per cent of calls that took less than one of :data:`BOUNDS`."""
        return sum(self.counts[: bisect_left(BOUNDS, bound * LESS) + 1]) / sum(self.counts) * 100

    def within(self) -> list[tuple[float, float]]:
        """For each bound from the quickest call on, the per cent of all calls that took less."""
        done, total, points = 0, sum(self.counts), list[tuple[float, float]]()
        for bound, count in zip(BOUNDS, self.counts, strict=False):
            done += count
            if done:
                points.append((bound, done / total * 100))
            if done == total:
                break
        return points


async def timed(adapter: str, label: str, operation: Operation, *, tasks: int, seconds: float) -> Row:
    """Call ``operation`` again and again from so many tasks for so long."""
    await operation(0)  # before the time begins: the first of a slow server may take longer than all of it
    times = array("d")
    await operation(0)
    began = perf_counter()
    end = began + seconds

    async def repeat(offset: int) -> None:
        number = offset
        while (start := perf_counter()) < end or not times:  # a busy machine may begin late; one call is always timed
            await operation(number)
            times.append(perf_counter() - start)
            number += tasks
            if tasks > 1:
                await asyncio.sleep(0)  # an adapter in memory never waits, and would keep its turn to itself

    async with asyncio.TaskGroup() as group:
        for offset in range(tasks):
            group.create_task(repeat(offset))
    took = perf_counter() - began
    return row(adapter, label, tasks=tasks, per_second=len(times) / took, seconds=times)


def row(adapter: str, label: str, *, tasks: int, per_second: float, seconds: Sequence[float]) -> Row:
    """What is kept of the times of an operation, of which there is one at least."""
    times = sorted(one * 1e6 for one in seconds)
    counts = [0] * (len(BOUNDS) + 1)
    for one in times:
        counts[bisect_right(BOUNDS, one)] += 1

    def percentile(part: float) -> float:
        return times[min(int(len(times) * part), len(times) - 1)]

    return Row(
        adapter=adapter,
        operation=label,
        tasks=tasks,
        per_second=per_second,
        median_us=percentile(0.5),
        p90_us=percentile(0.9),
        p99_us=percentile(0.99),
        p999_us=percentile(0.999),
        worst_us=times[-1],
        counts=tuple(counts),
    )
