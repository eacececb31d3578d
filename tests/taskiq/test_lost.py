"""Workers that are lost with their jobs in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tradesense.adapters.taskiq.jobs import TaskiqJobs
from tradesense.core.jobs.models import Job
from tradesense.core.testing import eventually

New = Callable[..., TaskiqJobs]


@asynccontextmanager
async def working(queue: TaskiqJobs, handle: Callable[[Job], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(queue.work(handle))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


def job(number: int = 0, **more: Any) -> Job:
    return Job(id=f"job-{number}", name="test", payload={"number": number, "text": "Zürich ☃"}, **more)


async def empty(queue: TaskiqJobs) -> None:
    async def nothing_waits() -> bool:
        return await queue.depth() == 0

    await eventually(nothing_waits, seconds=10)


async def _lost(queue: TaskiqJobs, count: int) -> None:
    """A worker takes so many jobs and is never heard of again."""
    broker = queue._new_broker()
    await broker._declare_consumer_group()
    assert len(await broker._read(count, 0.01)) == count
    await broker.shutdown()


async def test_what_a_worker_was_lost_with_is_done_one_at_a_time_and_holds_up_no_other(new: New) -> None:
    running: set[int] = set()
    beside: list[set[int]] = []
    fresh_done = asyncio.Event()

    async def handle(given: Job) -> None:
        number = given.payload["number"]
        running.add(number)
        beside.append(set(running))
        if number < 10:
            await fresh_done.wait()
            assert given.attempt == 2
        else:
            fresh_done.set()
        running.discard(number)

    async with new(job_idle_seconds=0.3) as queue:
        for number in range(3):
            await queue.enqueue(job(number))
        await _lost(queue, 3)
        async with working(queue, handle):

            async def begun() -> bool:
                return bool(running)

            await eventually(begun, seconds=10)
            await queue.enqueue(job(10))
            await empty(queue)
        assert await queue.dead() == ()
    assert {0, 1, 2} < {number for numbers in beside for number in numbers}
    assert all(len(numbers & {0, 1, 2}) <= 1 for numbers in beside), "they take none of each other along"


async def test_the_workers_that_were_lost_with_a_job_are_counted_on_when_one_is_stopped(new: New) -> None:
    attempts: list[int] = []
    begun = asyncio.Event()

    async def stuck(given: Job) -> None:
        attempts.append(given.attempt)
        begun.set()
        await asyncio.Event().wait()

    async def handle(given: Job) -> None:
        attempts.append(given.attempt)

    async with new(job_idle_seconds=0.3, job_grace_seconds=0.01) as queue:
        await queue.enqueue(job(1))
        await _lost(queue, 1)
        async with working(queue, stuck), asyncio.timeout(10):
            await begun.wait()
        assert await queue.depth() == 1
        async with working(queue, handle):
            await empty(queue)
    assert attempts == [2, 2], "the worker that was stopped does not count"
