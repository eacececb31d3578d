"""A lease is renewed while its holder works, its loss is told, and nothing is raised too late."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryLocks
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.cache.election import Election
from tradesense.core.cache.leases import LeaseKeeper
from tradesense.core.cache.semaphore import Semaphore
from tradesense.core.errors import DatabaseUnavailable, LeaseLost, LeaseTaken, LocksUnavailable

SHORT = 0.15


class Fragile(MemoryLocks):
    """A provider whose server can be away, and that counts what it is asked."""

    away = False
    renewals = 0
    slow = ()
    """The names of what does not answer before ``answer`` is set."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def acquire(self, name, ttl, *, wait=0):
        await self._reach("acquire")
        return await super().acquire(name, ttl, wait=wait)

    async def renew(self, lease):
        self.renewals += 1
        await self._reach("renew")
        return await super().renew(lease)

    async def release(self, lease):
        await self._reach("release")
        return await super().release(lease)

    async def _reach(self, call):
        if self.away:
            raise LocksUnavailable
        if call in self.slow:
            self.asked.set()
            await self.answer.wait()

    def steal(self, name):
        """Let the lease end now."""
        self._leases.held.pop(name, None)
        if (line := self._leases.lines.get(name)) is not None:
            line.wake()


@pytest.fixture
async def locks():
    async with Fragile(MemoryState(), clock=SystemClock(), random=SystemRandom()) as provider:
        yield provider


@pytest.fixture
def keeper(locks):
    return LeaseKeeper(locks)


async def test_a_lease_lives_as_long_as_its_body_and_no_longer(keeper, locks):
    async with keeper.hold("job", SHORT) as held:
        token = held.token
        for _ in range(10):
            await asyncio.sleep(SHORT / 3)
            held.check()
            assert await locks.acquire("job", 60) is None
    assert locks.renewals >= 5
    after = await locks.acquire("job", 60)
    assert after.token > token


async def test_one_that_is_taken_is_refused_at_once_or_waited_for(keeper):
    async with keeper.hold("job", 60):
        with pytest.raises(LeaseTaken):
            async with keeper.hold("job", 60):
                pytest.fail("two hold it")
        with pytest.raises(LeaseTaken):
            async with keeper.hold("job", 60, wait=0.05):
                pytest.fail("two hold it")
        waiting = asyncio.create_task(hold_once(keeper, wait=10))
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(waiting, 5) == "done"


async def hold_once(keeper, **options):
    async with keeper.hold("job", 60, **options):
        return "done"


async def test_a_loss_sets_the_event_and_lets_the_body_go_on(keeper, locks):
    async with keeper.hold("job", SHORT) as held:
        locks.steal("job")
        async with asyncio.timeout(5):
            await held.lost.wait()
        assert not held.ours
        with pytest.raises(LeaseLost):
            held.check()
        successor = await locks.acquire("job", 60)
    assert await locks.renew(successor), "the end of the body touched the successor's lease"


async def test_a_loss_cancels_the_body_where_that_is_asked_for(keeper, locks):
    reached = []
    with pytest.raises(LeaseLost):  # noqa: PT012  # what is not reached is the point
        async with keeper.hold("job", SHORT, cancel=True):
            locks.steal("job")
            await asyncio.sleep(10)
            reached.append("end")
    assert reached == []
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_one(keeper, locks):
    entered = asyncio.Event()

    async def work():
        async with keeper.hold("job", SHORT, cancel=True):
            entered.set()
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await locks.acquire("job", 60) is not None, "the lease was left behind"


async def test_a_second_cancellation_while_the_lease_is_given_back_leaves_none_behind(keeper, locks):
    entered = asyncio.Event()
    locks.slow = ("release",)

    async def work():
        async with keeper.hold("job", 60):
            entered.set()
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    await locks.asked.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    locks.answer.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await locks.acquire("job", 60) is not None, "the lease was left behind"


async def test_a_wait_that_is_cancelled_at_the_last_step_leaves_no_lease(keeper, locks):
    first = await locks.acquire("job", 60)
    locks.slow = ("renew",)
    task = asyncio.create_task(hold_once(keeper, wait=10))
    await asyncio.sleep(0)
    await locks.release(first)
    async with asyncio.timeout(5):
        await locks.asked.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await locks.acquire("job", 60) is not None, "the lease was left behind"


