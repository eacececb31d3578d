"""Job queues that are wrong on purpose."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.jobs import MemoryJobs, _Waiting
from tradesense.adapters.memory.settings import MemoryJobsSettings
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.jobs import JobQueue
from tradesense.core.jobs.models import digest
from tradesense.core.testing import JobQueueContract

QUICK = MemoryJobsSettings(retry_seconds=0.001, grace_seconds=0.01)


class OverMemory(JobQueueContract):
    """The memory queue, which is right; what is wrong is a subclass of it. Here it is shared within one process."""

    capabilities = contracted.manifest("memory", JobQueue).capabilities | {Capability.SHARED, Capability.PERSISTENT}
    Queue = MemoryJobs
    patience = 0.1

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Queue(state, clock=SystemClock(), settings=QUICK)


class TestRight(OverMemory):
    patience = 10


class TestCountsNoAttempts(OverMemory):
    caught_by = ("test_each_attempt_says_which_it_is",)

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle, *rest):
            async def first(job):
                await handle(replace(job, attempt=1))

            await super()._do(waiting, first, *rest)


class TestForgetsFailedJobs(OverMemory):
    caught_by = ("test_a_failed_job_comes_again_as_it_was", "test_after_five_failures_a_job_is_dead")

    class Queue(MemoryJobs):
        def _failed(self, waiting, error):  # noqa: ARG002  # that is what is wrong
            self._jobs.unfinished -= 1


class TestGivesUpAfterThree(OverMemory):
    caught_by = ("test_after_five_failures_a_job_is_dead",)

    class Queue(MemoryJobs):
        def _failed(self, waiting, error):
            super()._failed(
                _Waiting(waiting.row, waiting.failures + 1, waiting.key) if waiting.failures else waiting, error
            )


class TestNeverGivesUp(OverMemory):
    caught_by = ("test_after_five_failures_a_job_is_dead", "test_dead_jobs_come_oldest_first")

    class Queue(MemoryJobs):
        def _failed(self, waiting, error):
            super()._failed(_Waiting(waiting.row, 0, waiting.key), error)


class TestKeepsTheErrorsText(OverMemory):
    caught_by = ("test_after_five_failures_a_job_is_dead",)

    class Queue(MemoryJobs):
        async def dead(self):
            return [replace(dead, error=f"{dead.error}: the text") for dead in await super().dead()]


class TestBuriesOnTop(OverMemory):
    caught_by = ("test_dead_jobs_come_oldest_first",)

    class Queue(MemoryJobs):
        async def dead(self):
            return list(reversed(await super().dead()))


class TestDropsAllTheDead(OverMemory):
    caught_by = ("test_a_dead_job_that_is_dropped_may_come_again_as_if_new",)

    class Queue(MemoryJobs):
        async def drop(self, ids):
            dropped = await super().drop(ids)
            self._jobs.dead.clear()
            return dropped


class TestKeepsWhatIsDropped(OverMemory):
    caught_by = ("test_a_dead_job_that_is_dropped_may_come_again_as_if_new",)

    class Queue(MemoryJobs):
        async def drop(self, ids):
            self.check_open()
            return sum(dead.job.id in ids for dead in self._jobs.dead)


class TestCountsWhatItDidNotDrop(OverMemory):
    caught_by = ("test_a_dead_job_that_is_dropped_may_come_again_as_if_new",)

    class Queue(MemoryJobs):
        async def drop(self, ids):
            await super().drop(ids)
            return len(ids)


class TestLosesJobsOfTheCancelled(OverMemory):
    caught_by = ("test_a_job_that_a_cancelled_worker_did_not_end_comes_again",)

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle, *rest):
            try:
                await super()._do(waiting, handle, *rest)
            except asyncio.CancelledError:
                self._jobs.unfinished -= 1


class TestAcknowledgesBeforeTheWork(OverMemory):
    caught_by = ("test_a_job_counts_until_it_is_done",)

    class Queue(MemoryJobs):
        async def depth(self):
            self.check_open()
            return self._jobs.ready.qsize()


class TestGivesEachJobTwice(OverMemory):
    caught_by = ("test_each_job_is_done_once", "test_two_workers_of_a_queue_share_its_jobs")

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle, *rest):
            await super()._do(waiting, handle, *rest)
            await handle(waiting.job())


class TestDoesOneAtATime(OverMemory):
    caught_by = ("test_jobs_are_done_several_at_once",)

    class Queue(MemoryJobs):
        def __init__(self, state, *, clock, settings):
            super().__init__(state, clock=clock, settings=replace(settings, concurrency=1))


class TestLetsAttemptsSpoilTheJob(OverMemory):
    caught_by = ("test_a_failed_job_comes_again_as_it_was",)

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle, *rest):
            kept = self.__dict__.setdefault("kept", {})
            job = kept.setdefault(waiting.job().id, waiting.job())
            await super()._do(waiting, lambda _: handle(job), *rest)


class TestForgetsTheTraceContext(OverMemory):
    caught_by = ("test_a_job_comes_as_it_was_enqueued",)

    class Queue(MemoryJobs):
        async def enqueue(self, job, *, once=""):
            return await super().enqueue(replace(job, traceparent=""), once=once)


class TestForgetsKeysOfDoneJobs(OverMemory):
    caught_by = ("test_jobs_of_one_key_are_taken_once",)

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle, *rest):
            await super()._do(waiting, handle, *rest)
            self._jobs.keys.pop(waiting.key, None)


class TestLooksBeforeItTakes(OverMemory):
    caught_by = ("test_of_concurrent_jobs_of_one_key_one_is_taken",)

    class Queue(MemoryJobs):
        async def enqueue(self, job, *, once=""):
            key = digest(job.name, once or job.key)
            known = key in self._jobs.keys
            await asyncio.sleep(0)
            if not known:
                self._jobs.keys.pop(key, None)
            return await super().enqueue(job, once=once)


class TestTakesEmptyKeysForSame(OverMemory):
    caught_by = ("test_jobs_without_a_key_are_each_taken", "test_each_job_is_done_once")

    class Queue(MemoryJobs):
        async def enqueue(self, job, *, once=""):
            return await super().enqueue(replace(job, key=job.key or "none"), once=once)


class TestSharesKeysBetweenNames(OverMemory):
    caught_by = ("test_jobs_of_different_names_share_no_key",)

    class Queue(MemoryJobs):
        async def enqueue(self, job, *, once=""):
            return await super().enqueue(replace(job, name="any"), once=once)


class TestGoesByTheKeyAlone(OverMemory):
    caught_by = ("test_what_is_handed_over_again_is_taken_once",)

    class Queue(MemoryJobs):
        async def enqueue(self, job, *, once=""):  # noqa: ARG002  # that is what is wrong
            return await super().enqueue(job)


class TestKeepsTheKeysOfTheDeadAndTellsNobody(OverMemory):
    caught_by = ("test_the_key_of_a_dead_job_is_free", "test_who_asks_is_told_of_each_job_that_is_given_up")

    class Queue(MemoryJobs):
        async def _tell(self, waiting, given_up):
            pass

        def _failed(self, waiting, error):
            super()._failed(replace(waiting, key=b""), error)


class TestEndsWhenItIsEmpty(OverMemory):
    caught_by = ("test_cancelling_the_work_ends_it",)

    class Queue(MemoryJobs):
        async def work(self, handle, *rest):
            if self._jobs.unfinished:
                await super().work(handle, *rest)
            self.check_open()


class TestIgnoresCancellation(OverMemory):
    caught_by = ("test_a_cancelled_worker_begins_no_other_job",)

    class Queue(MemoryJobs):
        async def work(self, handle, *rest):
            try:
                await super().work(handle, *rest)
            except asyncio.CancelledError:
                self.__dict__["zombie"] = asyncio.ensure_future(super().work(handle, *rest))
                raise


class TestHasNoTimezone(OverMemory):
    caught_by = ("test_after_five_failures_a_job_is_dead",)

    class Queue(MemoryJobs):
        async def dead(self):
            return [replace(dead, failed_at=datetime(2030, 1, 1)) for dead in await super().dead()]  # noqa: DTZ001  # that is what is wrong


class TestIsNeverClosed(OverMemory):
    caught_by = ("test_a_closed_queue_refuses",)

    class Queue(MemoryJobs):
        def check_open(self):
            pass


class TestKeepsForItself(OverMemory):
    caught_by = ("test_a_job_outlives_the_queue_that_took_it", "test_workers_of_two_queues_share_the_jobs")

    @pytest.fixture
    def adapter(self):
        return lambda: self.Queue(MemoryState(), clock=SystemClock(), settings=QUICK)
