"""The job queue in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.jobs import MemoryJobs
from tradesense.adapters.memory.settings import MemoryJobsSettings
from tradesense.core.errors import InvalidInput, JobQueueUnavailable
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.ports import JobHandler
from tradesense.core.testing.base import eventually
from tradesense.core.testing.checks import ManualClock

QUICK = MemoryJobsSettings(retry_seconds=0.001, concurrency=2, grace_seconds=0.2)


def queue(settings: MemoryJobsSettings = QUICK) -> MemoryJobs:
    return MemoryJobs(MemoryState(), clock=ManualClock(), settings=settings)


def job(number: int, **more: object) -> Job:
    return Job(id=str(number), name="test", **more)


@asynccontextmanager
async def working(jobs: MemoryJobs, handle: JobHandler) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.ensure_future(jobs.work(handle))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def idle(jobs: MemoryJobs) -> None:
    async def empty() -> bool:
        return await jobs.depth() == 0

    await eventually(empty, seconds=5)


async def test_a_job_that_fails_five_times_is_dead_and_every_attempt_gets_the_same_payload():
    seen: list[dict[str, object]] = []

    async def fail(failing: Job) -> None:
        seen.append(dict(failing.payload))
        failing.payload["touched"] = True
        raise KeyError

    async with queue() as jobs:
        await jobs.enqueue(job(1, payload={"a": 1}))
        async with working(jobs, fail):
            await idle(jobs)
        assert seen == [{"a": 1}] * 5
        assert [(dead.job.id, dead.error) for dead in await jobs.dead()] == [("1", "KeyError")]


async def test_a_handler_that_raises_a_cancellation_of_its_own_has_failed():
    async def fail(_: Job) -> None:
        raise asyncio.CancelledError

    async with queue() as jobs:
        await jobs.enqueue(job(1))
        async with working(jobs, fail):
            await idle(jobs)
        assert [dead.error for dead in await jobs.dead()] == ["CancelledError"]


async def test_no_more_jobs_than_allowed_are_done_at_once():
    now = most = 0

    async def handle(_: Job) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    async with queue() as jobs:
        for number in range(20):
            await jobs.enqueue(job(number))
        async with working(jobs, handle):
            await idle(jobs)
    assert most == 2


async def test_cancelled_work_lets_running_jobs_end_and_begins_no_new_one():
    begun: list[str] = []
    ended: list[str] = []
    busy, go = asyncio.Event(), asyncio.Event()

    async def handle(running: Job) -> None:
        begun.append(running.id)
        if len(begun) == 2:
            busy.set()
        await go.wait()
        ended.append(running.id)

    async with queue(MemoryJobsSettings(concurrency=2, grace_seconds=30)) as jobs:
        for number in range(4):
            await jobs.enqueue(job(number))
        async with working(jobs, handle) as task:
            await busy.wait()
            task.cancel()
            await asyncio.sleep(0)
            go.set()
        assert task.cancelled()
        assert (begun, ended, await jobs.depth()) == (["0", "1"], ["0", "1"], 2)


async def test_jobs_that_do_not_end_in_time_are_given_back():
    begun = asyncio.Event()

    async def hang(_: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    done: list[str] = []

    async def handle(running: Job) -> None:
        done.append(running.id)

    async with queue(MemoryJobsSettings(grace_seconds=0.01)) as jobs:
        await jobs.enqueue(job(1))
        async with working(jobs, hang):
            await begun.wait()
        assert await jobs.depth() == 1
        async with working(jobs, handle):
            await idle(jobs)
    assert done == ["1"]


@pytest.mark.parametrize("turns", range(8))
async def test_a_job_is_never_lost_however_early_the_work_is_cancelled(turns: int):
    async def hang(_: Job) -> None:
        await asyncio.Event().wait()

    async with queue(MemoryJobsSettings(grace_seconds=0)) as jobs:
        for number in range(3):
            await jobs.enqueue(job(number))
        async with working(jobs, hang):
            for _ in range(turns):
                await asyncio.sleep(0)
        assert jobs._jobs.ready.qsize() == 3


async def test_a_full_queue_takes_no_job_and_forgets_its_key():
    async with queue(MemoryJobsSettings(max_waiting=1)) as jobs:
        assert await jobs.enqueue(job(1, key="one"))
        with pytest.raises(JobQueueUnavailable):
            await jobs.enqueue(job(2, key="two"))
        assert not await jobs.enqueue(job(3, key="one"))
        assert "two" not in jobs._jobs.keys


async def test_a_payload_that_is_not_json_is_refused():
    async with queue() as jobs:
        with pytest.raises(InvalidInput):
            await jobs.enqueue(job(1, payload={"a": object()}))
        assert await jobs.depth() == 0