async def test_both_cancellations_at_once_are_the_one_from_outside(keeper, locks):
    entered = asyncio.Event()
    holder = []

    async def work():
        async with keeper.hold("job", SHORT, cancel=True) as held:
            holder.append(held)
            entered.set()
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await entered.wait()
    locks.steal("job")
    await holder[0].lost.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_nothing_is_raised_after_the_body_has_ended(keeper, locks):
    async with keeper.hold("job", SHORT, cancel=True) as held:
        locks.steal("job")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            done = "what was begun"
        assert held.lost.is_set()
    assert done
    await asyncio.sleep(SHORT)
    assert asyncio.current_task().cancelling() == 0


async def test_an_error_of_the_body_is_the_bodys(keeper, locks):
    with pytest.raises(ZeroDivisionError):
        async with keeper.hold("job", 60, cancel=True):
            raise ZeroDivisionError
    assert await locks.acquire("job", 60) is not None


async def test_a_short_outage_is_survived_and_a_long_one_is_a_loss(keeper, locks):
    async with keeper.hold("job", 0.6) as held:
        locks.away = True
        await asyncio.sleep(0.3)
        locks.away = False
        await asyncio.sleep(0.5)
        assert held.ours
        locks.away = True
        async with asyncio.timeout(5):
            await held.lost.wait()
        assert not held.ours
    # the release was not possible, and nobody is told of it


async def test_a_provider_that_is_away_gives_nothing(keeper, locks):
    locks.away = True
    with pytest.raises(LocksUnavailable):
        async with keeper.hold("job", 60):
            pytest.fail("it was entered")


async def test_as_many_work_as_there_are_permits(locks):
    inside, most, done = 0, 0, 0

    async def work():
        nonlocal inside, most, done
        semaphore = Semaphore(locks=locks, random=SystemRandom(), name="pool", permits=3, ttl=60)
        async with semaphore.permit(wait=20):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            done += 1

    async with asyncio.timeout(20):
        await asyncio.gather(*(work() for _ in range(20)))
    assert (most, done) == (3, 20)


async def test_without_a_free_permit_one_is_refused(locks):
    semaphore = Semaphore(locks=locks, random=SystemRandom(), name="pool", permits=2, ttl=60)
    async with semaphore.permit() as one, semaphore.permit() as two:
        assert one.lease.name != two.lease.name
        for wait in (0, 0.05):
            with pytest.raises(LeaseTaken):
                async with semaphore.permit(wait=wait):
                    pytest.fail("three hold two permits")
    async with semaphore.permit():
        pass


def test_a_semaphore_without_permits_is_refused(locks):
    with pytest.raises(ValueError, match="at least one"):
        Semaphore(locks=locks, random=SystemRandom(), name="pool", permits=0, ttl=60)


async def test_one_leads_and_another_when_it_is_gone(locks):
    terms, leaders = [], []
    elections = [Election(locks=locks, name="leader", ttl=SHORT) for _ in range(3)]

    async def lead(number, held):
        leaders.append(number)
        terms.append(held.token)
        assert [election.leading for election in elections].count(True) == 1
        await asyncio.Event().wait()

    tasks = [
        asyncio.create_task(election.run(lambda held, number=number: lead(number, held)))
        for number, election in enumerate(elections)
    ]
    async with asyncio.timeout(10):
        for expected in (1, 2):
            while len(leaders) < expected:  # noqa: ASYNC110  # the candidates set no event of ours
                await asyncio.sleep(0.01)
            tasks[leaders[-1]].cancel()
            await asyncio.wait([tasks[leaders[-1]]])
        while len(leaders) < 3:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    assert sorted(leaders) == [0, 1, 2]
    assert terms == sorted(set(terms))
    assert elections[leaders[-1]].term == terms[-1]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not any(election.leading for election in elections)


async def test_a_leader_that_loses_its_lease_stops_and_stands_again(locks):
    election = Election(locks=locks, name="leader", ttl=SHORT)
    begun, stopped = [], []

    async def lead(held):
        begun.append(held.token)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(held.token)

    task = asyncio.create_task(election.run(lead))
    async with asyncio.timeout(10):
        while not begun:  # noqa: ASYNC110  # the candidate sets no event of ours
            await asyncio.sleep(0.01)
        locks.steal("leader")
        while len(begun) < 2:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    assert stopped == begun[:1]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("error", [DatabaseUnavailable, LeaseTaken, LeaseLost, LocksUnavailable, ZeroDivisionError])
async def test_what_the_work_of_a_leader_raises_ends_its_candidacy(locks, error):
    election = Election(locks=locks, name="leader", ttl=60)
    runs = []

    async def lead(held):
        runs.append(held.token)
        raise error

    with pytest.raises(error):
        async with asyncio.timeout(10):
            await election.run(lead)
    assert len(runs) == 1
    assert not election.leading
    assert await locks.acquire("leader", 60) is not None, "it was given back"
