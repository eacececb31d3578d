"""The bounds of the cache room in memory, and how its waiters are woken."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.adapters.memory import _backplane
from tradesense.adapters.memory._locks import SWEEP_AT
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryBackplane, MemoryCache, MemoryLimiter, MemoryLocks
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.cache.models import Lease, Limit
from tradesense.core.errors import AdapterClosed, BackplaneUnavailable
from tradesense.core.testing.checks import ManualClock


async def test_the_least_recently_read_entry_goes_first():
    async with MemoryCache(MemoryState(), clock=ManualClock(), max_entries=3) as cache:
        await cache.set_many({"a": b"1", "b": b"2", "c": b"3"}, 60)
        await cache.get("a")
        await cache.set("b", b"again", 60)
        await cache.set("d", b"4", 60)
        assert await cache.get_many(["a", "b", "c", "d"]) == {"a": b"1", "b": b"again", "d": b"4"}


async def test_a_listener_that_is_too_slow_is_told_after_what_it_had():
    state = MemoryState()
    async with MemoryBackplane(state) as backplane, backplane.subscribe("t") as slow:
        for number in range(_backplane.MAX_PENDING + 5):
            await backplane.publish("t", str(number).encode())
        for number in range(_backplane.MAX_PENDING):
            assert await anext(slow) == str(number).encode()
        for _ in range(2):
            with pytest.raises(BackplaneUnavailable):
                await anext(slow)


async def test_closing_a_backplane_ends_its_own_subscriptions_only():
    state = MemoryState()
    here, there = MemoryBackplane(state), MemoryBackplane(state)
    async with here, here.subscribe("t") as kept:
        async with there:
            manager = there.subscribe("t")
            ended = await manager.__aenter__()
            waiting = asyncio.ensure_future(anext(ended))
        with pytest.raises(BackplaneUnavailable):
            await waiting
        await manager.__aexit__(None, None, None)
        await here.publish("t", b"x")
        assert await anext(kept) == b"x"


def locks(state: MemoryState) -> MemoryLocks:
    return MemoryLocks(state, clock=SystemClock(), random=SystemRandom())


async def acquired(provider: MemoryLocks, name: str, ttl: float, wait: float = 0) -> Lease:
    lease = await provider.acquire(name, ttl, wait=wait)
    assert lease is not None
    return lease


async def waiting(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_waiter_behind_another_is_woken_by_the_end_of_the_shorter_lease():
    async with locks(MemoryState()) as provider:
        held = await acquired(provider, "a", 60)
        first = asyncio.ensure_future(acquired(provider, "a", 0.05, wait=30))
        second = asyncio.ensure_future(acquired(provider, "a", 60, wait=30))
        await waiting(3)
        assert await provider.release(held)
        lost = await first
        async with asyncio.timeout(5):
            assert (await second).token > lost.token
        assert not await provider.release(lost)


async def test_a_renewed_lease_moves_the_alarm_of_who_waits():
    async with locks(MemoryState()) as provider:
        held = await acquired(provider, "a", 0.1)
        later = asyncio.ensure_future(provider.acquire("a", 60, wait=0.3))
        await waiting(3)
        assert await provider.renew(Lease(name="a", owner=held.owner, token=held.token, ttl=60))
        assert await later is None
        assert await provider.release(held)


async def test_a_notice_that_meets_a_cancelled_waiter_goes_to_the_next():
    async with locks(MemoryState()) as provider:
        held = await acquired(provider, "a", 60)
        first = asyncio.ensure_future(provider.acquire("a", 60, wait=30))
        second = asyncio.ensure_future(provider.acquire("a", 60, wait=30))
        await waiting(3)
        await provider.release(held)
        first.cancel()
        async with asyncio.timeout(5):
            assert await second is not None
        assert first.cancelled()


async def test_waiting_leaves_nothing_behind():
    state = MemoryState()
    provider = locks(state)
    async with provider:
        await acquired(provider, "a", 60)
        assert await provider.acquire("a", 60, wait=0.01) is None
        assert provider._leases.lines == {}
        stranded = asyncio.ensure_future(provider.acquire("a", 60, wait=30))
        await waiting(3)
    with pytest.raises(AdapterClosed):
        await stranded
    assert provider._leases.lines == {}


async def test_expired_leases_are_forgotten():
    clock = ManualClock()
    async with MemoryLocks(MemoryState(), clock=clock, random=SystemRandom()) as provider:
        for number in range(5 * SWEEP_AT):
            await acquired(provider, str(number), 1)
            clock.advance(0.01)
        assert len(provider._leases.held) <= SWEEP_AT + 1


async def test_keys_that_stopped_counting_are_forgotten():
    clock = ManualClock()
    limit = Limit(name="l", count=5, period=10)
    async with MemoryLimiter(MemoryState(), clock=clock) as limiter:
        for number in range(2000):
            await limiter.hit(str(number), limit)
            clock.advance(1)
        assert len(limiter._logs.of) <= 12


async def test_the_number_of_counted_keys_is_bounded():
    limit = Limit(name="l", count=1, period=10)
    async with MemoryLimiter(MemoryState(), clock=ManualClock(), max_limits=3) as limiter:
        for key in "abc":
            assert (await limiter.hit(key, limit)).allowed
        assert not (await limiter.hit("a", limit)).allowed
        assert (await limiter.hit("d", limit)).allowed
        assert len(limiter._logs.of) == 3
        assert not (await limiter.hit("a", limit)).allowed
        assert (await limiter.hit("b", limit)).allowed
