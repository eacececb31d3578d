"""Outboxes that are wrong on purpose."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

import contracted
from tradesense.adapters.memory._outbox import MemoryOutbox
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.transactions import MemoryTransactions
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.jobs import Outbox
from tradesense.core.jobs.models import digest
from tradesense.core.testing import OutboxContract


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


class TestOutboxTakesOneIdTwice(OutboxOverMemory):
    caught_by = ("test_a_job_of_one_id_is_kept_once_until_it_is_done",)

    class Box(MemoryOutbox):
        async def add(self, job):
            async with self.state.begin():
                self._rows.numbers.remove(job.id)
            return await super().add(job)


class TestOutboxKeepsTheKeyOfWhatItRefused(OutboxOverMemory):
    caught_by = ("test_a_job_of_one_id_is_kept_once_until_it_is_done",)

    class Box(MemoryOutbox):
        async def add(self, job):
            added = await super().add(job)
            if not added and job.key:
                async with self.state.begin():
                    self._rows.keys.put(digest(job.name, job.key), 0.0)
            return added


class TestOutboxForgetsNoId(OutboxOverMemory):
    caught_by = ("test_a_job_of_one_id_is_kept_once_until_it_is_done",)

    class Box(MemoryOutbox):
        async def add(self, job):
            known = self.__dict__.setdefault("known", set())
            if job.id in known:
                return False
            known.add(job.id)
            return await super().add(job)


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
        async def done(self, ids, *, free=False):
            await super().done(ids, free=free)
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
            key = digest(job.name, job.key)
            if self._rows.keys.get(key) is not None:
                return False
            await asyncio.sleep(0)
            self._rows.keys._rows.pop(key, None)
            return await super().add(job)


class TestOutboxSharesKeysBetweenNamesAndTakesAnySize(OutboxOverMemory):
    caught_by = ("test_jobs_of_different_names_share_no_key", "test_a_job_that_is_too_large_is_refused")

    class Box(MemoryOutbox):
        async def add(self, job):
            return await super().add(replace(job, name="any", payload={}))


class TestOutboxKeepsTheKeysOfTheGivenUp(OutboxOverMemory):
    caught_by = ("test_the_key_of_a_job_that_was_given_up_is_free",)

    class Box(MemoryOutbox):
        async def done(self, ids, *, free=False):  # noqa: ARG002  # that is what is wrong
            await super().done(ids)


class TestOutboxGivesBackAtOnce(OutboxOverMemory):
    caught_by = ("test_a_job_can_be_given_back_for_later",)

    class Box(MemoryOutbox):
        async def give_back(self, ids, *, after=0):  # noqa: ARG002  # that is what is wrong
            await super().give_back(ids)


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
