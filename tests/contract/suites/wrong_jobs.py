"""Job queues that are wrong on purpose."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._outbox import MemoryOutbox
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.jobs import MemoryJobs, _Waiting
from tradesense.adapters.memory.settings import MemoryJobsSettings
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.jobs import JobQueue, Outbox
from tradesense.core.testing import JobQueueContract, OutboxContract

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
        async def _do(self, waiting, handle):
            async def first(job):
                await handle(replace(job, attempt=1))

            await super()._do(waiting, first)


class TestForgetsFailedJobs(OverMemory):
    caught_by = ("test_a_failed_job_comes_again_as_it_was", "test_after_five_failures_a_job_is_dead")

    class Queue(MemoryJobs):
        def _failed(self, waiting, error):  # noqa: ARG002  # that is what is wrong
            self._jobs.unfinished -= 1


class TestGivesUpAfterThree(OverMemory):
    caught_by = ("test_after_five_failures_a_job_is_dead",)

    class Queue(MemoryJobs):
        def _failed(self, waiting, error):
            super()._failed(_Waiting(waiting.row, waiting.failures + 1) if waiting.failures else waiting, error)


class TestNeverGivesUp(OverMemory):
    caught_by = ("test_after_five_failures_a_job_is_dead", "test_dead_jobs_come_oldest_first")

    class Queue(MemoryJobs):
        def _failed(self, waiting, error):
            super()._failed(_Waiting(waiting.row), error)


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


class TestLosesJobsOfTheCancelled(OverMemory):
    caught_by = ("test_a_job_that_a_cancelled_worker_did_not_end_comes_again",)

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle):
            try:
                await super()._do(waiting, handle)
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
        async def _do(self, waiting, handle):
            await super()._do(waiting, handle)
            await handle(waiting.job())


class TestDoesOneAtATime(OverMemory):
    caught_by = ("test_jobs_are_done_several_at_once",)

    class Queue(MemoryJobs):
        def __init__(self, state, *, clock, settings):
            super().__init__(state, clock=clock, settings=replace(settings, concurrency=1))


class TestLetsAttemptsSpoilTheJob(OverMemory):
    caught_by = ("test_a_failed_job_comes_again_as_it_was",)

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle):
            kept = self.__dict__.setdefault("kept", {})
            job = kept.setdefault(waiting.job().id, waiting.job())
            await super()._do(waiting, lambda _: handle(job))


class TestForgetsTheTraceContext(OverMemory):
    caught_by = ("test_a_job_comes_as_it_was_enqueued",)

    class Queue(MemoryJobs):
        async def enqueue(self, job):
            return await super().enqueue(replace(job, traceparent=""))


class TestForgetsKeysOfDoneJobs(OverMemory):
    caught_by = ("test_jobs_of_one_key_are_taken_once",)

    class Queue(MemoryJobs):
        async def _do(self, waiting, handle):
            await super()._do(waiting, handle)
            self._jobs.keys.pop(waiting.job().key, None)


class TestLooksBeforeItTakes(OverMemory):
    caught_by = ("test_of_concurrent_jobs_of_one_key_one_is_taken",)

    class Queue(MemoryJobs):
        async def enqueue(self, job):
            known = job.key in self._jobs.keys
            await asyncio.sleep(0)
            if not known:
                self._jobs.keys.pop(job.key, None)
            return await super().enqueue(job)


class TestTakesEmptyKeysForSame(OverMemory):
    caught_by = ("test_jobs_without_a_key_are_each_taken", "test_each_job_is_done_once")

    class Queue(MemoryJobs):
        async def enqueue(self, job):
            return await super().enqueue(replace(job, key=job.key or "none"))


class TestEndsWhenItIsEmpty(OverMemory):
    caught_by = ("test_cancelling_the_work_ends_it",)

    class Queue(MemoryJobs):
        async def work(self, handle):
            if self._jobs.unfinished:
                await super().work(handle)
            self.check_open()


class TestIgnoresCancellation(OverMemory):
    caught_by = ("test_a_cancelled_worker_begins_no_other_job",)

    class Queue(MemoryJobs):
        async def work(self, handle):
            try:
                await super().work(handle)
            except asyncio.CancelledError:
                self.__dict__["zombie"] = asyncio.ensure_future(super().work(handle))
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


class OutboxOverMemory(OutboxContract):
    """The memory outbox, which is right; what is wrong is a subclass of it."""

    capabilities = contracted.manifest("memory", Outbox).capabilities | {Capability.SHARED, Capability.PERSISTENT}
    Box = MemoryOutbox
    patience = 0.3

    @pytest.fixture
    def adapter(self):
        state = MemoryState()
        return lambda: self.Box(state, clock=SystemClock())

    @pytest.fixture
    def transactions(self):
        return lambda outbox: MemoryTransactions(outbox.state)


class TestOutboxRight(OutboxOverMemory):
    patience = 10


class TestOutboxWritesBesideTheTransaction(OutboxOverMemory):
    """As who hands the job to the queue at once."""

    caught_by = (
        "test_a_rolled_back_transaction_leaves_no_job_and_no_key",
        "test_a_job_can_be_taken_once_its_transaction_has_committed",
    )

    class Box(MemoryOutbox):
        async def add(self, job):
            added = await super().add(job)
            for table in (self._rows.jobs, self._rows.numbers, self._rows.keys):
                table.commit()
            return added


class TestOutboxKeepsTheKeyOfTheRolledBack(OutboxOverMemory):
    caught_by = ("test_a_rolled_back_transaction_leaves_no_job_and_no_key",)

    class Box(MemoryOutbox):
        async def add(self, job):
            added = await super().add(job)
            self._rows.keys.commit()
            return added


class TestOutboxHoldsForEver(OutboxOverMemory):
    """As who marks a row as taken and never looks at it again."""

    caught_by = ("test_a_held_job_is_taken_again_when_its_hold_has_ended",)

    class Box(MemoryOutbox):
        async def take(self, limit, hold):
            return await super().take(limit, hold + 1000)


class TestOutboxLosesWhatWasTaken(OutboxOverMemory):
    """As who deletes before the queue has the job."""

    caught_by = (
        "test_a_held_job_is_taken_again_when_its_hold_has_ended",
        "test_a_job_that_is_given_back_can_be_taken_at_once",
        "test_those_that_wait_are_counted_until_they_are_done",
    )

    class Box(MemoryOutbox):
        async def take(self, limit, hold):
            taken = await super().take(limit, hold)
            await self.done([job.id for job in taken])
            return taken


class TestOutboxHoldsNothing(OutboxOverMemory):
    caught_by = ("test_of_concurrent_relays_each_job_goes_to_one", "test_relays_of_two_processes_share_the_jobs")

    class Box(MemoryOutbox):
        async def take(self, limit, hold):
            taken = await super().take(limit, hold)
            self._rows.held.clear()
            return taken


class TestOutboxGivesTheNewestFirst(OutboxOverMemory):
    caught_by = ("test_the_oldest_come_first_and_no_more_than_asked_for",)

    class Box(MemoryOutbox):
        async def take(self, limit, hold):
            return list(reversed(await super().take(limit, hold)))


class TestOutboxForgetsTheKeyWithItsJob(OutboxOverMemory):
    caught_by = ("test_a_key_is_added_once_until_it_is_forgotten",)

    class Box(MemoryOutbox):
        async def done(self, ids):
            await super().done(ids)
            await super().forget(0)


class TestOutboxForgetsKeysThatAreNeeded(OutboxOverMemory):
    caught_by = ("test_a_keys_job_that_waits_keeps_the_key",)

    class Box(MemoryOutbox):
        async def forget(self, age):
            self.check_open()
            async with self.state.begin():
                keys = self._rows.keys.keys()
                for key in keys:
                    self._rows.keys.remove(key)
            return len(keys) if age < 1 else 0


class TestOutboxLooksAndThenAdds(OutboxOverMemory):
    caught_by = ("test_of_concurrent_jobs_of_one_key_one_is_kept",)

    class Box(MemoryOutbox):
        async def add(self, job):
            self.check_open()
            if job.key and self._rows.keys.get(job.key) is not None:
                return False
            await asyncio.sleep(0)
            self._rows.keys._rows.pop(job.key, None)
            return await super().add(job)


class TestOutboxIsNeverClosed(OutboxOverMemory):
    caught_by = ("test_a_closed_outbox_refuses",)

    class Box(MemoryOutbox):
        def check_open(self):
            pass


class TestOutboxKeepsForItself(OutboxOverMemory):
    caught_by = ("test_a_job_and_its_key_outlive_the_outbox", "test_relays_of_two_processes_share_the_jobs")

    @pytest.fixture
    def adapter(self):
        return lambda: self.Box(MemoryState(), clock=SystemClock())
