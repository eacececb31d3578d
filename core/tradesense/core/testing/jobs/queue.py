"""The job queue's contract."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import JobQueueUnavailable
from tradesense.core.jobs.models import MAX_ATTEMPTS, DeadJob, Job
from tradesense.core.jobs.ports import JobHandler, JobQueue
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires, together
from tradesense.core.testing.checks import interrupt, refuse_when_closed, refuse_when_unreachable, started
from tradesense.core.testing.jobs.samples import CALLS, Hands, a_job


class JobQueueContract(Contract):
    """What every :class:`JobQueue` must do.

    Each test needs a queue of its own. Give the adapter pauses so short that a job fails for the last time, and a
    cancelled worker gives up waiting for a job that does not end, well within ``patience``.
    """

    port = JobQueue

    @pytest.fixture
    def unreachable(self) -> Make[JobQueue] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_a_job_comes_as_it_was_enqueued(self, adapter: Make[JobQueue]) -> None:
        payload: dict[str, Any] = {
            "text": "Ünï 🦄 日本",
            "deep": {"list": [1, 2.5, None, True, []]},
            "": "",
            "large": "x" * 100_000,
        }
        job = a_job(payload=payload, key=fresh("key"), traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
        async with opened(adapter()) as queue:
            assert await queue.enqueue(job) is True
            async with self._working(queue) as hands:
                await self._empty(queue)
            assert hands.given == [job]
            assert list(await queue.dead()) == []

    async def test_a_job_is_not_done_before_someone_works(self, adapter: Make[JobQueue]) -> None:
        async with opened(adapter()) as queue:
            for number in (1, 2, 3):
                assert await queue.enqueue(a_job()) is True
                assert await queue.depth() == number

    async def test_each_job_is_done_once(self, adapter: Make[JobQueue]) -> None:
        jobs = [a_job(payload={"number": number}) for number in range(50)]
        async with opened(adapter()) as queue:
            async with self._working(queue) as hands:
                assert await together(50, lambda n: queue.enqueue(jobs[n])) == [True] * 50
                await self._empty(queue)
            assert _counted(hands) == Counter(job.id for job in jobs)

    async def test_jobs_are_done_several_at_once(self, adapter: Make[JobQueue]) -> None:
        meeting = asyncio.Barrier(2)

        async def meet(_: Job) -> None:
            await meeting.wait()

        async with opened(adapter()) as queue:
            for _ in range(2):
                await queue.enqueue(a_job())
            async with self._working(queue, meet):
                await self._empty(queue)

    async def test_a_job_counts_until_it_is_done(self, adapter: Make[JobQueue]) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def wait(_: Job) -> None:
            begun.set()
            await go.wait()

        async with opened(adapter()) as queue:
            await queue.enqueue(a_job())
            async with self._working(queue, wait):
                await self._until(begun)
                assert await queue.depth() == 1, "a job that is being done is counted"
                go.set()
                await self._empty(queue)

    async def test_a_failed_job_comes_again_as_it_was(self, adapter: Make[JobQueue]) -> None:
        attempts: list[dict[str, Any]] = []

        async def spoil(job: Job) -> None:
            attempts.append(dict(job.payload))
            job.payload["spoilt"] = True
            if len(attempts) < 3:
                raise ZeroDivisionError

        async with opened(adapter()) as queue:
            await queue.enqueue(a_job(payload={"to": "jane"}))
            async with self._working(queue, spoil):
                await self._empty(queue)
            assert attempts == [{"to": "jane"}] * 3
            assert list(await queue.dead()) == []

    async def test_each_attempt_says_which_it_is(self, adapter: Make[JobQueue]) -> None:
        attempts: list[int] = []

        async def count(job: Job) -> None:
            attempts.append(job.attempt)
            raise ZeroDivisionError

        job = a_job()
        async with opened(adapter()) as queue:
            await queue.enqueue(job)
            async with self._working(queue, count):
                dead = await self._dead(queue, 1)
            assert attempts == [1, 2, 3, 4, 5]
            assert dead[0].job == job, "the dead job is as it was enqueued"

    async def test_after_five_failures_a_job_is_dead(self, adapter: Make[JobQueue]) -> None:
        job, other = a_job(payload={"to": "jane"}, key=fresh("key")), a_job()
        async with opened(adapter()) as queue:
            hands = Hands(lambda given: given.id == job.id)
            dead: list[DeadJob] = []
            async with self._working(queue, hands):
                await queue.enqueue(job)
                await queue.enqueue(other)
                dead = await self._dead(queue, 1)
                await self._empty(queue)
            assert hands.times(job) == MAX_ATTEMPTS
            assert hands.times(other) == 1, "a job that fails holds no other up"
            assert [(each.job, each.error) for each in dead] == [(job, "ZeroDivisionError")], "the error's class alone"
            assert dead[0].failed_at.utcoffset() == timedelta(0)

    async def test_who_asks_is_told_of_each_job_that_is_given_up(self, adapter: Make[JobQueue]) -> None:
        failing, good, told = a_job(key=fresh("key")), a_job(), list[Job]()

        async def given_up(job: Job) -> None:
            told.append(job)

        hands = Hands(lambda job: job.id == failing.id)
        async with opened(adapter()) as queue:
            for job in (failing, good):
                await queue.enqueue(job)
            async with asyncio.timeout(3 * self.patience), started(queue.work(hands, given_up)):
                await self._dead(queue, 1)
                assert told == [failing], "before it is among the dead"
                await self._empty(queue)
            assert hands.times(failing) == MAX_ATTEMPTS
            assert told == [failing]

    async def test_dead_jobs_come_oldest_first(self, adapter: Make[JobQueue]) -> None:
        jobs = [a_job(), a_job()]
        dead: list[DeadJob] = []
        async with opened(adapter()) as queue, self._working(queue, Hands(lambda _: True)):
            for number, job in enumerate(jobs, start=1):
                await queue.enqueue(job)
                dead = await self._dead(queue, number)
        assert [each.job for each in dead] == jobs
        assert dead[0].failed_at <= dead[1].failed_at

    async def test_a_dead_job_that_is_dropped_may_come_again_as_if_new(self, adapter: Make[JobQueue]) -> None:
        jobs = [a_job(payload={"to": "jane"}), a_job(), a_job()]
        async with opened(adapter()) as queue:
            async with self._working(queue, Hands(lambda _: True)):
                for number, job in enumerate(jobs, start=1):
                    await queue.enqueue(job, once=job.id)
                    await self._dead(queue, number)
            assert await queue.drop([jobs[2].id, "unknown", jobs[0].id]) == 2
            assert [each.job for each in await queue.dead()] == [jobs[1]], "the others are dead still"
            assert await queue.drop([jobs[0].id]) == 0
            assert await queue.enqueue(jobs[0], once=jobs[0].id) is True
            async with self._working(queue) as hands:
                await self._empty(queue)
            assert hands.given == [jobs[0]], "in its first attempt"

    async def test_a_cancelled_worker_begins_no_other_job(self, adapter: Make[JobQueue]) -> None:
        async with opened(adapter()) as queue:
            async with self._working(queue) as hands:
                await queue.enqueue(a_job())
                await self._empty(queue)
            later = a_job()
            await queue.enqueue(later)
            for _ in range(20):
                await asyncio.sleep(0)
            assert hands.times(later) == 0
            assert await queue.depth() == 1

    async def test_a_job_that_a_cancelled_worker_did_not_end_comes_again(self, adapter: Make[JobQueue]) -> None:
        begun = asyncio.Event()

        async def never_ends(_: Job) -> None:
            begun.set()
            await asyncio.Event().wait()

        job = a_job(payload={"to": "jane"})
        async with opened(adapter()) as queue:
            await queue.enqueue(job)
            async with self._working(queue, never_ends):
                await self._until(begun)
            assert await queue.depth() == 1, "the job is not lost with its worker"
            async with self._working(queue) as hands:
                await self._empty(queue)
            assert hands.given == [job]

    async def test_cancelling_the_work_ends_it(self, adapter: Make[JobQueue]) -> None:
        async with opened(adapter()) as queue:
            task = asyncio.create_task(queue.work(Hands()))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=self.patience)
            assert task.cancelled(), "work goes on until it is cancelled, and then ends by the cancellation"

    async def test_two_workers_of_a_queue_share_its_jobs(self, adapter: Make[JobQueue]) -> None:
        jobs = [a_job() for _ in range(20)]
        async with opened(adapter()) as queue:
            async with self._working(queue) as one, self._working(queue) as other:
                for job in jobs:
                    await queue.enqueue(job)
                await self._empty(queue)
            assert _counted(one, other) == Counter(job.id for job in jobs)

    async def test_cancelled_calls_leave_the_queue_usable(self, adapter: Make[JobQueue]) -> None:
        async with opened(adapter()) as queue:
            await interrupt(lambda: queue.enqueue(a_job()))
            last = a_job()
            assert await queue.enqueue(last) is True
            async with self._working(queue) as hands:
                await self._empty(queue)
            assert hands.times(last) == 1

    async def test_jobs_without_a_key_are_each_taken(self, adapter: Make[JobQueue]) -> None:
        async with opened(adapter()) as queue:
            jobs = [
                a_job(payload={"same": True}),
                a_job(payload={"same": True}),
                a_job(key=fresh()),
                a_job(key=fresh()),
            ]
            assert [await queue.enqueue(job) for job in jobs] == [True] * 4
            assert await queue.depth() == 4

    async def test_a_closed_queue_refuses(self, adapter: Make[JobQueue]) -> None:
        assert hasattr(adapter(), "__aenter__"), "a job queue is opened before it is used"
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_queue_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        calls = {name: call for name, call in CALLS.items() if name != "work"}  # a worker may wait for its server
        await refuse_when_unreachable(unreachable, JobQueueUnavailable, calls)

    @requires(Capability.DEDUPLICATION)
    async def test_jobs_of_one_key_are_taken_once(self, adapter: Make[JobQueue]) -> None:
        key = fresh("key")
        async with opened(adapter()) as queue:
            first = a_job(key=key)
            assert [await queue.enqueue(job) for job in (first, a_job(key=key))] == [True, False]
            assert await queue.depth() == 1
            async with self._working(queue) as hands:
                await self._empty(queue)
                assert await queue.enqueue(a_job(key=key)) is False, "the key is known when its job is done, too"
                assert await queue.enqueue(a_job(key=f"{key}-other")) is True
                await self._empty(queue)
            assert hands.given[0] == first
            assert len(hands.given) == 2

    @requires(Capability.DEDUPLICATION)
    async def test_jobs_of_different_names_share_no_key(self, adapter: Make[JobQueue]) -> None:
        key = fresh("key")
        async with opened(adapter()) as queue:
            named = [a_job(name=name, key=key) for name in ("mail", "bill", "mail")]
            assert [await queue.enqueue(job) for job in named] == [True, True, False]

    @requires(Capability.DEDUPLICATION)
    async def test_what_is_handed_over_again_is_taken_once(self, adapter: Make[JobQueue]) -> None:
        one, other = (a_job(key="same") for _ in range(2))
        async with opened(adapter()) as queue:
            assert [await queue.enqueue(job, once=job.id) for job in (one, other, one)] == [True, True, False]
            async with self._working(queue) as hands:
                await self._empty(queue)
                assert await queue.enqueue(one, once=one.id) is False, "it is known when it is done, too"
            assert _counted(hands) == Counter([one.id, other.id])
            assert hands.given[0].key == "same"

    @requires(Capability.DEDUPLICATION)
    async def test_the_key_of_a_dead_job_is_free(self, adapter: Make[JobQueue]) -> None:
        key, once = fresh("key"), a_job()
        async with opened(adapter()) as queue:
            async with self._working(queue, Hands(lambda _: True)):
                await queue.enqueue(a_job(key=key))
                await queue.enqueue(once, once=once.id)
                await self._dead(queue, 2)
            assert await queue.enqueue(a_job(key=key)) is True
            assert await queue.enqueue(once, once=once.id) is True

    @requires(Capability.DEDUPLICATION)
    async def test_of_concurrent_jobs_of_one_key_one_is_taken(self, adapter: Make[JobQueue]) -> None:
        key = fresh("key")
        async with opened(adapter()) as queue:
            taken = await together(16, lambda _: queue.enqueue(a_job(key=key)))
            assert sorted(taken, key=str) == [False] * 15 + [True]
            assert await queue.depth() == 1

    @requires(Capability.PERSISTENT)
    async def test_a_job_outlives_the_queue_that_took_it(self, adapter: Make[JobQueue]) -> None:
        job = a_job(payload={"to": "jane"})
        async with opened(adapter()) as queue:
            await queue.enqueue(job)
        async with opened(adapter()) as queue:
            assert await queue.depth() == 1
            async with self._working(queue, Hands(lambda _: True)):
                await self._dead(queue, 1)
        async with opened(adapter()) as queue:
            assert [dead.job for dead in await queue.dead()] == [job]

    @requires(Capability.SHARED)
    async def test_workers_of_two_queues_share_the_jobs(self, adapter: Make[JobQueue]) -> None:
        jobs = [a_job() for _ in range(20)]
        async with opened(adapter()) as one, opened(adapter()) as other:
            for number, job in enumerate(jobs):
                await (one, other)[number % 2].enqueue(job)
            assert [await queue.depth() for queue in (one, other)] == [len(jobs)] * 2
            async with self._working(one) as first, self._working(other) as second:
                await self._empty(one)
            assert _counted(first, second) == Counter(job.id for job in jobs)
            assert await other.depth() == 0

    @asynccontextmanager
    async def _working(self, queue: JobQueue, handle: JobHandler | None = None) -> AsyncGenerator[Hands]:
        """Let a worker of ``queue`` do jobs meanwhile; it must end when it is cancelled."""
        hands = Hands()
        async with asyncio.timeout(3 * self.patience), started(queue.work(handle or hands)) as task:
            yield hands
            assert not task.done(), "work goes on until it is cancelled"

    async def _until(self, event: asyncio.Event) -> None:
        async with asyncio.timeout(self.patience):
            await event.wait()

    async def _empty(self, queue: JobQueue) -> None:
        async def empty() -> bool:
            """No job waits or is being done."""
            return await queue.depth() == 0

        await eventually(empty, seconds=self.patience)

    async def _dead(self, queue: JobQueue, count: int) -> list[DeadJob]:
        async def buried() -> list[DeadJob]:
            """A job that failed in every attempt is dead."""
            dead = list(await queue.dead())
            return dead if len(dead) >= count else []

        return await eventually(buried, seconds=self.patience)


def _counted(*hands: Hands) -> Counter[str]:
    return Counter(job.id for each in hands for job in each.given)
