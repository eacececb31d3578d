"""The outbox's contract."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import InvalidInput, JobQueueUnavailable
from tradesense.core.jobs.models import MAX_JOB, Job
from tradesense.core.jobs.ports import Outbox
from tradesense.core.testing.base import Contract, Joined, Make, eventually, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import Calls, interrupt, refuse_when_closed, refuse_when_unreachable, rolled_back
from tradesense.core.testing.jobs.samples import a_job

LONG = 60.0
"""Seconds of a hold that does not end within a test."""
SHORT = 0.05
"""Seconds of a hold that a test waits for."""
MANY = 50
"""More turns than there are jobs in any test with several relays."""

CALLS: Calls = {
    "add": lambda outbox: outbox.add(a_job()),
    "take": lambda outbox: outbox.take(1, LONG),
    "done": lambda outbox: outbox.done(["none"]),
    "give_back": lambda outbox: outbox.give_back(["none"]),
    "waiting": lambda outbox: outbox.waiting(),
    "forget": lambda outbox: outbox.forget(LONG),
}


class OutboxContract(Contract):
    """What every :class:`Outbox` must do. Each test needs an outbox of its own, empty at first."""

    port = Outbox

    @pytest.fixture
    def unreachable(self) -> Make[Outbox] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_a_job_comes_as_it_was_added(self, adapter: Make[Outbox]) -> None:
        payload: dict[str, Any] = {
            "text": "Ünï 🦄 \0",
            "deep": {"list": [1, 2.5, None, True, []]},
            "large": "x" * 100_000,
        }
        job = a_job(payload=payload, key=fresh("k" * 3000), traceparent="00-" + "a" * 32, correlation_id="c-1")
        async with opened(adapter()) as outbox:
            assert await outbox.add(job) is True
            assert list(await outbox.take(10, LONG)) == [job]

    async def test_a_job_of_one_id_is_kept_once_until_it_is_done(self, adapter: Make[Outbox]) -> None:
        job, key = a_job(), fresh("key")
        async with opened(adapter()) as outbox:
            assert await outbox.add(job) is True
            assert await outbox.add(job) is False
            assert await outbox.add(a_job(id=job.id, name=job.name, key=key)) is False
            assert await outbox.waiting() == 1
            assert list(await outbox.take(10, LONG)) == [job]
            assert await outbox.add(job) is False, "it is in somebody's hands"
            await outbox.done([job.id])
            assert await outbox.add(a_job(id=job.id, name=job.name, key=key)) is True, "its key was left alone"

    async def test_the_oldest_come_first_and_no_more_than_asked_for(self, adapter: Make[Outbox]) -> None:
        jobs = [a_job(payload={"number": number}) for number in range(5)]
        async with opened(adapter()) as outbox:
            for job in jobs:
                await outbox.add(job)
            assert list(await outbox.take(3, LONG)) == jobs[:3]
            assert list(await outbox.take(3, LONG)) == jobs[3:]
            assert list(await outbox.take(3, LONG)) == []

    async def test_a_held_job_is_taken_again_when_its_hold_has_ended(self, adapter: Make[Outbox]) -> None:
        job = a_job()
        async with opened(adapter()) as outbox:
            await outbox.add(job)
            assert list(await outbox.take(1, SHORT)) == [job]

            async def again() -> Sequence[Job]:
                """The relay that took the job may have died."""
                return await outbox.take(1, LONG)

            assert list(await eventually(again, seconds=self.patience)) == [job]
            assert list(await outbox.take(1, LONG)) == []

    async def test_a_job_that_is_done_never_comes_again(self, adapter: Make[Outbox]) -> None:
        kept, finished = a_job(), a_job()
        async with opened(adapter()) as outbox:
            for job in (kept, finished):
                await outbox.add(job)
            await outbox.take(2, LONG)
            await outbox.done([finished.id, "unknown"])
            await outbox.give_back([kept.id, finished.id])
            assert list(await outbox.take(2, LONG)) == [kept]
            assert await outbox.waiting() == 1

    async def test_a_job_that_is_given_back_can_be_taken_at_once(self, adapter: Make[Outbox]) -> None:
        jobs = [a_job(), a_job(), a_job()]
        async with opened(adapter()) as outbox:
            for job in jobs:
                await outbox.add(job)
            await outbox.take(3, LONG)
            await outbox.give_back([jobs[2].id, jobs[0].id, "unknown"])
            assert list(await outbox.take(3, LONG)) == [jobs[0], jobs[2]], "still the oldest first"

    async def test_a_job_can_be_given_back_for_later(self, adapter: Make[Outbox]) -> None:
        late, soon = a_job(), a_job()
        async with opened(adapter()) as outbox:
            for job in (late, soon):
                await outbox.add(job)
            await outbox.take(2, LONG)
            await outbox.give_back([late.id, "unknown"], after=LONG)
            await outbox.give_back([soon.id], after=SHORT)

            async def again() -> Sequence[Job]:
                """Who was to be given back soon is."""
                return await outbox.take(2, LONG)

            assert list(await eventually(again, seconds=self.patience)) == [soon], "the other is not, yet"
            await outbox.give_back([late.id])
            assert list(await outbox.take(2, LONG)) == [late]

    async def test_nothing_at_all_may_be_done_or_given_back(self, adapter: Make[Outbox]) -> None:
        async with opened(adapter()) as outbox:
            await outbox.add(a_job())
            await outbox.done([])
            await outbox.give_back([])
            assert await outbox.waiting() == 1

    async def test_of_concurrent_relays_each_job_goes_to_one(self, adapter: Make[Outbox]) -> None:
        jobs = [a_job() for _ in range(40)]
        async with opened(adapter()) as outbox:
            assert await together(40, lambda number: outbox.add(jobs[number])) == [True] * 40
            taken: list[str] = []
            assert await together(8, lambda _: _relay(outbox, taken)) == [None] * 8
            # A relay that found the rest held by others went away; what they did not get is still there.
            taken.extend(job.id for job in await outbox.take(40, LONG))
            assert Counter(taken) == Counter(job.id for job in jobs)

    async def test_those_that_wait_are_counted_until_they_are_done(self, adapter: Make[Outbox]) -> None:
        jobs = [a_job(), a_job()]
        async with opened(adapter()) as outbox:
            assert await outbox.waiting() == 0
            for job in jobs:
                await outbox.add(job)
            await outbox.take(1, LONG)
            assert await outbox.waiting() == 2
            await outbox.done([job.id for job in jobs])
            assert await outbox.waiting() == 0

    async def test_jobs_without_a_key_are_each_kept(self, adapter: Make[Outbox]) -> None:
        async with opened(adapter()) as outbox:
            assert [await outbox.add(a_job()) for _ in range(3)] == [True] * 3
            assert await outbox.waiting() == 3

    async def test_a_payload_that_is_no_json_is_refused(self, adapter: Make[Outbox]) -> None:
        async with opened(adapter()) as outbox:
            with pytest.raises(InvalidInput):
                await outbox.add(a_job(payload={"what": object()}))
            assert await outbox.waiting() == 0

    async def test_a_job_that_is_too_large_is_refused(self, adapter: Make[Outbox]) -> None:
        async with opened(adapter()) as outbox:
            with pytest.raises(InvalidInput):
                await outbox.add(a_job(payload={"text": "x" * MAX_JOB}))
            assert await outbox.add(a_job(payload={"text": "x" * (MAX_JOB - 1000)})) is True
            assert await outbox.waiting() == 1

    async def test_a_keys_job_that_waits_keeps_the_key(self, adapter: Make[Outbox]) -> None:
        key = fresh("key")
        async with opened(adapter()) as outbox:
            await outbox.add(a_job(key=key))
            assert await outbox.forget(0) == 0

    async def test_cancelled_calls_leave_the_outbox_usable(self, adapter: Make[Outbox]) -> None:
        async with opened(adapter()) as outbox:
            await interrupt(lambda: outbox.add(a_job()))
            await interrupt(lambda: outbox.take(1, SHORT))
            last = a_job()
            assert await outbox.add(last) is True

            async def seen() -> bool:
                """All that was added comes, when the holds of the cancelled have ended."""
                return last.id in [job.id for job in await outbox.take(1000, SHORT)]

            await eventually(seen, seconds=self.patience)

    async def test_a_closed_outbox_refuses(self, adapter: Make[Outbox]) -> None:
        assert hasattr(adapter(), "__aenter__"), "an outbox is opened before it is used"
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_outbox_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, JobQueueUnavailable, CALLS)

    @requires(Capability.DEDUPLICATION)
    async def test_a_key_is_added_once_until_it_is_forgotten(self, adapter: Make[Outbox]) -> None:
        key = fresh("key")
        async with opened(adapter()) as outbox:
            first = a_job(key=key)
            assert [await outbox.add(job) for job in (first, a_job(key=key))] == [True, False]
            assert list(await outbox.take(10, LONG)) == [first]
            await outbox.done([first.id])
            assert await outbox.add(a_job(key=key)) is False, "the key is known when its job is done, too"
            assert await outbox.add(a_job(key=f"{key}-other")) is True
            assert await outbox.forget(LONG) == 0
            assert await outbox.forget(0) == 1
            assert await outbox.add(a_job(key=key)) is True
            assert await outbox.waiting() == 2

    @requires(Capability.DEDUPLICATION)
    async def test_jobs_of_different_names_share_no_key(self, adapter: Make[Outbox]) -> None:
        key = fresh("key")
        async with opened(adapter()) as outbox:
            named = [a_job(name=name, key=key) for name in ("mail", "bill", "mail")]
            assert [await outbox.add(job) for job in named] == [True, True, False]
            assert list(await outbox.take(10, LONG)) == named[:2]

    @requires(Capability.DEDUPLICATION)
    async def test_the_key_of_a_job_that_was_given_up_is_free(self, adapter: Make[Outbox]) -> None:
        failed, finished = a_job(key=fresh("key")), a_job(key=fresh("key"))
        async with opened(adapter()) as outbox:
            for job in (failed, finished):
                await outbox.add(job)
            await outbox.take(2, LONG)
            await outbox.done([failed.id, "unknown"], free=True)
            await outbox.done([finished.id])
            assert await outbox.waiting() == 0
            assert await outbox.add(a_job(key=finished.key)) is False
            assert await outbox.add(a_job(key=failed.key)) is True

    @requires(Capability.DEDUPLICATION)
    async def test_of_concurrent_jobs_of_one_key_one_is_kept(self, adapter: Make[Outbox]) -> None:
        key = fresh("key")
        async with opened(adapter()) as outbox:
            kept = await together(16, lambda _: outbox.add(a_job(key=key)))
            assert sorted(kept, key=str) == [False] * 15 + [True]
            assert await outbox.waiting() == 1

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_no_job_and_no_key(
        self, adapter: Make[Outbox], transactions: Joined
    ) -> None:
        job = a_job(key=fresh("key"))
        async with joined(adapter, transactions) as (outbox, unit):
            async with rolled_back(unit):
                assert await outbox.add(job) is True
            assert await outbox.waiting() == 0
            assert await outbox.add(job) is True

    @requires(Capability.TRANSACTIONAL)
    async def test_a_job_can_be_taken_once_its_transaction_has_committed(
        self, adapter: Make[Outbox], transactions: Joined
    ) -> None:
        added, go = asyncio.Event(), asyncio.Event()
        jobs = [a_job(key=fresh("key")), a_job()]
        async with joined(adapter, transactions) as (outbox, unit):

            async def change() -> None:
                async with unit.begin():
                    for job in jobs:
                        await outbox.add(job)
                    added.set()
                    await go.wait()

            task = asyncio.create_task(change())
            async with asyncio.timeout(self.patience):
                await added.wait()
                assert list(await outbox.take(10, LONG)) == []
                go.set()
                await task
            assert list(await outbox.take(10, LONG)) == jobs

    @requires(Capability.PERSISTENT)
    async def test_a_job_and_its_key_outlive_the_outbox(self, adapter: Make[Outbox]) -> None:
        job = a_job(key=fresh("key"))
        async with opened(adapter()) as outbox:
            await outbox.add(job)
        async with opened(adapter()) as outbox:
            assert await outbox.add(a_job(key=job.key)) is False
            assert list(await outbox.take(10, LONG)) == [job]

    @requires(Capability.SHARED)
    async def test_relays_of_two_processes_share_the_jobs(self, adapter: Make[Outbox]) -> None:
        jobs = [a_job() for _ in range(20)]
        async with opened(adapter()) as one, opened(adapter()) as other:
            for number, job in enumerate(jobs):
                await (one, other)[number % 2].add(job)
            taken: list[str] = []
            assert await together(4, lambda number: _relay((one, other)[number % 2], taken)) == [None] * 4
            taken.extend(job.id for job in await one.take(20, LONG))
            assert Counter(taken) == Counter(job.id for job in jobs)
            await one.done(taken)
            assert await other.waiting() == 0


async def _relay(outbox: Outbox, taken: list[str]) -> None:
    """Take jobs until none is left, or so often that an outbox which gives some of them twice has shown it."""
    for _ in range(MANY):
        found = await outbox.take(3, LONG)
        if not found:
            return
        taken.extend(job.id for job in found)
        await asyncio.sleep(0)
